//! The bearer token that a page offers as a protocol of its WebSocket: it counts as any bearer token, and goes no further.

use harness::wire::{Answer, Request};
use harness::{Backend, Edge, EdgeBuilder, SESSION_COOKIE, eventually, pause, tokens};
use serde_json::json;

const ROUTES: &str = "routes:
  - { name: live, host: api, prefix: /live, policy: signed-in, upgrade: websocket, to: legacy, answers: library }
  - { name: brief, host: api, prefix: /brief, policy: signed-in, upgrade: websocket, ends_with: nothing, to: legacy, answers: library }
  - { name: lobby, host: api, prefix: /lobby, policy: public, upgrade: websocket, to: legacy, answers: library }
";

fn builder(backend: &Backend, protocol: &str) -> EdgeBuilder {
    Edge::dev()
        .replace("  bearer: true\n", &format!("  bearer: true\n  websocket_protocol: {protocol}\n"))
        .replace("routes:\n", ROUTES)
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .every_backend(backend.address())
}

/// The opening handshake of a WebSocket with these protocols. The backend declines with 200, which is all that it needs to show
/// what it received.
fn opening(edge: &Edge, path: &str, protocols: &str) -> Request {
    edge.get(path)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Protocol", protocols)
}

fn cookie(token: &str) -> String {
    format!("{SESSION_COOKIE}={token}")
}

/// The request was refused before a backend, with these details in the access log.
fn is_refused(edge: &Edge, backend: &Backend, what: &str, answer: &Answer, (status, why): (u16, &str)) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert!(backend.seen().is_empty(), "{what} reaches no backend");
    eventually(&format!("{what}: the access log says {why}"), || {
        let said = |line: &serde_json::Value| line["details"] == why || line["reason"] == why;
        edge.access_log(1).iter().any(said)
    });
}

#[test]
fn the_token_is_a_bearer_token_and_the_backend_sees_the_other_protocols() {
    let backend = Backend::plain();
    let edge = builder(&backend, "bearer.").start();
    let token = edge.mint().good(0);
    let entry = format!("bearer.{token}");
    let refused = |what: &str, request: Request, why| is_refused(&edge, &backend, what, &request.send(), why);

    let expired = edge.mint().with(|claims| {
        claims.insert("iat".to_owned(), json!(tokens::now() - 7_200));
        claims.insert("exp".to_owned(), json!(tokens::now() - 3_600));
    });
    let forged = entry.replace("bearer.e", "bearer.E");
    let other = edge.mint().with(|claims| {
        claims.insert("sub".to_owned(), json!(uuid::Uuid::now_v7()));
    });
    let live = |protocols: &str| opening(&edge, "/live", protocols);
    let unauthenticated = |why: &'static str| (401, why);
    refused("an expired token", live(&format!("chat, bearer.{expired}")), unauthenticated("token_expired"));
    refused("a forged token", live(&format!("chat, {forged}")), unauthenticated("token_malformed"));
    refused("no token", live("chat"), unauthenticated("no_credential"));
    refused(
        "the cookie of another person",
        live(&format!("chat, {entry}")).header("Cookie", cookie(&other)),
        unauthenticated("ambiguous_credential"),
    );
    let twice = (400, "edge_guard_websocket_token");
    refused("two tokens", live(&format!("{entry}, chat, {entry}")), twice);
    refused("two lines", live(&format!("{entry}, chat")).header("sec-websocket-protocol", &entry), twice);
    refused(
        "a token beside Authorization",
        live(&format!("{entry}, chat")).header("Authorization", format!("Bearer {token}")),
        twice,
    );
    refused("a token that is none", live("chat, bearer.a!b"), twice);
    refused("a token alone", live(&entry), (400, "edge_guard_websocket_token_alone"));
    refused(
        "a request that opens no WebSocket",
        edge.get("/live").header("Sec-WebSocket-Protocol", format!("chat, {entry}")),
        unauthenticated("no_credential"),
    );

    for own in [None, Some(cookie(&token))] {
        let request = live(&format!("chat.v2, {entry},chat.v1"));
        let request = match &own {
            Some(own) => request.header("Cookie", own),
            None => request,
        };
        assert_eq!(request.send().status, 200, "{own:?}");
        let seen = backend.last();
        assert_eq!(seen.all("sec-websocket-protocol"), ["chat.v2, chat.v1"]);
        assert_eq!(seen.all("authorization"), [format!("Bearer {token}")]);
        assert!(seen.header("x-madome-auth-sub").is_some(), "{seen:?}");
    }
    // Without a token nothing changes, and where no decision reads one it is the backend's own.
    assert_eq!(live("chat.v2,chat.v1").header("Cookie", cookie(&token)).send().status, 200);
    assert_eq!(backend.last().all("sec-websocket-protocol"), ["chat.v2,chat.v1"]);
    let untouched = format!("chat,{entry}");
    assert_eq!(opening(&edge, "/lobby", &untouched).send().status, 200);
    assert_eq!(backend.last().all("sec-websocket-protocol"), [untouched.as_str()]);

    for line in edge.access_log(10) {
        let line = line.to_string();
        assert!(![&token, &expired, &other].iter().any(|secret| line.contains(secret.as_str())), "{line}");
    }
    let explained = edge.explain(&[
        "GET http://api.dev-domain.test/live",
        "-H",
        "connection: upgrade",
        "-H",
        "upgrade: websocket",
        "-H",
        &format!("sec-websocket-protocol: chat, {entry}"),
    ]);
    assert_eq!(explained["decision"], "allow", "{explained:#}");
    assert!(!explained.to_string().contains(&token), "{explained:#}");
}

