//! An edge whose file names the headers itself: backends receive these names and no others, and no client can write them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::collections::BTreeSet;

use base64::Engine as _;
use harness::wire::Answer;
use harness::{Backend, Edge, EdgeBuilder, Part, Seen, eventually, tokens};
use identity::assertion::Verifier;
use identity::{Caller, Form};

const PLAIN: &str = "signed-in: { kind: session }";

/// The identity of a product that has no session header, no marks, and its own name for the request id.
const OWN: &str = "identity: { subject: x-caller, role: x-caller-level, tenant: x-org, signed: { header: x-assertion, \
                   typ: shop-identity+jwt, claims: { subject: uid, tenant: org } } }\n\
                   request_id: { header: x-trace-id, on_answers: refusals }\n";

/// The development edge with another section `identity`, and nothing more reserved than the edge's own names.
fn named(sections: &str) -> EdgeBuilder {
    let file = harness::repository().join("envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, after) = text.split_once("\nidentity:\n").unwrap();
    let (inside, _) = after.split_once("\n# On a public listener these are closed").unwrap();
    Edge::dev().replace(&format!("identity:\n{inside}"), sections)
}

/// Header names that the edge adds to a request of [`get`], besides those of its section `identity`.
const ALWAYS: [&str; 5] =
    ["host", "cookie", "x-forwarded-for", "x-forwarded-proto", "x-madome-public-access"];

fn received(seen: &Seen) -> BTreeSet<String> {
    seen.names().into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn get(edge: &Edge, token: &str) -> Answer {
    edge.get("/books/1").token(token).send()
}

/// Asserts that the backend received the names of [`OWN`] with the caller's values, and no others of the edge.
fn assert_own(seen: &Seen, subject: &str) {
    let named = ["x-caller", "x-caller-level", "x-org", "x-assertion", "x-trace-id"];
    let expected: BTreeSet<String> = ALWAYS.into_iter().chain(named).map(str::to_owned).collect();
    assert_eq!(received(seen), expected, "{seen:?}");
    assert_eq!(seen.all("x-caller"), [subject]);
    assert_eq!(seen.all("x-caller-level"), ["1"]);
    assert_eq!(seen.all("x-org"), [tokens::DEMO_TENANT]);
    assert_eq!(seen.all("x-assertion").len(), 1);
}

#[test]
fn a_backend_receives_exactly_the_names_of_the_edge_file_checked_and_leased() {
    let backend = Backend::plain();
    let edge = named(OWN)
        .replace(PLAIN, "signed-in: { kind: session, lease: { seconds: 10 } }")
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .every_backend(backend.address())
        .start();
    let claims = tokens::claims(1);
    let subject = claims["sub"].as_str().unwrap().to_owned();
    let token = edge.mint().sign(&edge.mint().header(), &claims);
    assert_eq!(get(&edge, &token).status, 200);
    assert_own(&backend.last(), &subject);
    eventually("a lease serves", || {
        let before = edge.leased();
        assert_eq!(get(&edge, &token).status, 200);
        edge.leased() > before
    });
    assert_own(&backend.last(), &subject);
    assert_signed(&edge, &backend.last(), &subject);
    assert_forged_never_arrive(&edge, &backend, &token);
}

/// The signed identity verifies in the form of the edge file and in no other.
fn assert_signed(edge: &Edge, seen: &Seen, subject: &str) {
    let signed = seen.header("x-assertion").unwrap();
    let form = Form {
        typ: "shop-identity+jwt".to_owned(),
        subject: "uid".to_owned(),
        tenant: "org".to_owned(),
        ..Form::default()
    };
    let keys = edge.home().join("keys/identity.jwks.json");
    let verifier = || Verifier::new("legacy").trust_file("dev", &keys).unwrap();
    let now = clock::UnixTime::from_seconds(tokens::now());
    let caller = verifier().reading(form).verify(&signed, now).unwrap();
    let Caller::Person(person) = caller else { panic!("{caller:?}") };
    assert_eq!(person.subject.to_string(), subject);
    assert!(verifier().verify(&signed, now).is_err());
    let part = signed.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["uid"], &claims["org"]), (&subject.into(), &tokens::DEMO_TENANT.into()));
    assert!(claims.get("sub").is_none() && claims.get("tenant").is_none(), "{claims}");
}

