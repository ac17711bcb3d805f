//! The permission matrix: who × route × state of the tenant, and what comes of it. It is written down in
//! `tests/golden/matrix.txt`, so that every change of a decision is a line in a review.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p authz-service matrix` writes the file again.

mod certificates;
mod credentials;
pub(crate) mod machines;
mod split;
pub(crate) mod webhooks;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clock::UnixTime;
use identity::assertion::Signer;
use identity::{Caller, Person, Role};
use serde_json::{Value, json};

use crate::introspection;
use crate::kit::check::{Answer, Check};
use crate::kit::leases::{LEASE, leased};
use crate::kit::mint::{Es256, claims_with};
use crate::kit::{Authz, COOKIE, Home, NOW, SESSION, SUBJECT, SUSPENDED, TENANT, UNLISTED};

const REVOKED: &str = "0192d3c0-0000-7000-8000-0000000000cc";

/// The routes of the matrix, and from where they are asked for.
const ROUTES: [(&str, &str); 12] = [
    ("open", "a public policy"),
    ("door", "a public policy with a limit that is used up"),
    ("me", "anybody signed in"),
    ("create", "role 2"),
    ("shelf", "scopes books.read and books.list"),
    ("workspace", "the tenant in the path must be the caller's"),
    ("workspace elsewhere", "the same, with another tenant in the path"),
    ("tried", "role 2, in shadow"),
    ("full", "anybody signed in, with a limit that is used up"),
    ("lookup", "service auth, on the service listener"),
    ("events", "any service, on the service listener"),
    ("lookup outside", "service auth, asked for through the public listener"),
];

/// Codes that no row shows, and why. This list only shrinks.
const NOT_IN_THE_MATRIX: &[(&str, &str)] = &[
    ("panicked", "a defect; tests/authorizer/faults.rs makes one"),
    ("signing_failed", "the cryptographic library would have to fail"),
    ("role_missing", "the matrix has levels; tests/authorizer/shapes.rs has roles by name"),
    ("tenant_missing", "the matrix has tenants; tests/authorizer/shapes.rs has persons without one"),
    ("busy", "what a lookup met, in the log; a decision says `tenants_unavailable`"),
    ("down", "what a lookup met, in the log; a decision says `tenants_unavailable`"),
    ("slow", "what a lookup met, in the log; a decision says `tenants_unavailable`"),
    ("wrong", "what a lookup met, in the log; a decision says `tenants_unavailable`"),
];

#[expect(clippy::needless_pass_by_value, reason = "the kit hands the text over")]
fn edge(text: String) -> String {
    text.replacen(
        "policies:\n",
        "policies:
  own-tenant: { kind: session, tenant: { path_segment: 2 } }
  tried-out: { kind: session, role: 2, mode: shadow }\n",
        1,
    )
    .replacen(
        "answers:\n",
        "limits:\n  once: { per: route, rate: 1, seconds: 3600 }\nanswers:\n",
        1,
    ) + "  - { name: workspace, host: api, prefix: /tenants, policy: own-tenant, to: legacy, answers: users }
  - { name: tried, host: api, prefix: /tried, policy: tried-out, to: legacy, answers: users }
  - { name: full, host: api, prefix: /full, policy: signed-in, to: legacy, answers: users, limits: [once] }
  - { name: door, host: api, prefix: /door, policy: public, to: legacy, answers: users, limits: [once] }
"
}

/// What a caller adds to a check.
type Offer = Box<dyn Fn(Check) -> Check>;

fn person(authz: &Authz, changes: &Value) -> Offer {
    let token = authz.home.session.token(&claims_with(changes));
    Box::new(move |check| check.session(&token))
}

fn bearer(token: String) -> Offer {
    Box::new(move |check| check.bearer(&token))
}

fn cookie(value: &str) -> Offer {
    let value = value.to_owned();
    Box::new(move |check| check.session(&value))
}

