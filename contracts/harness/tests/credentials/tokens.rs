//! Access tokens and cookies end to end: the client's request, Envoy's handling, the authorizer's decision and the
//! backend's view. The authorizer's own tests cover every fault of a token with its reason; these tests show that
//! nothing on the way turns a refusal into a pass or an error.
#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

pub(crate) mod wrong;

use harness::tokens::{SUSPENDED_TENANT, base64url, claims, now};
use harness::wire::{Answer, Connection, h2};
use harness::{Backend, Edge};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use wrong::{expired, twice, under, with, without};

fn edge_before(backend: &Backend) -> Edge {
    Edge::dev().with_open_route().every_backend(backend.address()).start()
}

/// Header lines, name and value.
type Lines = Vec<(&'static str, String)>;

fn cookie(token: &str) -> String {
    format!("madome_access_token={token}")
}

/// 401 with the text of the users' routes, and nothing that a client would store.
fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (401, "Unauthoirzed"), "{what}: {answer:?}");
    assert!(
        answer.header("set-cookie").is_none() && answer.header("content-type").is_none(),
        "{what}: {answer:?}"
    );
}

#[test]
fn invalid_tokens_are_refused() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let mint = edge.mint();
    let good = mint.good(0);
    let (message, signature) = good.rsplit_once('.').expect("a token has a signature");
    let (header, payload) = message.split_once('.').expect("a token has a payload");
    let unsigned = |alg: &str| {
        base64url(json!({ "typ": "at+jwt", "alg": alg, "kid": mint.kid() }).to_string().as_bytes())
    };
    let jwks = std::fs::read(edge.home().join("keys/session.jwks.json")).expect("the public keys are there");
    let by_hand = |secret: &[u8]| {
        let message = format!("{}.{payload}", unsigned("HS256"));
        let key = EncodingKey::from_secret(secret);
        let tag =
            jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("it can be signed");
        format!("{message}.{tag}")
    };
    // The edge must never fetch keys from an address that a token names.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener can be polled");
    let url = format!("http://{}/keys", listener.local_addr().expect("it listens"));

    let mut cases: Vec<(String, String)> = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE"] {
        cases.push((format!("algorithm {alg}, no signature"), format!("{}.{payload}.", unsigned(alg))));
        cases.push((format!("algorithm {alg}, no last dot"), format!("{}.{payload}", unsigned(alg))));
        cases.push((
            format!("algorithm {alg}, a signature"),
            format!("{}.{payload}.{signature}", unsigned(alg)),
        ));
    }
    cases.extend([
        ("an empty signature".to_owned(), format!("{message}.")),
        ("no signature".to_owned(), message.to_owned()),
        ("a symmetric signature with the public keys".to_owned(), by_hand(&jwks)),
        ("a symmetric signature with a blank key".to_owned(), by_hand(b"")),
        ("a signature of zeros".to_owned(), format!("{message}.{}", base64url(&[0; 64]))),
        ("a signature that is too long".to_owned(), format!("{message}.{signature}AAAA")),
        ("five parts".to_owned(), format!("{good}.AAAA.AAAA")),
        ("a token in a token".to_owned(), mint.sign_text(&mint.header().to_string(), &good)),
        ("JSON".to_owned(), json!({ "payload": payload, "protected": header }).to_string()),
        ("padding".to_owned(), format!("{good}=")),
        ("the other alphabet".to_owned(), format!("{header}.{payload}+/.{signature}")),
        ("nothing".to_owned(), String::new()),
        ("dots".to_owned(), "..".to_owned()),
        ("bytes that are not text".to_owned(), "\u{e9}\u{1f511}".to_owned()),
        ("another algorithm in the header".to_owned(), under(&mint, "alg", json!("ES384"))),
        ("an unknown extension".to_owned(), under(&mint, "crit", json!(["x"]))),
        ("a payload that is not encoded".to_owned(), under(&mint, "b64", json!(false))),
        ("a refresh token".to_owned(), under(&mint, "typ", json!("rt+jwt"))),
        ("an identity".to_owned(), under(&mint, "typ", json!("identity+jwt"))),
        (
            "another environment's issuer".to_owned(),
            with(&mint, "iss", json!("https://api.elsewhere.test/auth")),
        ),
        (
            "another environment's audience".to_owned(),
            with(&mint, "aud", json!("https://api.elsewhere.test")),
        ),
        (
            "two audiences elsewhere".to_owned(),
            with(&mint, "aud", json!(["https://api.dev-domain.test/", "https://api.elsewhere.test"])),
        ),
        ("expired, beyond the leeway".to_owned(), expired(&mint, 62)),
        ("issued in the future".to_owned(), with(&mint, "iat", json!(now() + 600))),
        ("not valid yet".to_owned(), with(&mint, "nbf", json!(now() + 600))),
        ("two subjects".to_owned(), twice(&mint, "sub", "\"00000000-0000-7000-8000-0000000000aa\"")),
        ("two ends".to_owned(), twice(&mint, "exp", "99999999999")),
        ("very deep".to_owned(), mint.sign_text(&mint.header().to_string(), &"[".repeat(30_000))),
    ]);
    for kid in [
        json!("../../../etc/passwd"),
        json!("' OR 1=1 --"),
        json!("a\u{0}b"),
        json!("k".repeat(10_000)),
        json!(1),
    ] {
        cases.push((format!("key {kid:.40}"), under(&mint, "kid", kid)));
    }
    for claim in ["iss", "aud", "sub", "sid", "tenantId", "role", "exp"] {
        cases.push((format!("no {claim}"), without(&mint, claim)));
    }
    for (claim, text) in [
        ("exp", "\"99999999999\""),
        ("exp", "1e400"),
        ("exp", "9999999999999999999.5"),
        ("exp", "-1"),
        ("exp", "null"),
    ] {
        let rest = claims(0).as_object().map(|all| {
            let mut all = all.clone();
            all.remove(claim);
            Value::Object(all).to_string()
        });
        let text = format!("{{\"{claim}\":{text},{}", &rest.unwrap_or_default()[1..]);
        cases.push((
            format!("{claim} of the wrong kind: {text:.30}"),
            mint.sign_text(&mint.header().to_string(), &text),
        ));
    }
    for (what, token) in &cases {
        assert_refused(&edge.get("/users/@me").token(token).send(), &format!("{what}, in the cookie"));
        let answer = edge.get("/users/@me").header("authorization", format!("Bearer {token}")).send();
        assert_refused(&answer, &format!("{what}, as bearer"));
    }
    assert!(backend.seen().is_empty(), "forwarded: {:?}", backend.last());
    // The authorizer ignores members that it does not need: the key is always the issuer's own.
    for (member, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", json!({ "kty": "EC" })),
        ("x5c", json!(["AAAA"])),
        ("x5t", json!("AAAA")),
    ] {
        assert_eq!(edge.get("/users/@me").token(&under(&mint, member, value)).send().status, 200, "{member}");
    }
    assert!(listener.accept().is_err(), "the keys that a token named were fetched");
    assert_eq!(edge.get("/users/@me").token(&good).send().status, 200, "the good token they were made from");
    let late = expired(&mint, 50);
    assert_eq!(edge.get("/users/@me").token(&late).send().status, 200, "expired, within the leeway of 60 s");
    let one = with(&mint, "aud", json!(["https://api.dev-domain.test"]));
    assert_eq!(edge.get("/users/@me").token(&one).send().status, 200, "an array of the one audience");
}

