//! The production edge and clients that are slow, greedy, or many: it gives up on them in time, and its memory stays
//! bounded. The tests shorten long waits and large limits in the rendered files, and check their written values there.
#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::Read as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use harness::wire::{Connection, Request};
use harness::{Backend, Edge, Part, eventually, pause};

/// The production edge in front of `backend`. In its rendered files, each `old` becomes `new`.
fn edge_before(backend: &Backend, rendered: &[(&str, &str, &str)]) -> Edge {
    let mut edge = Edge::shipped("prod")
        .replace("names: [api.example.com]", "names: [api.example.com, localhost]")
        .replace("https://api.example.com", "https://api.dev-domain.test")
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Envoy)
        .start();
    for (file, old, new) in rendered {
        let path = edge.home().join("envoy/current").join(file);
        let text = std::fs::read_to_string(&path).expect("it is rendered");
        let packed: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let text = packed.to_string();
        assert!(text.contains(old), "{old} is not in {}", path.display());
        std::fs::write(&path, text.replace(old, new)).expect("the home is writable");
    }
    edge.start(Part::Envoy);
    edge.wait_until_ready();
    edge
}

fn of_clients(backend: &Backend) -> usize {
    backend.seen().iter().filter(|seen| seen.request_line().contains("/open")).count()
}

/// Envoy's allocated memory now, in bytes.
fn allocated(edge: &Edge) -> u64 {
    let answer = Request::new(edge.address("ENVOY_ADMIN_ADDRESS"), "GET", "/memory").send().json();
    let text = answer.get("allocated").and_then(|value| value.as_str().map(str::to_owned));
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no memory in {answer}"))
}

/// H 110: a body that never ends, whether it stops or continues one byte at a time.
#[test]
fn slow_bodies_end_in_408_and_reach_no_backend_whole() {
    let backend = Backend::plain();
    let edge = edge_before(
        &backend,
        &[("listeners.json", "\"request_timeout\":\"300.000s\"", "\"request_timeout\":\"2s\"")],
    );
    let head = "POST /open/slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nbegun";
    let mut silent = Connection::open(edge.public()).expect("the edge listens");
    silent.write(head.as_bytes()).expect("the edge reads");
    let mut dribbling = Connection::open(edge.public()).expect("the edge listens");
    dribbling.write(head.as_bytes()).expect("the edge reads");
    for _ in 0..30 {
        dribbling.write(b"x").expect("the edge reads, or has hung up");
        pause(Duration::from_millis(100), "ten bytes a second");
    }
    for connection in [&mut silent, &mut dribbling] {
        let statuses: Vec<_> = connection.answers().iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [408]);
    }
    assert_eq!(of_clients(&backend), 0, "no whole request");
    assert_eq!(edge.get("/open").send().status, 200);
}

/// H 114: a message that is small on the wire stays small: the edge does not decompress it.
#[test]
fn a_compression_bomb_is_bytes_to_the_edge() {
    let packed = Command::new("bash").args(["-c", "head -c 200000000 /dev/zero | gzip -9"]).output();
    let packed = packed.expect("gzip runs").stdout;
    assert!(packed.len() > 100_000 && packed.len() < 1_000_000, "{}", packed.len());
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    let answer = [head.as_bytes(), &packed].concat();
    let backend = Backend::answering(answer);
    let edge = edge_before(&backend, &[]);
    assert_eq!(edge.get("/open/first").send().status, 200);
    let before = allocated(&edge);
    let post = edge.request("POST", "/open/bomb").header("content-encoding", "gzip").body(packed.clone());
    for _ in 0..5 {
        let answer = post.send();
        assert!(answer.status == 200 && answer.body == packed, "{} bytes", answer.body.len());
        assert!(backend.last().body == packed);
    }
    let grown = allocated(&edge).saturating_sub(before);
    assert!(grown < 20_000_000, "Envoy grew by {grown} bytes");
}

/// H 114: a client that requests much and reads nothing gets only as much as the buffers on the way hold.
#[test]
fn slow_readers_cost_their_buffers_and_no_more() {
    const READERS: usize = 50;
    const EACH: usize = 4_000_000;
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {EACH}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + EACH, b'x');
    let backend = Backend::answering(answer);
    let edge = edge_before(&backend, &[]);
    let before = allocated(&edge);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = Connection::open(edge.public()).expect("the edge listens");
        reader.write(b"GET /open/much HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("the edge reads");
        readers.push(reader);
    }
    eventually("the backend has answered all of them", || of_clients(&backend) >= READERS);
    pause(Duration::from_secs(2), "Envoy would have read more of the answers by now");
    let grown = allocated(&edge).saturating_sub(before);
    let asked = u64::try_from(READERS * EACH).unwrap_or(u64::MAX);
    assert!(grown < asked / 8, "Envoy holds {grown} of {asked} unread bytes");
    drop(readers);
    assert_eq!(edge.get("/open/other").send().body.len(), EACH, "and others are served");
}

/// H 114: connections beyond the cap are closed; those within it are served, and new ones when there is room. What each
/// costs, times fifty thousand, is less than Envoy's whole memory limit.
#[test]
fn connections_have_a_cap_that_holds() {
    // As many as this process and Envoy may have files open on most machines; the shipped cap is ten times that.
    const CAP: usize = 5_000;
    const MORE: usize = 1_500;
    may_open(CAP + MORE + 1_000);
    let backend = Backend::plain();
    let (field, shipped) = ("\"max_active_downstream_connections\":", 50_000);
    let edge =
        edge_before(&backend, &[("bootstrap.json", &format!("{field}{shipped}"), &format!("{field}{CAP}"))]);
    let mut early = Connection::open(edge.public()).expect("the edge listens");
    let ask = |connection: &mut Connection| {
        connection.write(b"GET /open/early HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("the edge reads");
        connection.answer(false).map(|answer| answer.status).ok()
    };
    assert_eq!(ask(&mut early), Some(200));
    let before = allocated(&edge);
    // They never begin to speak TLS, which costs a client nothing.
    let crowd: Vec<_> = (0..CAP + MORE)
        .filter_map(|_| TcpStream::connect(edge.address("EDGE_ADDRESS")).ok())
        .inspect(|stream| stream.set_nonblocking(true).expect("it can be set"))
        .collect();
    let closed = |mut stream: &TcpStream| {
        !stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    eventually("the rest is closed", || crowd.iter().filter(|stream| closed(stream)).count() >= MORE);
    assert_eq!(ask(&mut early), Some(200), "who was there before is served");
    let grown = allocated(&edge).saturating_sub(before);
    let held = crowd.iter().filter(|stream| !closed(stream)).count();
    assert!(held <= CAP && held > CAP - 100, "{held} are open");
    let all = grown / (held as u64) * shipped;
    assert!(all < HEAP_BYTES / 2, "{held} connections cost {grown} bytes, {shipped} would cost {all}");
    drop(crowd);
    eventually("there is room again", || {
        edge.get("/open/later").try_send().is_ok_and(|answer| answer.status == 200)
    });
}

/// Envoy's memory limit in `envoy/templates/bootstrap.yaml` (`max_heap_size_bytes`).
const HEAP_BYTES: u64 = 2_147_483_648;

/// Allows this process, and the processes that it starts from here on, `files` open files.
fn may_open(files: usize) {
    let (this, limit) = (std::process::id().to_string(), format!("--nofile={files}:"));
    let raised = Command::new("prlimit").args(["--pid", &this, &limit]).output();
    assert!(
        raised.is_ok_and(|output| output.status.success()),
        "this machine does not allow {files} open files"
    );
}
