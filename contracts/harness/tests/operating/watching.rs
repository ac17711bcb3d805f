//! `cutover render --watch`: a changed edge file takes effect, and one that Envoy refuses is taken back.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use harness::{Backend, Edge, Port, Process, eventually_logged, meanwhile, pause};

/// Waits until `holds`; the failure shows what the watch printed.
fn eventually(what: &str, watch: &Process, holds: impl FnMut() -> bool) {
    eventually_logged(what, || watch.log(), holds);
}

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy";

#[test]
fn a_change_takes_effect_by_itself_and_a_wrong_one_changes_nothing() {
    let (legacy, users) = (
        Backend::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold".as_slice()),
        Backend::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew".as_slice()),
    );
    let edge = Edge::dev().every_backend(legacy.address()).stand_in("USERS_ADDRESS", users.address()).start();
    let token = edge.mint().good(0);
    let books = || edge.get("/books").token(&token).send().text();
    let watch = edge.watch();
    eventually("it looks at the file", &watch, || watch.log().contains("is in force"));
    assert_eq!(books(), "old");

    let before = edge.text();
    let file = edge.file().display().to_string();
    edge.cutover(&["set", &file, "books", "--to", "users"]);
    eventually("books go to users", &watch, || books() == "new");

    let kept = edge.rendered();
    edge.replace(&before.replace(BOOKS, &BOOKS.replace("legacy", "legasy")));
    eventually("the fault is reported", &watch, || watch.log().contains("`legasy`"));
    assert_eq!((edge.rendered(), books()), (kept.clone(), "new".to_owned()));

    // The authorizer does not apply it without a restart: nothing changes, and its reason is reported.
    edge.replace(&before.replace(".run}/tenants.yaml", ".run}/other.yaml"));
    eventually("the authorizer's reason is reported", &watch, || {
        watch.log().contains("restart it, or take the change back")
    });
    assert_eq!((edge.rendered(), books()), (kept, "new".to_owned()));

    // As Kubernetes mounts a ConfigMap: the file is a link through a second link, which is replaced.
    let home = edge.home();
    std::fs::create_dir(home.join("v1")).expect("the home is writable");
    std::fs::write(home.join("v1/edge.yaml"), &before).expect("the home is writable");
    let link = |target: &str, at: &Path| {
        std::os::unix::fs::symlink(target, home.join("next")).expect("the home is writable");
        std::fs::rename(home.join("next"), at).expect("the home is writable");
    };
    link("v1", &home.join("..data"));
    link("..data/edge.yaml", edge.file());
    eventually("books are back", &watch, || books() == "old");
}

#[test]
fn a_configuration_that_a_running_envoy_refuses_is_rolled_back_with_the_reason() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let watch = edge.watch();
    eventually("it looks at the file", &watch, || watch.log().contains("is in force"));
    let (kept, before) = (edge.rendered(), edge.text());

    // A port in use by another process: validation does not bind, so only the running Envoy can refuse it.
    let port = Port::lease();
    let _held = TcpListener::bind(port.address()).expect("a leased port can be bound");
    let moved = before.replace("${EDGE_SERVICE_ADDRESS:-127.0.0.1:8081}", &port.address().to_string());
    assert_ne!(moved, before);
    edge.replace(&moved);
    eventually("it is taken back", &watch, || watch.log().contains("the configuration is as before"));
    assert_eq!(edge.rendered(), kept);
    assert!(watch.log().contains("cannot bind"), "{}", watch.log());
    // The authorizer still has the refused file's revision and the one before: requests pass.
    let passes = || edge.get("/books").token(&token).send().status == 200;
    eventually("requests pass", &watch, passes);

    edge.replace(&before);
    let applied = watch.log().matches("is in force").count();
    eventually("the good file is in force again", &watch, || {
        watch.log().matches("is in force").count() > applied
    });
    eventually("requests pass", &watch, passes);
}

/// One edit per `pace`, each by a new file that replaces the old one.
fn edit_without_end(edge: &Edge, before: &str, pace: Duration, edits: u32) {
    for edit in 0..edits {
        edge.replace(
            &before.replace("body: Permission denied", &format!("body: Permission denied {pace:?} {edit}")),
        );
        pause(pace, "the pace of the edits");
    }
}

