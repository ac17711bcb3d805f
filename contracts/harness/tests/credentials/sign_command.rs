//! The edge accepts the output of `cutover sign`: with both algorithms, with either of two live secrets, once, and not
//! again after a restart of the authorizer.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use harness::wire::Request;
use harness::{Backend, Edge, Part, Redis, Signal, eventually, eventually_some};

const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const HOST: &str = "api.dev-domain.test";

fn edge(backend: &Backend, redis: &Redis) -> Edge {
    let edge = Edge::dev()
        .every_backend(backend.address())
        .variable("REDIS_URL", &redis.url())
        .replace(
            "policies:\n",
            "signatures: { keys: \"${CUTOVER_HOME}/keys/signing-keys.yaml\", skew_seconds: 1, headers: [content-type] }

policies:
  sync: { kind: signed, keys: [partner, pair], addresses: [127.0.0.1/32] }
",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: sync, host: api, prefix: /sync, policy: sync, to: users, answers: users }\n",
        )
        .start();
    let keys = edge.home().join("keys");
    for (name, secret) in
        [("old.secret", OLD), ("new.secret", NEW), ("stranger.secret", &OLD.replace('A', "B"))]
    {
        std::fs::write(keys.join(name), secret).unwrap();
        std::fs::set_permissions(keys.join(name), Permissions::from_mode(0o600)).unwrap();
    }
    let list = "keys:
  partner: { service: partner, alg: hmac-sha256, secrets: [old.secret, new.secret] }
  pair: { service: pair, alg: ed25519, public_keys: auth.jwks.json }
";
    std::fs::write(keys.join("signing-keys.yaml"), list).unwrap();
    edge
}

/// A request as the command signs it, with its lines as they were printed.
fn signed(edge: &Edge, key: &str, file: &str, method: &str, target: &str, body: Option<&[u8]>) -> Request {
    let file = edge.home().join("keys").join(file).display().to_string();
    let url = format!("http://{}{target}", edge.public());
    let mut arguments = vec!["sign", "--key", key, "--secret-file", &file, "--host", HOST];
    let path = edge.home().join("body").display().to_string();
    if let Some(body) = body {
        std::fs::write(&path, body).unwrap();
        arguments.extend(["--body", &path, "--header", "Content-Type: application/json"]);
    }
    arguments.extend(["--expires-in", "120", method, &url]);
    let printed = edge.cutover(&arguments);
    let mut request = edge.request(method, target).host(HOST);
    for line in printed.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    match body {
        Some(body) => request.header("content-type", "application/json").body(body),
        None => request,
    }
}

#[test]
fn its_output_passes_once_with_each_key_and_not_again_after_a_restart() {
    let backend = Backend::plain();
    let redis = Redis::start();
    let mut edge = edge(&backend, &redis);
    eventually("the keys are in force", || {
        signed(&edge, "partner", "old.secret", "GET", "/sync", None).send().status == 200
    });
    let body: &[u8] = br#"{"books":[1,2,3]}"#;
    let mut passed = Vec::new();
    for (key, file, subject) in [
        ("partner", "old.secret", "partner"),
        ("partner", "new.secret", "partner"),
        ("pair", "auth.pem", "pair"),
    ] {
        for (method, target, body) in [
            ("GET", "/sync", None),
            ("GET", "/sync/a%2Fb//c?x=%20&y", None),
            ("POST", "/sync/books?since=1", Some(body)),
            ("DELETE", "/sync/books/1", None),
        ] {
            let request = signed(&edge, key, file, method, target, body);
            let answer = request.send();
            assert_eq!(answer.status, 200, "{key} {file} {method} {target}: {answer:?}");
            let seen = backend.last();
            assert_eq!(seen.request_line(), format!("{method} {target} HTTP/1.1"));
            assert_eq!(
                (seen.all("x-madome-auth-sub"), seen.body),
                (vec![subject.to_owned()], body.unwrap_or_default().to_vec())
            );
            passed.push(request);
        }
    }
    let before = backend.seen().len();
    // Another's secret, another's name, another's algorithm.
    for (key, file) in [
        ("partner", "stranger.secret"),
        ("pair", "old.secret"),
        ("partner", "auth.pem"),
        ("nobody", "old.secret"),
    ] {
        let answer = signed(&edge, key, file, "GET", "/sync", None).send();
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (401, "Unauthoirzed"),
            "{key} {file}: {answer:?}"
        );
    }
    edge.stop(Part::Authz, Signal::Kill);
    edge.start(Part::Authz);
    edge.wait_until_ready();
    // Until the new one is ready, the answer is 503.
    let settled = |request: &Request| {
        eventually_some("the new authorizer decides", || {
            Some(request.send().status).filter(|status| *status != 503)
        })
    };
    for request in &passed {
        assert_eq!(settled(request), 401, "a nonce is forgotten with the restart: {request:?}");
    }
    assert_eq!(backend.seen().len(), before, "something reached the backend");
    eventually("a new signature passes", || {
        signed(&edge, "pair", "auth.pem", "GET", "/sync", None).send().status == 200
    });
}