#[test]
fn one_rule_decides_where_a_token_is_found() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let good = edge.mint().good(0);
    let other = edge.mint().good(0);
    let line = cookie(&good);
    let big = "y".repeat(50_000);
    let crumbs = "c=1;".repeat(5_000);
    let c = |line: String| vec![("cookie", line)];
    let a = |line: String| vec![("authorization", line)];
    let cases: Vec<(&str, Lines, bool)> = vec![
        ("alone", c(line.clone()), true),
        ("no space behind the semicolon", c(format!("a=1;{line};b=2")), true),
        ("the last one wins", c(format!("madome_access_token=bad; {line}")), true),
        ("the last one wins, also when it is bad", c(format!("{line}; madome_access_token=bad")), false),
        ("two lines", vec![("cookie", "a=1".to_owned()), ("Cookie", line.clone())], true),
        ("two lines that agree", vec![("cookie", line.clone()), ("Cookie", line.clone())], true),
        ("two lines that disagree", vec![("cookie", line.clone()), ("Cookie", cookie(&other))], false),
        ("two lines, one of them bad", vec![("cookie", cookie("bad")), ("cookie", line.clone())], false),
        ("quotes do not belong to the syntax", c(format!("madome_access_token=\"{good}\"")), false),
        ("no legacy mode", c(format!("$Version=1; {line}; $Path=/")), true),
        ("an empty name", c(format!("={good}")), false),
        ("no equals sign", c(good.clone()), false),
        ("a name in upper case", c(line.to_uppercase()), false),
        ("another name", c(format!("x{line}")), false),
        ("a no-break space before the name", c(format!("\u{a0}{line}")), false),
        ("U+2000 before the name", c(format!("\u{2000}{line}")), false),
        ("the refresh cookie", c(format!("madome_refresh_token={good}")), false),
        ("a cookie of 50 KB beside it", c(format!("x={big}; {line}")), true),
        ("5000 crumbs in one line", c(format!("{crumbs}{line}")), false),
        ("bearer", a(format!("Bearer {good}")), true),
        ("bearer in lower case", a(format!("bearer {good}")), true),
        ("two spaces", a(format!("Bearer  {good}")), false),
        ("a tab", a(format!("Bearer\t{good}")), false),
        ("two tokens", a(format!("Bearer {good},{good}")), false),
        ("no scheme", a(good.clone()), false),
        ("another scheme", a(format!("Basic {good}")), false),
        (
            "two authorizations",
            vec![("authorization", format!("Bearer {good}")), ("Authorization", format!("Bearer {good}"))],
            false,
        ),
        (
            "cookie and bearer agree",
            vec![("cookie", line.clone()), ("authorization", format!("Bearer {good}"))],
            true,
        ),
        (
            "cookie and bearer disagree",
            vec![("cookie", line.clone()), ("authorization", format!("Bearer {other}"))],
            false,
        ),
        (
            "cookie and a bad bearer",
            vec![("cookie", line.clone()), ("authorization", "Bearer bad".to_owned())],
            false,
        ),
        (
            "bearer and a bad cookie",
            vec![("cookie", cookie("bad")), ("authorization", format!("Bearer {good}"))],
            false,
        ),
        (
            "a backend's own authorization",
            vec![("cookie", line.clone()), ("authorization", "Basic YTpi".to_owned())],
            true,
        ),
        ("another header", vec![("x-access-token", good.clone()), ("token", good.clone())], false),
        (
            "the cookie, nominated away",
            vec![("cookie", line.clone()), ("connection", "cookie".to_owned())],
            false,
        ),
        (
            "the authorization, nominated away",
            vec![("authorization", format!("Bearer {good}")), ("connection", "Authorization".to_owned())],
            false,
        ),
    ];
    for (what, lines, passes) in cases {
        let before = backend.seen().len();
        let request = lines.iter().fold(edge.get("/users/@me"), |r, (name, value)| r.header(name, value));
        let answer = request.send();
        if passes {
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
            for name in ["cookie", "authorization"] {
                let sent: Vec<_> = lines
                    .iter()
                    .filter(|(n, _)| n.eq_ignore_ascii_case(name))
                    .map(|(_, v)| v.clone())
                    .collect();
                assert_eq!(backend.last().all(name).join("; "), sent.join("; "), "{what}: {name} changed");
            }
        } else {
            assert_refused(&answer, what);
            assert_eq!(backend.seen().len(), before, "{what}");
        }
    }
    for target in [format!("/users/@me?access_token={good}"), format!("/users/@me?{line}")] {
        assert_refused(&edge.get(&target).send(), "a token in the query");
    }
    let body = edge.request("POST", "/users/@me/likes").body(format!("access_token={good}"));
    assert_refused(&body.send(), "a token in the body");
}