#[test]
fn a_file_that_changes_without_end_comes_into_force_again_and_again_and_so_does_its_last_state() {
    let backend = Backend::plain();
    let edge = Edge::dev()
        // On a busy machine a decision may wait, which this test does not judge.
        .replace("timeout_ms: 200", "timeout_ms: 5000")
        .every_backend(backend.address())
        .two_authorizers()
        .start();
    let token = edge.mint().good(0);
    let watch = edge.watch();
    eventually("it looks at the file", &watch, || watch.log().contains("is in force"));
    let before = edge.text();
    let in_force = || watch.log().matches("is in force").count();
    let client = || {
        let status = edge.get("/books").token(&token).send().status;
        assert!(status == 200, "a request is lost: {}", edge.logged("/books", u64::from(status)));
    };
    let rounds = meanwhile(Duration::from_millis(10), client, || {
        // The first edit never settles. The second settles so late that an older one is dropped for it.
        [(100, 150), (400, 40)].map(|(pace, edits)| {
            let begun = in_force();
            edit_without_end(&edge, &before, Duration::from_millis(pace), edits);
            in_force() - begun
        })
    });
    // On an idle machine it is one per second; a single one could be chance.
    assert!(rounds.iter().all(|taken| *taken >= 3), "it starves: {}", watch.log());
    edge.in_force(&watch);
    assert_eq!(edge.get("/books").token(&token).send().status, 200);
}

#[test]
fn a_refusal_by_the_authorizer_is_printed_at_once_and_the_file_applies_after_its_restart() {
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).start();
    let watch = edge.watch();
    eventually("it looks at the file", &watch, || watch.log().contains("is in force"));
    std::fs::copy(edge.home().join("tenants.yaml"), edge.home().join("other.yaml"))
        .expect("it can be copied");
    let moved = edge.text().replace(".run}/tenants.yaml", ".run}/other.yaml");
    edge.replace(&moved);
    eventually("it is refused", &watch, || watch.log().contains("restart it, or take the change back"));
    // A file that is only late gets another message, after 15 s.
    assert!(watch.log().contains("refuses revision"), "{}", watch.log());
    assert_eq!(watch.log().matches("restart it").count(), 1, "once");
    edge.stop(harness::Part::Authz, harness::Signal::Terminate);
    edge.start(harness::Part::Authz);
    edge.in_force(&watch);
}

/// A configuration that Envoy validates and then refuses while running; this test skips the validation.
#[test]
fn a_guard_that_the_running_envoy_refuses_is_taken_back() {
    let backend = Backend::plain();
    let home = tempfile::tempdir().expect("a temporary directory");
    let module = home.path().join(if harness::guard_is_native() { "guard.so" } else { "guard.wasm" });
    let good = std::fs::read(harness::guard()).expect("the guard is readable");
    std::fs::write(&module, &good).expect("the directory is writable");
    let edge = Edge::dev()
        .every_backend(backend.address())
        .variable("CUTOVER_GUARD", &module.display().to_string())
        .variable("ENVOY", "/bin/true")
        .start();
    let token = edge.mint().good(0);
    let passes = || edge.get("/books").token(&token).send().status == 200;
    let watch = edge.watch();
    eventually("it looks at the file", &watch, || watch.log().contains("is in force"));
    let kept = edge.rendered();
    // It has the form of a module, with other exports under these names.
    let name = if harness::guard_is_native() {
        &b"envoy_dynamic_module_on_http_filter_stream_complete"[..]
    } else {
        &b"proxy_on_memory_allocate"[..]
    };
    let mut wrong = good.clone();
    let places: Vec<usize> =
        (0..wrong.len() - name.len()).filter(|at| wrong[*at..].starts_with(name)).collect();
    for at in places {
        wrong[at] = b'x';
    }
    assert_ne!(wrong, good);
    let next = home.path().join("next");
    std::fs::write(&next, &wrong).expect("the directory is writable");
    std::fs::rename(&next, &module).expect("the directory is writable");
    eventually("it is taken back", &watch, || watch.log().contains("the configuration is as before"));
    // The native guard's early lookup is part of the listener, and the listener is read first.
    let refused = if harness::guard_is_native() {
        "listener_manager.lds"
    } else {
        "extension_config_discovery.http_filter.guard"
    };
    assert!(watch.log().contains(refused), "{}", watch.log());
    assert_eq!(edge.rendered(), kept);
    assert!(passes(), "the good guard serves on");
}
