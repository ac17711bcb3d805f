//! Applications that were not written for the edge, each recorded and compared in two commands: a package index from PyPI
//! (pypiserver), httpbin, and small programs on Flask, Django and Node (`contracts/apps`). Pages, redirects, downloads with
//! ranges, forms, uploads, sessions, CSRF cookies, entity tags, compressed and streamed answers, refusals.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod app;
mod grpc;
mod grpc_client;
mod grpc_program;
mod request_sets;
mod signed_store;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use app::App;
use harness::{Edge, EdgeBuilder, repository};

/// What a visitor and a program ask of a package index.
const REQUESTS: &str = "GET {{app}}/
GET {{app}}/simple/
GET {{app}}/simple/first/
GET {{app}}/simple/First_
GET {{app}}/simple/absent/
HEAD {{app}}/simple/
GET {{app}}/packages/
GET {{app}}/packages/first-1.0-py3-none-any.whl
Range: bytes=0-99
GET {{app}}/packages/first-1.0-py3-none-any.whl
GET {{app}}/packages/%66irst-1.0-py3-none-any.whl
GET {{app}}/packages/..%2f..%2fetc/passwd
GET {{app}}/json/first
GET {{app}}/nothing/here?a=%20&b=+
GET {{app}}/favicon.ico
POST {{app}}/
[Form]
:action: verify
name: first
POST {{app}}/
[Form]
:action: frob
DELETE {{app}}/simple/
";

fn contract(place: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(harness::program("cutover"));
    let output =
        command.arg("contract").args(arguments).current_dir(place).output().expect("it can be started");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{arguments:?} ends with {}: {said}", output.status);
    said
}

/// An edge that marks no request: an application that shows its requests would show the marks.
fn edge_before(app: &App) -> Edge {
    edge_file_before(app).start()
}

fn edge_file_before(app: &App) -> EdgeBuilder {
    Edge::dev()
        .replace("  gateway: x-madome-gw\n  public: x-madome-public\n", "")
        .replace("hosts:\n", "hosts:\n  app: { listener: public, names: [app.test] }\n")
        .replace("backends:\n", "backends:\n  app: { address: \"${LEGACY_ADDRESS}\" }\n")
        .replace(
            "routes:\n",
            "routes:\n  - { name: app, host: app, prefix: /, policy: public, upgrade: websocket, to: app, answers: auth }\n",
        )
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .every_backend(app.address())
}

/// Records `requests` (a path) from `app`, and compares the edge with it in three ways: side by side, with what was recorded
/// over HTTP/1.1, and over HTTP/2. `rules` are more arguments.
fn is_the_same_through_the_edge(app: &App, place: &Path, requests: &str, count: usize, rules: &[&str]) {
    let edge = edge_before(app);
    let (direct, against) = (format!("http://{}", app.address()), format!("http://{}", edge.public()));
    let said = contract(
        place,
        &[&["capture", "--from", &direct, "--requests", requests, "--host", "app.test"], rules].concat(),
    );
    assert!(said.contains(&format!("{count} of {count} exchanges are in contract")), "{said}");
    let said = contract(place, &[&["verify", "--direct", &direct, "--against", &against], rules].concat());
    assert!(said.contains(&format!("{count} of {count} requests equal, 0 differences")), "{said}");
    // Recorded answers say the same as the running application, over both protocols.
    let said = contract(place, &[&["verify", "--against", &against, "--protocol", "both"], rules].concat());
    let both = 2 * count;
    assert!(said.contains(&format!("{both} of {both} requests equal, 0 differences")), "{said}");
}

/// The same for an application in `contracts/apps/FOLDER`, with its `requests.hurl` and its `rules.yaml`.
fn of_folder(app: &App, place: &Path, folder: &str, count: usize) {
    let folder = repository().join("contracts/apps").join(folder);
    let (requests, rules) = (folder.join("requests.hurl"), folder.join("rules.yaml"));
    let rules = rules.display().to_string();
    is_the_same_through_the_edge(app, place, &requests.display().to_string(), count, &["--rules", &rules]);
}

#[test]
fn a_package_index_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::pypiserver(place.path());
    std::fs::write(place.path().join("requests.hurl"), REQUESTS).expect("it is writable");
    is_the_same_through_the_edge(&app, place.path(), "requests.hurl", 17, &[]);
}

