//! ATTACKS.md B and A20, A24: where a credential is found, and when it is refused as ambiguous.

use serde_json::json;

use crate::kit::mint::claims_with;
use crate::kit::{Authz, COOKIE};

#[tokio::test]
async fn one_rule_for_cookies() {
    let authz = Authz::start().await;
    let good = authz.token();
    let ask = async |lines: &[String]| {
        let check = lines.iter().fold(authz.check("me"), |check, line| check.cookie_line(line));
        authz.ask(check).await
    };
    let c = |name: &str, value: &str| format!("{name}={value}");
    let access = c(COOKIE, &good);
    for (what, lines, status, reason) in [
        ("no space", vec![format!("x=1;{access}")], 200, "allowed"),
        ("spaces", vec![format!("x=1; {access}; y=2")], 200, "allowed"),
        ("28 last wins, good last", vec![format!("{COOKIE}=bad; {access}")], 200, "allowed"),
        ("28 last wins, bad last", vec![format!("{access}; {COOKIE}=bad")], 401, "token_malformed"),
        ("29 second line", vec!["x=1".to_owned(), access.clone()], 200, "allowed"),
        ("29 two lines, same", vec![access.clone(), access.clone()], 200, "allowed"),
        ("29 two lines, other", vec![access.clone(), c(COOKIE, "bad")], 401, "ambiguous_credential"),
        ("29 other order", vec![c(COOKIE, "bad"), access.clone()], 401, "ambiguous_credential"),
        ("30 crumbs joined", vec![format!("a=1; b=2; {access}; c=3")], 200, "allowed"),
        ("31 quoted", vec![format!("{COOKIE}=\"{good}\"")], 401, "token_malformed"),
        ("32 $Version", vec![format!("$Version=1; {access}; $Path=/")], 200, "allowed"),
        ("33 empty name", vec![format!("={good}")], 401, "no_credential"),
        ("33 no equals", vec![COOKIE.to_owned()], 401, "no_credential"),
        ("33 nothing", vec![String::new()], 401, "no_credential"),
        ("34 NBSP", vec![format!("\u{a0}{access}")], 401, "no_credential"),
        ("34 U+2000", vec![format!("\u{2000}{access}")], 401, "no_credential"),
        ("35 case", vec![c("ACCESS_TOKEN", &good)], 401, "no_credential"),
        ("35 prefix", vec![c("xaccess_token", &good)], 401, "no_credential"),
        ("refresh cookie", vec![c("refresh_token", &good)], 401, "no_credential"),
        ("space in value", vec![format!("{access} ; x=1")], 401, "token_malformed"),
        ("equals in value", vec![format!("{access}=x")], 401, "token_malformed"),
        ("cleared", vec![c(COOKIE, "")], 401, "token_malformed"),
        ("36 50 KB", vec![format!("x={}; {access}", "y".repeat(50_000))], 200, "allowed"),
        ("36 5000 crumbs", vec![format!("{}{access}", "c=1;".repeat(5_000))], 401, "too_many_cookies"),
    ] {
        let answer = ask(&lines).await;
        assert!(answer.is(status, reason), "{what}: {} {}", answer.status, answer.reason);
    }
    let not_utf8 = [b"x=\xff\xfe; ".as_slice(), access.as_bytes()].concat();
    authz.ask(authz.check("me").cookie_line(not_utf8)).await.expect(200, "allowed");
    let as_name = [b"\xff".as_slice(), access.as_bytes()].concat();
    authz.ask(authz.check("me").cookie_line(as_name)).await.expect(401, "no_credential");
}

#[tokio::test]
async fn one_rule_for_bearer_tokens() {
    let authz = Authz::start().await;
    let good = authz.token();
    for (line, status, reason) in [
        (format!("Bearer {good}"), 200, "allowed"),
        (format!("bearer {good}"), 200, "allowed"),
        (format!("Bearer\t{good}"), 401, "malformed_bearer"),
        (format!("Bearer  {good}"), 401, "malformed_bearer"),
        (format!("Bearer {good} "), 401, "malformed_bearer"),
        (format!("Bearer {good},{good}"), 401, "malformed_bearer"),
        ("Bearer".to_owned(), 401, "malformed_bearer"),
        (format!("Bearer {good}="), 401, "token_malformed"),
        (format!("Basic {good}"), 401, "no_credential"),
    ] {
        let answer = authz.ask(authz.check("me").header("authorization", &line)).await;
        assert!(
            answer.is(status, reason),
            "{:?}: {} {}",
            &line[..10.min(line.len())],
            answer.status,
            answer.reason
        );
    }
    let twice = authz.check("me").bearer(&good).bearer(&good);
    authz.ask(twice).await.expect(401, "repeated_authorization");
}

#[tokio::test]
async fn cookie_and_bearer_agree_or_are_refused() {
    let authz = Authz::start().await;
    let good = authz.token();
    let other = authz.home.session.token(&claims_with(&json!({ "jti": "2" })));
    let both = |cookie: &str, bearer: &str| authz.check("me").session(cookie).bearer(bearer);
    authz.ask(both(&good, &good)).await.expect(200, "allowed");
    authz.ask(both(&good, &other)).await.expect(401, "ambiguous_credential");
    authz.ask(both("bad", &good)).await.expect(401, "ambiguous_credential");
    authz.ask(both("", &good)).await.expect(401, "ambiguous_credential");
    let basic = authz.check("me").session(&good).header("authorization", "Basic YTpi");
    authz.ask(basic).await.expect(200, "allowed");
}

#[tokio::test]
async fn an_edge_without_bearer_ignores_authorization() {
    let home = crate::kit::Home::new();
    let authz = Authz::start_with(home, |edge| edge.replace("bearer: true", "bearer: false")).await;
    let good = authz.token();
    authz.ask(authz.check("me").bearer(&good)).await.expect(401, "no_credential");
    let beside = authz.check("me").session(&good).header("authorization", "Bearer  x").bearer("y");
    authz.ask(beside).await.expect(200, "allowed");
}