#[test]
fn http2_crumbs_are_one_cookie() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let good = edge.mint().good(0);
    let ask = |crumbs: &[String]| {
        let mut lines = h2::headers("GET", "localhost", "/users/@me");
        lines.extend(crumbs.iter().map(|crumb| (b"cookie".to_vec(), crumb.clone().into_bytes())));
        let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
        connection.ask(&lines)
    };
    let crumbs = ["a=1".to_owned(), cookie(&good), "b=2".to_owned()];
    assert_eq!(ask(&crumbs).status(), Some(200));
    assert_eq!(backend.last().all("cookie"), [crumbs.join("; ")], "an HTTP/1.1 backend reads one line");
    let before = backend.seen().len();
    assert_eq!(ask(&[cookie(&good), cookie("bad")]).status(), Some(401), "joined, the last one wins");
    assert_eq!(ask(&[cookie("bad"), cookie(&good)]).status(), Some(200), "joined, the last one wins");
    let many: Vec<String> = (0..5_000).map(|n| format!("c{n}=1")).chain([cookie(&good)]).collect();
    let outcome = ask(&many);
    assert!(outcome.is_refusal(), "5000 crumbs: {outcome:?}");
    assert_eq!(backend.seen().len(), before + 1);
}

#[test]
fn large_tokens_are_refused_and_never_an_error() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let mint = edge.mint();
    for size in [2 << 10, 8 << 10, 16 << 10, 32 << 10, 59_000, 61 << 10, 100 << 10] {
        // Correctly signed, about `size` bytes in all.
        let token = with(&mint, "padding", json!("p".repeat(size * 3 / 4 - 600)));
        let before = backend.seen().len();
        for (where_, request) in [
            ("in the cookie", edge.get("/users/@me").token(&token)),
            ("as bearer", edge.get("/users/@me").header("authorization", format!("Bearer {token}"))),
        ] {
            let status = request.send().status;
            let expected: &[u16] = match token.len() {
                0..=4_096 => &[200],
                4_097..=61_000 => &[200, 401],
                _ => &[431],
            };
            assert!(expected.contains(&status), "{} bytes {where_}: {status}", token.len());
            assert!(status == 200 || backend.seen().len() == before, "{} bytes {where_}", token.len());
        }
    }
}