/// Sends each reserved name in many spellings, with a good token, and looks for it at the backend.
fn assert_forged_never_arrive(edge: &Edge, backend: &Backend, token: &str) {
    let names = [
        "x-caller",
        "x-caller-level",
        "x-org",
        "x-assertion",
        "x-cutover-decided",
        "x-cutover-kind",
        "x-cutover-session",
        "x-cutover-tenant",
        "x-cutover-anything",
        "x-forwarded-for",
        "x-envoy-internal",
        "forwarded",
        "x-real-ip",
        "x-original-url",
    ];
    for name in names {
        let odd = |(at, c): (usize, char)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c };
        let mixed: String = name.chars().enumerate().map(odd).collect();
        for spelled in [name, &name.to_uppercase(), &mixed, &name.replace('-', "."), &name.replace('-', "!")]
        {
            let sent = edge.get("/books/1").token(token).header(spelled, "forged").header(spelled, "forged");
            assert_eq!(sent.send().status, 200, "{spelled}");
            let head = String::from_utf8_lossy(&backend.last().head).into_owned();
            assert!(!head.contains("forged"), "{spelled} arrived:\n{head}");
        }
        let before = backend.seen().len();
        for spelled in [name.replace('-', "_"), name.replacen('-', "_", 1)].iter().filter(|s| s.contains('_'))
        {
            let sent = edge.get("/books/1").token(token).header(spelled, "forged");
            assert_eq!(sent.send().status, 400, "{spelled}: Envoy refuses an underscore");
        }
        assert_eq!(backend.seen().len(), before, "{name}");
        let nominated = edge.get("/books/1").token(token).header("connection", format!("close, {name}"));
        let answer = nominated.send();
        // The next hop would drop the edge's own header, so either the request ends or Envoy keeps `Connection` to itself.
        assert!(
            answer.status == 400 || backend.last().all("connection").is_empty(),
            "{name} in `Connection`"
        );
    }
    // What the file does not name is the client's own.
    let own = edge.get("/books/1").token(token).header("x-tenant-id", "mine").header("x-request-id", "mine");
    assert_eq!(own.send().status, 200);
    let seen = backend.last();
    assert_eq!(
        (seen.all("x-tenant-id"), seen.all("x-request-id")),
        (vec!["mine".to_owned()], vec!["mine".to_owned()])
    );
}

/// Shares and canaries depend on the caller, also where no backend learns about the caller.
#[test]
fn an_edge_that_tells_backends_nothing_still_chooses_by_session_and_tenant() {
    let (legacy, users) = (Backend::plain(), Backend::plain());
    let books = "name: books, host: api, prefix: /books, policy: signed-in, to: legacy,";
    let edge = named("identity: {}\n")
        .replace(
            books,
            "name: books, host: api, prefix: /books, policy: signed-in, to: { legacy: 50, users: 50, sticky: session },",
        )
        .replace(
            "routes:\n",
            &format!(
                "routes:\n  - {{ name: canary, host: api, prefix: /canary, policy: signed-in, to: legacy, answers: auth, \
                 canary: [{{ tenant: {}, to: users }}] }}\n",
                tokens::DEMO_TENANT
            ),
        )
        .stand_in("LEGACY_ADDRESS", legacy.address())
        .stand_in("USERS_ADDRESS", users.address())
        .without(Part::Auth)
        .start();
    let mut shares = BTreeSet::new();
    for _ in 0..24 {
        let token = edge.mint().good(0);
        let took = || {
            let before = (legacy.seen().len(), users.seen().len());
            assert_eq!(get(&edge, &token).status, 200);
            (legacy.seen().len() - before.0, users.seen().len() - before.1)
        };
        let first = took();
        assert!((0..3).all(|_| took() == first), "a session changed its backend");
        shares.insert(first);
    }
    assert_eq!(shares.len(), 2, "24 sessions went to one backend");
    assert_eq!(edge.get("/canary").token(&edge.mint().good(0)).send().status, 200);
    let canary = users.last();
    assert!(canary.request_line().contains("/canary"), "{canary:?}");
    for seen in legacy.seen().iter().chain(&users.seen()) {
        let extra: Vec<_> =
            received(seen).into_iter().filter(|name| !ALWAYS.contains(&name.as_str())).collect();
        assert_eq!(extra, ["x-request-id"], "{seen:?}");
    }
    let forged = edge.get("/canary").token(&edge.mint().good(0)).header("x-cutover-tenant", "another");
    assert_eq!(forged.send().status, 200);
    assert!(users.last().request_line().contains("/canary"), "a client chose its backend");
}

