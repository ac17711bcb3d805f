//! Comparison of backends over TLS, by the rules of the edge: the same authorities, names and client certificate.

use harness::authority::Authority;
use harness::terminator::Terminator;
use harness::{Backend, Part};
use serde_json::json;

use super::{Shadowed, changing, places};

const OPEN: &str = "  - { name: open, host: api, prefix: /open, policy: public, to: legacy, shadow: users, answers: auth }\n";

#[test]
fn both_backends_are_queried_over_tls_as_the_edge_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let (home, ca) = (directory.path(), directory.path().join("ca.pem"));
    let authority = Authority::new();
    authority.write(&ca);
    let own = authority.issue(home, "edge", "the-edge");
    let (legacy, users) = (changing(|_| "Momo"), changing(|_| "momo"));
    let server = |backend: &Backend, file: &str, name: &str| {
        Terminator::before(backend.address(), &authority.issue(home, file, name), &["http/1.1"], Some(&ca))
    };
    let legacy_tls = server(&legacy, "legacy", "legacy.internal");
    // The certificate of this one has another name: it must never be compared.
    let users_tls = server(&users, "users", "users.internal");
    let words = |server: &Terminator, name: &str| {
        format!(
            "address: \"https://{}\", tls: {{ca: {}, sni: {name}, client: {{certificate: {}, key: {}}}}}",
            server.address(),
            ca.display(),
            own.certificate.display(),
            own.key.display()
        )
    };
    let block = |server: &Terminator, name: &str| {
        words(server, name).replace(", tls: ", "\n    tls: ").replacen("address", "    address", 1)
    };
    let edit = |name: &'static str| {
        let legacy = block(&legacy_tls, "legacy.internal");
        let users = words(&users_tls, name);
        move |edge: harness::EdgeBuilder| {
            edge.replace("    address: \"${LEGACY_ADDRESS:-127.0.0.1:3000}\"", &legacy)
                .replace(
                    "users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }",
                    &format!("users: {{ {users} }}"),
                )
                // The backend for calls is at another address then.
                .replace("audience: users, ", "")
        }
    };
    let stand_ins = || (Backend::plain(), Backend::plain());
    let (one, two) = stand_ins();
    let well = Shadowed::edited(one, two, OPEN, &[Part::Authz], edit("users.internal")).comparator();
    assert_eq!(well.edge.get("/open/a").send().json()["title"], "Momo");
    let route = well.done("open", 1);
    assert_eq!(places(&route), ["body_value /title"], "{route:#}");
    assert!(users_tls.seen().iter().all(|hello| hello.certificate.is_some()));
    drop(well);

    let (one, two) = stand_ins();
    let ill = Shadowed::edited(one, two, OPEN, &[Part::Authz], edit("other.internal")).comparator();
    assert_eq!(ill.edge.get("/open/a").send().json()["title"], "Momo");
    let route = ill.done("open", 1);
    assert_eq!(route["by_kind"], json!({ "no_answer": 1 }), "{route:#}");
}