/// Everybody: a name, and what they offer.
fn principals(authz: &Authz) -> Vec<(String, Offer)> {
    let mut all: Vec<(String, Offer)> = vec![("nobody".to_owned(), Box::new(|check| check))];
    for (tenant, state) in [(TENANT, "active"), (SUSPENDED, "suspended"), (UNLISTED, "unknown")] {
        for (kind, role, scope, session) in [
            ("role 0", 0, "", SESSION),
            ("role 1", 1, "", SESSION),
            ("role 2", 2, "", SESSION),
            ("role 0, one scope of two", 0, "books.read", SESSION),
            ("role 0, both scopes", 0, "books.read books.list", SESSION),
            ("role 2, both scopes", 2, "books.read books.list", SESSION),
            ("role 2, revoked session", 2, "books.read books.list", REVOKED),
        ] {
            let claims = json!({ "tenantId": tenant, "role": role, "scope": scope, "sid": session });
            all.push((format!("person, tenant {state}, {kind}"), person(authz, &claims)));
        }
    }
    let home = &authz.home;
    let good = authz.token();
    let header = |changes: &[(&str, &str)]| {
        let mut header = home.session.header();
        for (name, value) in changes {
            header[*name] = json!(value);
        }
        cookie(&home.session.sign(&header.to_string(), &claims_with(&json!({})).to_string()))
    };
    let stranger = Es256::generate("stranger");
    let mut forged = Es256::generate("x");
    forged.kid.clone_from(&home.session.kid);
    let crumbs = "c=1;".repeat(1_001);
    let (one, two) = (good.clone(), good.clone());
    let mut token = |what: &str, offer: Offer| all.push((format!("token, {what}"), offer));
    token("expired", person(authz, &json!({ "exp": NOW - 61 })));
    token("not yet valid", person(authz, &json!({ "nbf": NOW + 61 })));
    token("other audience", person(authz, &json!({ "aud": "https://other.test" })));
    token("other issuer", person(authz, &json!({ "iss": "https://other.test" })));
    token("claim missing", person(authz, &json!({ "sid": null })));
    token("claim of another type", person(authz, &json!({ "role": "x" })));
    let twice = claims_with(&json!({})).to_string().replacen('{', "{\"sub\":\"x\",", 1);
    token("claim twice", cookie(&authz.home.session.sign(&authz.home.session.header().to_string(), &twice)));
    token("refresh token", header(&[("typ", "rt+jwt")]));
    token("other algorithm", header(&[("alg", "HS256")]));
    token("unknown key", cookie(&stranger.token(&claims_with(&json!({})))));
    token("bad signature", cookie(&forged.token(&claims_with(&json!({})))));
    token("nonsense", cookie("nonsense"));
    token("too long", cookie(&"x".repeat(16_385)));
    token("as bearer", bearer(good.clone()));
    token("malformed bearer", Box::new(move |check| check.header("authorization", format!("Bearer  {one}"))));
    token("two authorizations", Box::new(move |check| check.bearer(&two).bearer(&two)));
    token("cookie and bearer disagree", Box::new(move |check| check.session(&good).bearer("other")));
    token("a thousand cookies", Box::new(move |check| check.cookie_line(format!("{crumbs}{COOKIE}=x"))));

    let sign = |issuer: &str, key: &str, caller: &Caller, audience: &str, at: u64| {
        let signer = Signer::from_file(issuer, &home.at(&format!("{key}.pem"))).unwrap();
        bearer(signer.sign(caller, audience, UnixTime::from_seconds(at)).unwrap())
    };
    let service = |name: &str| Caller::Service(name.parse().unwrap());
    let someone = Caller::Person(Person {
        subject: SUBJECT.parse().unwrap(),
        tenant: Some(TENANT.parse().unwrap()),
        roles: Vec::new(),
        session: Some(SESSION.parse().unwrap()),
        role: Some(Role::BOT),
        scopes: Vec::new(),
    });
    let mut calls = |what: &str, offer: Offer| all.push((format!("service {what}"), offer));
    calls("auth", sign("auth", "auth", &service("auth"), "test", NOW));
    calls("sync", sign("sync", "sync", &service("sync"), "test", NOW));
    calls("auth, nonsense", bearer("nonsense".to_owned()));
    calls("auth, with sync's key", sign("auth", "sync", &service("auth"), "test", NOW));
    calls("sync, as auth", sign("sync", "sync", &service("auth"), "test", NOW));
    calls("auth, for a person", sign("auth", "auth", &someone, "test", NOW));
    calls("auth, to another edge", sign("auth", "auth", &service("auth"), "prod", NOW));
    calls("auth, an hour ago", sign("auth", "auth", &service("auth"), "test", NOW - 3_600));
    calls("that is not listed", sign("test", "identity", &service("auth"), "test", NOW));
    all
}

fn cell(answer: &Answer) -> String {
    let shadow = answer.metadata.get("shadow_reason");
    let shadow = shadow.map(|reason| format!(" (shadow: {reason})")).unwrap_or_default();
    format!("{} {}{shadow}", answer.status, answer.reason)
}

/// Gives how many of the decisions could be used again.
async fn decisions(text: &mut String, edit: impl Fn(String) -> String) -> usize {
    let home = Home::new();
    home.revoke(REVOKED, NOW - 10, NOW + 100_000);
    let authz = Authz::start_with(home, edit).await;
    let mut leases = 0;
    // Each of the two limits allows one request; this is it.
    authz.ask(authz.check("full").session(&authz.token())).await.expect(200, "allowed");
    authz.ask(authz.check("door")).await.expect(200, "allowed");
    let all = principals(&authz);
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap();
    for (route, what) in ROUTES {
        let _ = writeln!(text, "{route}: {what}");
        let (called, variant) = route.split_once(' ').unwrap_or((route, ""));
        let tenant = if variant == "elsewhere" { SUSPENDED } else { TENANT };
        for (name, offer) in &all {
            let mut check = authz.check(called).method("GET").target(&format!("/tenants/{tenant}/x"));
            if variant == "outside" {
                check = check.extension("exposure", "public");
            }
            let answer = authz.ask(offer(check)).await;
            if answer.grant().is_some() {
                assert!(
                    answer.is(200, "allowed") && ["me", "create", "shelf"].contains(&route),
                    "{name} on {route}"
                );
                leases += 1;
            }
            let _ = writeln!(text, "  {name:<width$}  {}", cell(&answer));
        }
        text.push('\n');
    }
    leases
}

