//! An edge with signed routes.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use harness::{Backend, Edge, EdgeBuilder, eventually};

use super::request::{SECRET, Signed};

pub(crate) const NEXT: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// The development edge with signed routes; the tolerance is a second.
pub(crate) fn signed_edge(backend: &Backend) -> EdgeBuilder {
    let policy = |name: &str, address: &str| {
        format!("  {name}: {{ kind: signed, keys: [partner, pair], addresses: [{address}] }}\n")
    };
    let route = |name: &str, path: &str, policy: &str| {
        format!("  - {{ name: {name}, host: api, {path}, policy: {policy}, to: users, answers: users }}\n")
    };
    let policies = [
        "signatures: { keys: \"${CUTOVER_HOME}/keys/signing-keys.yaml\", skew_seconds: 1, headers: [content-type] }\n\npolicies:\n",
        &policy("sync", "127.0.0.1/32"),
        &policy("elsewhere", "192.0.2.0/24"),
        &policy("just-below", "127.0.0.0/32"),
        &policy("just-above", "127.0.0.2/31"),
        &policy("at-the-end", "127.0.0.0/31"),
        "  other-key: { kind: signed, keys: [pair], addresses: [127.0.0.0/8] }\n",
    ];
    let routes = [
        "routes:\n".to_owned(),
        route("sync", "prefix: /sync", "sync"),
        route("elsewhere", "exact: /elsewhere", "elsewhere"),
        route("just-below", "exact: /just-below", "just-below"),
        route("just-above", "exact: /just-above", "just-above"),
        route("at-the-end", "exact: /at-the-end", "at-the-end"),
        route("other-key", "exact: /other-key", "other-key"),
    ];
    Edge::dev()
        .every_backend(backend.address())
        .replace("policies:\n", &policies.concat())
        .replace("routes:\n", &routes.concat())
}

pub(crate) fn write_secret(edge: &Edge, name: &str, secret: &str) {
    let path = edge.home().join("keys").join(name);
    std::fs::write(&path, secret).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn write_keys(edge: &Edge, secrets: &str) {
    let list = format!(
        "keys:\n  partner: {{ service: partner, alg: hmac-sha256, secrets: [{secrets}] }}\n  pair: {{ service: pair, alg: ed25519, public_keys: auth.jwks.json }}\n"
    );
    let path = edge.home().join("keys/signing-keys.yaml");
    std::fs::write(path.with_extension("next"), list).unwrap();
    std::fs::rename(path.with_extension("next"), path).unwrap();
}

/// Starts it, gives it keys, and waits until a signed request passes.
pub(crate) fn start(builder: EdgeBuilder) -> Edge {
    let edge = builder.start();
    write_secret(&edge, "partner.secret", SECRET);
    write_secret(&edge, "next.secret", NEXT);
    write_keys(&edge, "partner.secret, next.secret");
    until_it_passes(&edge, "a signed request passes");
    edge
}

pub(crate) fn until_it_passes(edge: &Edge, what: &str) {
    eventually(what, || Signed::new("GET", "/sync").send(edge).status == 200);
}

/// Waits until the access log says that the last request to `path` was refused for `expected`.
pub(crate) fn refused_for(edge: &Edge, path: &str, expected: &str) {
    eventually(&format!("{path} was refused for {expected}"), || {
        let log = edge.access_log(1);
        let line = log.iter().rev().find(|line| line["path"].as_str().is_some_and(|p| p.starts_with(path)));
        line.is_some_and(|line| line["reason"] == expected)
    });
}