#[test]
fn an_encoded_token_of_kubernetes_reaches_no_backend_that_receives_no_credentials() {
    let backend = Backend::plain();
    let prefix = "base64url.bearer.authorization.k8s.io.";
    let legacy = "legacy:\n    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"\n";
    let edge = builder(&backend, &format!("{{ prefix: {prefix}, encoding: base64url }}"))
        .replace(legacy, &format!("{legacy}    credentials: remove\n"))
        .start();
    let token = edge.mint().good(0);
    let entry = format!("{prefix}{}", tokens::base64url(token.as_bytes()));
    assert_eq!(opening(&edge, "/live", &format!("v4.channel.k8s.io, {entry}")).send().status, 200);
    let seen = backend.last();
    assert_eq!(seen.all("sec-websocket-protocol"), ["v4.channel.k8s.io"]);
    assert!(seen.header("authorization").is_none(), "{seen:?}");
    assert!(seen.header("x-madome-auth-sub").is_some(), "{seen:?}");
    assert_eq!(opening(&edge, "/live", &format!("v4.channel.k8s.io, {prefix}{token}")).send().status, 400);
}

#[test]
fn a_lease_of_a_cookie_does_not_stand_in_for_a_token() {
    let backend = Backend::plain();
    let edge = builder(&backend, "bearer.")
        .replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: { seconds: 10 } }")
        .start();
    let (token, own) = (edge.mint().good(0), edge.mint().good(0));
    let mine = || opening(&edge, "/brief", "chat").header("Cookie", cookie(&own));
    eventually("leases serve the cookie alone", || {
        assert_eq!(mine().send().status, 200);
        pause(std::time::Duration::from_millis(500), "two polls of the feed have passed");
        let before = edge.leased();
        assert_eq!(mine().send().status, 200);
        edge.leased() > before
    });
    let before = (backend.seen().len(), edge.leased());
    let other = edge.mint().with(|claims| {
        claims.insert("sub".to_owned(), json!(uuid::Uuid::now_v7()));
    });
    for protocols in [format!("chat, bearer.{other}"), "chat, bearer.x.y.z".to_owned()] {
        let answer = opening(&edge, "/brief", &protocols).header("Cookie", cookie(&own)).send();
        assert_eq!(answer.status, 401, "{protocols}: {answer:?}");
    }
    assert_eq!((backend.seen().len(), edge.leased()), before, "neither reached a backend or a lease");
    for _ in 0..5 {
        assert_eq!(opening(&edge, "/brief", &format!("bearer.{token}, chat")).send().status, 200);
        assert_eq!(backend.last().all("sec-websocket-protocol"), ["chat"]);
    }
    assert_eq!(edge.leased(), before.1, "each token is checked");
}