/// Leases change who is asked, and never what is decided.
#[tokio::test]
async fn every_decision_is_the_same_with_leases() {
    let (mut without, mut with) = (String::new(), String::new());
    assert_eq!(decisions(&mut without, edge).await, 0);
    let leases = decisions(&mut with, |text| edge(leased(LEASE)(text))).await;
    // People of the active tenant in a live session, one of them by a bearer token: seven on `me`, two of them with role
    // 2 on `create`, three with both scopes on `shelf`.
    assert_eq!(leases, 7 + 2 + 3);
    let diff = similar::TextDiff::from_lines(&without, &with);
    assert!(without == with, "{}", diff.unified_diff().context_radius(0).header("without leases", "with"));
}

/// A person who would pass, while the authorizer cannot decide.
async fn failures(text: &mut String) {
    let mut rows = Vec::new();
    let authz = Authz::start_with(Home::new(), edge).await;
    let good = || authz.check("me").session(&authz.token());
    for (what, check) in [
        ("Envoy's question lacks the route", good().without_extension("route")),
        ("Envoy names a route that is not there", good().extension("route", "nowhere")),
        ("Envoy has another revision", good().extension("revision", "0000000000000000")),
        ("Envoy has another policy", good().extension("policy", "public")),
    ] {
        rows.push((what, cell(&authz.ask(check).await)));
    }
    for (what, file) in [
        ("no session keys", "session.jwks.json"),
        ("no tenant directory", "tenants.yaml"),
        ("no revocations to be read", "revoked.jsonl"),
    ] {
        let home = Home::new();
        let _ = std::fs::remove_file(home.at(file));
        // A directory in the file's place cannot be read.
        std::fs::create_dir(home.at(file)).unwrap();
        let authz = Authz::start_with(home, edge).await;
        rows.push((what, cell(&authz.ask_with(&authz.token()).await)));
    }
    let width = rows.iter().map(|(what, _)| what.len()).max().unwrap();
    let _ = writeln!(text, "me, for a person who would pass, while nothing can be decided");
    for (what, cell) in rows {
        let _ = writeln!(text, "  {what:<width$}  {cell}");
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/matrix.txt")
}

#[tokio::test]
async fn every_decision_is_the_one_that_is_written_down() {
    let mut text = String::from(
        "Who may do what. Written by tests/authorizer/matrix.rs, read by reviewers; a line that changes is a\n\
         decision that changes.\n\n",
    );
    assert_eq!(decisions(&mut text, edge).await, 0, "no policy of these leases");
    failures(&mut text).await;
    text.push('\n');
    credentials::decisions(&mut text).await;
    credentials::failures(&mut text).await;
    text.push('\n');
    machines::decisions(&mut text).await;
    machines::failures(&mut text).await;
    webhooks::decisions(&mut text).await;
    certificates::decisions(&mut text).await;
    introspection::decisions(&mut text).await;
    split::decisions(&mut text).await;
    let path = golden();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(&written, &text);
    assert!(
        written == text,
        "decisions differ from {}:\n{}",
        path.display(),
        diff.unified_diff().context_radius(0).header("written down", "decided")
    );
}

/// Every code that the source can give, read from the bodies of its functions `code`.
fn codes(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes(&path, found);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for body in source.split("fn code(").skip(1) {
            let body = body.split("\n    }\n").next().unwrap();
            found.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
}

#[tokio::test]
async fn every_reason_is_in_the_matrix_or_on_the_list() {
    let mut found = BTreeSet::new();
    codes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() >= 40 && found.contains("role_too_low"), "codes are not found any more: {found:?}");
    let matrix = std::fs::read_to_string(golden()).unwrap();
    // What stands behind a status is a decision; the same word in a name or a title is none.
    let decided = |line: &'static str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_status = |word: &str| word.len() == 3 && word.parse::<u16>().is_ok();
        let codes = words.windows(2).filter(|pair| is_status(pair[0])).map(|pair| pair[1]);
        codes.collect::<Vec<_>>()
    };
    let matrix: &'static str = matrix.leak();
    let shown: BTreeSet<&str> = matrix.lines().flat_map(decided).collect();
    let listed: BTreeSet<&str> = NOT_IN_THE_MATRIX.iter().map(|(code, _)| *code).collect();
    let missing: Vec<_> = found
        .iter()
        .filter(|code| !shown.contains(code.as_str()) && !listed.contains(code.as_str()))
        .collect();
    assert!(missing.is_empty(), "in no row of the matrix: {missing:?}; add a principal that meets them");
    for code in listed {
        assert!(found.contains(code), "{code} exists no more: take it off the list");
        assert!(!shown.contains(code), "{code} is in the matrix now: take it off the list");
    }
}
