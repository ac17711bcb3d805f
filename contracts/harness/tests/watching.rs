//! `cutover render --watch`: a changed edge file takes effect, and one that Envoy refuses is taken back.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::{Backend, Edge, Port, Process};

fn eventually(what: &str, watch: &Process, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < until, "it never came about that {what}; the watch said:\n{}", watch.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(edge: &Edge) -> String {
    std::fs::read_to_string(edge.file()).expect("the edge file is readable")
}

fn replace(edge: &Edge, text: &str) {
    let next = edge.file().with_extension("next");
    std::fs::write(&next, text).expect("the home is writable");
    std::fs::rename(&next, edge.file()).expect("the home is writable");
}

fn current(edge: &Edge) -> std::path::PathBuf {
    std::fs::read_link(edge.home().join("envoy/current")).expect("the link is there")
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

    let before = text(&edge);
    let file = edge.file().display().to_string();
    edge.cutover(&["set", &file, "books", "--to", "users"]);
    eventually("books go to users", &watch, || books() == "new");

    let kept = current(&edge);
    replace(&edge, &before.replace(BOOKS, &BOOKS.replace("legacy", "legasy")));
    eventually("the fault is told", &watch, || watch.log().contains("`legasy`"));
    assert_eq!((current(&edge), books()), (kept.clone(), "new".to_owned()));

    // The authorizer does not take it without a restart: nothing moves, and its reason is told.
    replace(&edge, &before.replace(".run}/tenants.yaml", ".run}/other.yaml"));
    eventually("the authorizer's reason is told", &watch, || {
        watch.log().contains("restart it, or take the change back")
    });
    assert_eq!((current(&edge), books()), (kept, "new".to_owned()));

    // As Kubernetes mounts a ConfigMap: the file is a link through a link that is moved.
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
fn what_envoy_refuses_when_it_has_it_is_taken_back_with_its_reason() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let watch = edge.watch();
    eventually("it looks at the file", &watch, || watch.log().contains("is in force"));
    let (kept, before) = (current(&edge), text(&edge));

    // A port that somebody else holds: validation does not bind, so only the running Envoy can refuse it.
    let port = Port::lease();
    let _held = TcpListener::bind(port.address()).expect("a leased port can be bound");
    let moved = before.replace("${EDGE_SERVICE_ADDRESS:-127.0.0.1:8081}", &port.address().to_string());
    assert_ne!(moved, before);
    replace(&edge, &moved);
    eventually("it is taken back", &watch, || watch.log().contains("the configuration is as before"));
    assert_eq!(current(&edge), kept);
    assert!(watch.log().contains("cannot bind"), "{}", watch.log());
    // The authorizer still has the refused file's revision and the one before: requests pass.
    let passes = || edge.get("/books").token(&token).send().status == 200;
    eventually("requests pass", &watch, passes);

    replace(&edge, &before);
    let told = watch.log().matches("is in force").count();
    eventually("the good file is in force again", &watch, || {
        watch.log().matches("is in force").count() > told
    });
    eventually("requests pass", &watch, passes);
}