/// Each way in which a request is refused, and the id on the answer, which is the one in the log.
#[test]
fn a_refused_client_can_name_its_request() {
    let backend = Backend::plain();
    let edge = named(OWN).with_open_route().every_backend(backend.address()).start();
    let id = "01932c07-0000-7000-8000-000000000001";
    let refused = [
        ("the guard", edge.get("/internal/x"), 404),
        ("the guard", edge.get("/books/%00"), 400),
        ("the authorizer", edge.get("/books/1"), 401),
        ("Envoy", edge.request("TRACE", "/books/1"), 405),
    ];
    for (by, request, status) in refused {
        let answer = request.header("x-trace-id", id).send();
        assert_eq!(answer.status, status, "{by}");
        assert_eq!(answer.all("x-trace-id"), [id], "{by}, {status}");
    }
    let minted = edge.get("/books/2").send().all("x-trace-id");
    assert_eq!(minted.len(), 1, "an id of the edge's own");
    assert_eq!(edge.logged("/books/2", 401)["request_id"], minted[0].as_str());
    // Before the guard, Envoy makes the id.
    let early = edge.get("/early").header("x_underscore", "1").send();
    assert_eq!((early.status, early.all("x-trace-id").len()), (400, 1));
    let early = early.all("x-trace-id");
    eventually("the log has the id of the answer", || {
        edge.access_log(1).iter().any(|line| line["status"] == 400 && line["request_id"] == early[0].as_str())
    });
    // A backend's answer stays as it is.
    assert!(edge.get("/open").send().all("x-trace-id").is_empty());
    let explained = edge.cutover(&["explain", "--id", minted[0].as_str(), "--json"]);
    assert!(explained.contains("no_credential"), "{explained}");
}

#[test]
fn every_answer_or_none_carries_the_id_as_the_edge_file_says() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let backend = Backend::with(|seen| {
        let own = "HTTP/1.1 200 OK\r\nX-Trace-Id: of-the-backend\r\ncontent-length: 0\r\n\r\n";
        if seen.request_line().contains("/own") { own.into() } else { answer.into() }
    });
    let start = |on: &str| {
        named(&format!("identity: {{}}\nrequest_id: {{ header: x-trace-id, on_answers: {on} }}\n"))
            .with_open_route()
            .every_backend(backend.address())
            .start()
    };
    let edge = start("always");
    let answered = edge.get("/open").send();
    assert_eq!(answered.all("x-trace-id"), backend.last().all("x-trace-id"));
    assert_eq!(
        edge.get("/open/own").send().all("x-trace-id"),
        ["of-the-backend"],
        "a backend's own header wins"
    );
    assert_eq!(edge.get("/books/1").send().all("x-trace-id").len(), 1);
    let edge = start("never");
    for path in ["/open", "/books/1", "/internal", "/open/own"] {
        let expected: &[&str] = if path == "/open/own" { &["of-the-backend"] } else { &[] };
        assert_eq!(edge.get(path).send().all("x-trace-id"), expected, "{path}");
    }
}
