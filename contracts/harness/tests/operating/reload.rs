//! An edge file that changes under load: requests of each revision follow its own rules, a wrong file changes nothing,
//! and no request gets 503 meanwhile.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, Ordering};

use harness::wire::Request;
use harness::{Backend, Edge, eventually};
use serde_json::Value;

const BOOKS: &str = "{ name: books, host: api, prefix: /books, policy: signed-in,";

fn admin(edge: &Edge, path: &str) -> harness::wire::Answer {
    Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", path).send()
}

fn revision(edge: &Edge) -> String {
    admin(edge, "/readyz").json()["revision"].as_str().unwrap_or_default().to_owned()
}

/// What `/readyz` says about the edge file.
fn detail(edge: &Edge) -> String {
    admin(edge, "/readyz").json()["parts"]["edge"]["detail"].as_str().unwrap_or_default().to_owned()
}

/// What `/readyz` says about the keys of services.
fn services(edge: &Edge) -> String {
    admin(edge, "/readyz").json()["parts"]["services"]["detail"].as_str().unwrap_or_default().to_owned()
}

fn reloads(edge: &Edge, result: &str) -> u64 {
    let metrics = admin(edge, "/metrics").text();
    let name = format!("authz_edge_reload_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

#[test]
fn old_and_new_revisions_are_both_decided_by_their_own_rules_while_envoy_moves_over() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let old = revision(&edge);
    let before = edge.text();
    let stop = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                seen.push(edge.get("/books").token(&token).send().status);
            }
            seen
        });
        edge.replace(&before.replace(BOOKS, &BOOKS.replace("signed-in", "bot")));
        eventually("the authorizer has the new file", || revision(&edge) != old);
        // Envoy still has the old configuration, so the old policy applies.
        for _ in 0..20 {
            assert_eq!(edge.get("/books").token(&token).send().status, 200);
        }
        edge.render();
        eventually("Envoy has the new configuration", || {
            edge.get("/books").token(&token).send().status == 403
        });
        stop.store(true, Ordering::Relaxed);
        client.join().expect("the client ends")
    });
    let changes = answers.windows(2).filter(|pair| matches!(pair, [a, b] if a != b)).count();
    assert!(answers.iter().all(|status| [200, 403].contains(status)) && changes <= 1, "{answers:?}");
    assert_eq!((reloads(&edge, "applied"), reloads(&edge, "invalid")), (1, 0));

    // The access log shows the revision that decided.
    let new = revision(&edge);
    let _ = edge.logged("/books", 403);
    let log = edge.access_log(answers.len() + 20);
    let of = |status: u64| {
        let lines = log.iter().filter(|line| line["route"] == "books" && line["status"] == status);
        lines.map(|line| line["revision"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert!(of(200).iter().all(|revision| *revision == old), "{:?}", of(200));
    assert!(!of(403).is_empty() && of(403).iter().all(|revision| *revision == new), "{:?}", of(403));

    // And back: the first revision is the newest again.
    edge.replace(&before);
    eventually("the old file is in force again", || revision(&edge) == old);
    edge.render();
    eventually("requests pass again", || edge.get("/books").token(&token).send().status == 200);
}

#[test]
fn a_wrong_file_changes_nothing_and_is_reported() {
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let (old, before) = (revision(&edge), edge.text());

    let wrong = before.replace("policy: bot, to: users", "policy: robot, to: usres");
    assert_ne!(wrong, before);
    edge.replace(&wrong);
    eventually("the wrong file is counted", || reloads(&edge, "invalid") == 1);
    assert_eq!(revision(&edge), old);
    assert_eq!(admin(&edge, "/readyz").status, 200, "the last good file decides");
    assert!(detail(&edge).contains("`robot`") && detail(&edge).contains("`usres`"), "{}", detail(&edge));
    let log = edge.part(harness::Part::Authz).log();
    assert!(log.contains("robot") && log.contains("usres"), "every fault is in the log: {log}");
    assert_eq!(edge.get("/books").token(&token).send().status, 200);

    std::fs::remove_file(edge.file()).expect("the file is there");
    eventually("the missing file is reported", || detail(&edge).contains("No such file"));
    assert_eq!(edge.get("/books").token(&token).send().status, 200);

    edge.replace(&before);
    eventually("the good file is back", || !detail(&edge).contains("refused"));
    assert_eq!(revision(&edge), old);
    assert_eq!(reloads(&edge, "applied"), 0, "nothing was new");
}

#[test]
fn a_change_that_needs_a_restart_is_refused_and_its_revision_is_never_guessed() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(2);
    let before = edge.text();
    edge.replace(&before.replace(".run}/tenants.yaml", ".run}/other.yaml"));
    eventually("the change is refused", || reloads(&edge, "needs_restart") == 1);
    assert!(detail(&edge).contains("tenants") && detail(&edge).contains("restart"), "{}", detail(&edge));
    assert_eq!(edge.get("/books").token(&token).send().status, 200);
    // The message names exactly its subject, field by field.
    for (old, new, named) in [
        (".run}/tenants.yaml", ".run}/other.yaml", "`tenants` cannot change"),
        ("edge: dev", "edge: other", "`edge` cannot change"),
        ("  timeout_ms: 200", "  timeout_ms: 200\n  replicas: 2", "`authorizer.replicas` cannot change"),
        (
            "session.jwks.json",
            "other.jwks.json",
            "`issuer`, `keys`, `algorithms` or `introspection` of `sessions` cannot change",
        ),
        ("revoked.jsonl", "other.jsonl", "`sessions.revocations` cannot change"),
        ("policies:\n", "api_keys: { file: keys.jsonl }\n\npolicies:\n", "`api_keys` cannot change"),
    ] {
        assert!(before.contains(old), "{old:?} is not in the edge file");
        edge.replace(&before.replacen(old, new, 1));
        eventually(named, || detail(&edge).contains(named));
    }
    edge.replace(&before.replace(".run}/tenants.yaml", ".run}/other.yaml"));
    eventually("the first one is refused again", || detail(&edge).contains("`tenants` cannot change"));

    // A render of such a file fails at once.
    edge.render();
    eventually("Envoy sends an unknown revision", || edge.get("/books").token(&token).send().status == 503);
    let log = edge.access_log(1);
    let unknown = |line: &Value| line["status"] == 503 && line["reason"] == "unknown_revision";
    eventually("the log says why", || edge.access_log(log.len()).iter().any(unknown));

    edge.replace(&before);
    edge.render();
    eventually("requests pass again", || edge.get("/books").token(&token).send().status == 200);
}

/// Services, their keys and their permissions change without a restart, on every revision at once.
#[test]
fn a_changed_list_of_services_is_in_force_without_a_restart() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let before = edge.text();
    let lookup = |name: &str, key: &str| {
        let caller = identity::Caller::Service(name.parse().expect("a name"));
        let pem = edge.home().join("keys").join(key);
        let signer = identity::assertion::Signer::from_file(name, &pem).expect("a key");
        let now = clock::UnixTime::from_seconds(harness::tokens::now());
        let assertion = signer.sign(&caller, "dev", now).expect("it signs");
        let address = edge.address("EDGE_SERVICE_ADDRESS");
        let bearer = format!("Bearer {assertion}");
        Request::new(address, "GET", "/_/users/somebody").header("authorization", bearer).send().status
    };
    assert_eq!(lookup("auth", "auth.pem"), 200);
    assert_eq!(lookup("reports", "service-token.pem"), 401, "it is not listed");

    let listed = "keys/auth.jwks.json\" }";
    let reports = |file: &str, permissions: &str| {
        let entry = format!(
            "keys/auth.jwks.json\", permissions: [{permissions}] }}\n  reports: {{ keys: \"${{CUTOVER_HOME}}/keys/{file}\", permissions: [users.read] }}"
        );
        let policy = "kind: internal, permissions: [users.read] }";
        before.replace(listed, &entry).replace("kind: internal, services: [auth] }", policy)
    };
    // Its keys are missing: this service alone is refused, and the file is polled.
    edge.replace(&reports("reports.jwks.json", "users.read"));
    eventually("the missing keys are reported", || services(&edge).contains("reports.jwks.json"));
    assert_eq!((lookup("auth", "auth.pem"), lookup("reports", "service-token.pem")), (200, 503));
    let keys = edge.home().join("keys");
    std::fs::copy(keys.join("service-token.jwks.json"), keys.join("reports.jwks.json"))
        .expect("the keys are there");
    // Its token is accepted at once; the revision that Envoy still has admits auth alone.
    eventually("the new service is accepted", || lookup("reports", "service-token.pem") == 403);
    edge.render();
    eventually("the new service passes", || lookup("reports", "service-token.pem") == 200);
    assert_eq!(lookup("auth", "auth.pem"), 200);

    // From now on, changes of its keys are applied.
    std::fs::copy(keys.join("identity.jwks.json"), keys.join("reports.jwks.json"))
        .expect("the keys are there");
    eventually("the old key is refused", || lookup("reports", "service-token.pem") == 401);
    assert_eq!(lookup("reports", "identity.pem"), 200);

    // A removed permission ends at once, also for an Envoy that still has the old revision.
    edge.replace(&reports("reports.jwks.json", "users.write"));
    eventually("the permission is gone", || lookup("auth", "auth.pem") == 403);
    assert_eq!(lookup("reports", "identity.pem"), 200);
    edge.replace(&before);
    eventually("the service is unknown again", || lookup("reports", "identity.pem") == 401);
}

#[test]
fn a_swapped_symlink_is_seen() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let before = edge.text();
    let old = revision(&edge);
    // As Kubernetes mounts a ConfigMap: the file is a link through a second link, which is replaced.
    let home = edge.home();
    for (version, text) in
        [("v1", before.clone()), ("v2", before.replace(BOOKS, &BOOKS.replace("signed-in", "bot")))]
    {
        std::fs::create_dir(home.join(version)).expect("the home is writable");
        std::fs::write(home.join(version).join("edge.yaml"), text).expect("the home is writable");
    }
    let link = |target: &str, at: &std::path::Path| {
        let next = home.join("next");
        std::os::unix::fs::symlink(target, &next).expect("the home is writable");
        std::fs::rename(&next, at).expect("the home is writable");
    };
    link("v1", &home.join("data"));
    link("data/edge.yaml", edge.file());
    link("v2", &home.join("data"));
    eventually("the swapped file is in force", || revision(&edge) != old);
    edge.render();
    eventually("the new rule holds", || edge.get("/books").token(&token).send().status == 403);
}