#[test]
fn httpbin_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::wsgi("httpbin", "httpbin:app", place.path());
    let requests = repository().join("contracts/apps/httpbin/requests.hurl").display().to_string();
    // Without any rule: what is volatile is learned.
    is_the_same_through_the_edge(&app, place.path(), &requests, 62, &[]);
}

#[test]
fn a_flask_application_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::wsgi("flask", "app:app", place.path());
    of_folder(&app, place.path(), "flask", 26);
}

#[test]
fn a_django_application_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::wsgi("django", "app:application", place.path());
    of_folder(&app, place.path(), "django", 17);
}

/// Files with ranges, conditions, and one that is compressed beforehand.
#[test]
fn a_static_server_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::wsgi("static", "app:app", place.path());
    let requests = repository().join("contracts/apps/static/requests.hurl").display().to_string();
    is_the_same_through_the_edge(&app, place.path(), &requests, 24, &[]);
}

/// Buckets and objects of a server that speaks Amazon S3's protocol (moto).
#[test]
fn an_object_store_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::wsgi("s3", "moto.server:create_backend_app('s3')", place.path());
    of_folder(&app, place.path(), "s3", 18);
}

#[test]
fn a_node_application_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::node("node", place.path());
    of_folder(&app, place.path(), "node", 21);
}

/// A frame of a client, masked with zeros. `first` is its first byte: the kind, and whether it is the last piece.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short payload");
    let head = match u8::try_from(length) {
        Ok(short) if short < 126 => vec![first, 0x80 | short],
        _ => [vec![first, 0x80 | 126], length.to_be_bytes().to_vec()].concat(),
    };
    [head, vec![0; 4], payload.to_vec()].concat()
}

/// Reads into `read` until it `is_enough`.
fn read_until(stream: &mut TcpStream, read: &mut Vec<u8>, is_enough: impl Fn(&[u8]) -> bool) {
    while !is_enough(read) {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).expect("the server answers");
        assert!(count > 0, "the answer ends after {} bytes", read.len());
        read.extend(bytes.iter().take(count));
    }
}

/// One visit to a chat: the lines of the answer to the handshake without `Date`, and every byte after it.
fn visit(address: SocketAddr) -> (Vec<String>, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it has a timeout");
    let opening = "GET /room?name=a%20b HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(opening.as_bytes()).expect("it is writable");
    let end = |read: &[u8]| read.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let mut read = Vec::new();
    read_until(&mut stream, &mut read, |read| end(read).is_some());
    let head = end(&read).unwrap_or_default();
    let text = String::from_utf8_lossy(read.get(..head).unwrap_or_default()).into_owned();
    let lines = text.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    // "welcome", and then the answer to each message before the next is sent: a chat says nothing to a visitor who leaves.
    let mut length = head + 9;
    for (frames, answer) in [
        (frame(0x81, "Grüße".as_bytes()), 9),
        (frame(0x82, &[0, 255, 13, 10]), 6),
        ([frame(0x01, b"in two "), frame(0x80, b"pieces")].concat(), 15),
        (frame(0x89, b"ping"), 6),
        (frame(0x81, &[b'x'; 40_000]), 40_004),
    ] {
        stream.write_all(&frames).expect("it is writable");
        length += answer;
        read_until(&mut stream, &mut read, |read| read.len() >= length);
    }
    stream.write_all(&frame(0x88, &[0x03, 0xe8])).expect("it is writable");
    stream.read_to_end(&mut read).expect("the server closes the connection");
    (lines.map(str::to_owned).collect(), read.split_off(head))
}

#[test]
fn a_chat_over_websockets_is_the_same_through_the_edge_in_every_byte() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::python("chat", place.path());
    let edge = edge_before(&app);
    let (reference, through) = (visit(app.address()), visit(edge.public()));
    assert!(reference.0.first().is_some_and(|line| line.starts_with("HTTP/1.1 101")), "{reference:?}");
    assert!(reference.1.len() > 40_000, "the chat answers: {} bytes", reference.1.len());
    assert_eq!(through.0, reference.0);
    assert!(through.1 == reference.1, "{} bytes of frames, not {}", through.1.len(), reference.1.len());
}