#[test]
fn the_backend_sees_the_tokens_subject_and_no_other() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let claims = claims(1);
    let token = edge.mint().sign(&edge.mint().header(), &claims);
    let truth = [
        ("x-madome-gw", json!("1")),
        ("x-madome-auth-sub", claims["sub"].clone()),
        ("x-madome-auth-sid", claims["sid"].clone()),
        ("x-madome-auth-role", json!("1")),
        ("x-tenant-id", claims["tenantId"].clone()),
    ];
    let absent =
        ["x-madome-public", "x-madome-auth-scope", "x-madome-take-origin-response", "x-madome-user-id"];
    let plain = edge.get("/users/@me").token(&token);
    let forged = truth.iter().map(|(name, _)| *name).chain(absent).chain(["x-madome-identity"]);
    let forged = forged.fold(plain.clone(), |r, name| {
        r.header(name, "forged")
            .header(name.to_uppercase(), "forged")
            .header(name.replacen('-', ".", 2), "forged")
    });
    let nominated =
        plain.clone().header("Connection", "x-madome-auth-sub, x-tenant-id, x-madome-identity, x-madome-gw");
    let nominated_and_forged = forged.clone().header("Connection", "x-madome-auth-sub, X-Tenant-Id");
    for (what, request) in [
        ("plain", plain),
        ("forged", forged),
        ("nominated away", nominated),
        ("forged and nominated away", nominated_and_forged),
    ] {
        assert_eq!(request.send().status, 200, "{what}");
        let seen = backend.last();
        for (name, value) in &truth {
            assert_eq!(json!(seen.all(name)), json!([value]), "{what}: {name}");
        }
        for name in absent {
            assert!(seen.header(name).is_none(), "{what}: {name} arrived");
        }
        assert_eq!(seen.all("x-madome-identity").len(), 1, "{what}");
        assert!(!String::from_utf8_lossy(&seen.head).contains("forged"), "{what}: {seen:?}");
    }
    // Without a session, forged headers do not arrive.
    let alone = truth
        .iter()
        .fold(edge.get("/users/@me"), |r, (name, value)| r.header(name, value.as_str().unwrap_or("1")));
    assert_refused(&alone.send(), "forged headers without a token");
}

#[test]
fn rights_end_where_the_token_s_do() {
    let backend = Backend::plain();
    let edge = edge_before(&backend);
    let mint = edge.mint();
    let suspended = with(&mint, "tenantId", json!(SUSPENDED_TENANT));
    let unknown = with(&mint, "tenantId", json!("00000000-0000-7000-8000-0000000000ff"));
    for (what, token) in [("a suspended tenant", &suspended), ("a tenant that does not exist", &unknown)] {
        for (target, body) in [("/users/@me", "Permission Denied"), ("/auth/token", "Permission denied")] {
            let answer = edge.get(target).token(token).send();
            assert_eq!((answer.status, answer.text().as_str()), (403, body), "{what}: {answer:?}");
            assert!(answer.header("set-cookie").is_none(), "{what}: {answer:?}");
        }
    }
    let create = |token: &str| edge.request("POST", "/users").token(token).body("{}").send();
    assert_eq!(create(&mint.good(0)).status, 403, "a person is not a bot");
    assert_eq!(create(&mint.good(1)).status, 403, "a developer is not a bot");
    assert!(backend.seen().is_empty(), "forwarded: {:?}", backend.last());
    assert_eq!(create(&mint.good(2)).status, 200, "a bot is");

    // Several refusals and passes on one connection: none affects the next.
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    for (token, status) in [(Some(&suspended), 403), (None, 401), (Some(&mint.good(0)), 200), (None, 401)] {
        let request = edge.get("/users/@me");
        let request = token.map_or_else(|| request.clone(), |token| request.clone().token(token));
        connection.write(&request.bytes()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, status);
    }
}
