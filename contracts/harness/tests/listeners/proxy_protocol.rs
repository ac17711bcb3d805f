//! The PROXY protocol, versions 1 and 2: only that of a trusted proxy names the client, and bytes that are none of it become
//! no request.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::net::IpAddr;
use std::time::Duration;

use harness::wire::{Connection, h2};
use harness::{Backend, Edge, EdgeBuilder, Part};

use crate::headers::reserved::{RESERVED, assert_only_own};

/// An address of 127.0.1.0/24, which the edges here trust.
const PROXY: &str = "127.0.1.1";
const STRANGER: &str = "127.0.2.1";

const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";

fn builder(backend: &Backend, protocol: &str) -> EdgeBuilder {
    let choices = format!(", trusted_proxies: [127.0.1.0/24], proxy_protocol: {protocol} }}");
    Edge::dev()
        .replace(PUBLIC, &PUBLIC.replace(" }", &choices))
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2: the command, the family with the transport, and what follows.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("it is short").to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

/// PROXY, TCP over IPv4, from 198.51.100.7:4711, and further fields.
fn v2_of_a_client(more: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[&[198, 51, 100, 7, 127, 0, 0, 1, 0x12, 0x67, 0x1f, 0x90][..], more].concat())
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("it is short").to_be_bytes();
    [&[kind][..], &length, value].concat()
}

/// `PP2_TYPE_SSL` of a client over TLS, with the version as a further field in it.
fn ssl() -> Vec<u8> {
    tlv(0x20, &[&[1, 0, 0, 0, 0][..], &tlv(0x21, b"TLSv1.3")].concat())
}

const V1: &[u8] = b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 8080\r\n";

/// The status of a request after `before`, and what its backend reads about the client: address and scheme. `None` when the
/// connection ends without an answer.
fn ask(
    edge: &Edge,
    backend: &Backend,
    source: &str,
    before: &[u8],
    more: &[(&str, &str)],
) -> Option<(u16, String, String)> {
    let source: IpAddr = source.parse().expect("it is an address");
    let mut connection = Connection::open_from(source, edge.public()).expect("the edge listens");
    connection.patience(Duration::from_secs(60));
    connection.write(before).expect("the edge reads");
    let request = more.iter().fold(edge.get("/open"), |request, (name, value)| request.header(name, value));
    let count = backend.seen().len();
    connection.write(&request.bytes()).expect("the edge reads");
    let answer = connection.answer(false).ok()?;
    if backend.seen().len() == count {
        return Some((answer.status, String::new(), String::new()));
    }
    let one = |name: &str| backend.last().all(name).join("|");
    Some((answer.status, one("x-forwarded-for"), one("x-forwarded-proto")))
}

fn received(address: &str, scheme: &str) -> Option<(u16, String, String)> {
    Some((200, address.to_owned(), scheme.to_owned()))
}

#[test]
fn a_trusted_proxy_names_the_client_and_a_stranger_only_itself() {
    let backend = Backend::plain();
    let ipv6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec();
    let v2_ipv6 = {
        let mut rest = vec![0; 36];
        rest[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        rest[15] = 7;
        rest[16..20].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        rest[31] = 1;
        v2(0x21, 0x21, &rest)
    };
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("version 1", V1.to_vec(), "198.51.100.7", "http"),
        ("version 1 with IPv6", ipv6, "2001:db8::7", "http"),
        ("version 1, UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec(), PROXY, "http"),
        (
            "version 1, UNKNOWN with addresses",
            b"PROXY UNKNOWN 198.51.100.7 10.0.0.1 1 2\r\n".to_vec(),
            PROXY,
            "http",
        ),
        ("version 2", v2_of_a_client(b""), "198.51.100.7", "http"),
        ("version 2 with IPv6", v2_ipv6, "2001:db8::7", "http"),
        ("version 2 with other fields", v2_of_a_client(&tlv(0x05, b"id")), "198.51.100.7", "http"),
        ("version 2 with a long field", v2_of_a_client(&tlv(0xe0, &[7; 3000])), "198.51.100.7", "http"),
        ("version 2 over TLS", v2_of_a_client(&ssl()), "198.51.100.7", "https"),
        ("version 2, not over TLS", v2_of_a_client(&tlv(0x20, &[0; 5])), "198.51.100.7", "http"),
        ("version 2, LOCAL", v2(0x20, 0, b""), PROXY, "http"),
        (
            "version 2, LOCAL with an address",
            v2(0x20, 0x11, &[198, 51, 100, 7, 1, 2, 3, 4, 0, 1, 0, 2]),
            PROXY,
            "http",
        ),
    ];
    for protocol in ["optional", "required"] {
        let edge = builder(&backend, protocol).start();
        for (what, header, address, scheme) in &cases {
            let what = format!("{what} ({protocol})");
            assert_eq!(ask(&edge, &backend, PROXY, header, &[]), received(address, scheme), "{what}");
            assert_eq!(
                ask(&edge, &backend, STRANGER, header, &[]),
                received(STRANGER, "http"),
                "{what}, of a stranger"
            );
        }
        // A client that claims to be one of the proxies is not believed behind a stranger.
        let claim = b"PROXY TCP4 127.0.1.9 127.0.0.1 4711 8080\r\n";
        let forged =
            [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-proto", "https"), ("x-request-id", "forged")];
        assert_eq!(ask(&edge, &backend, STRANGER, claim, &forged), received(STRANGER, "http"));
        assert_ne!(backend.last().header("x-request-id").as_deref(), Some("forged"));
        // The bytes behind a conveyed client are that client's: its headers say nothing.
        assert_eq!(ask(&edge, &backend, PROXY, V1, &forged), received("198.51.100.7", "http"));
        assert_ne!(backend.last().header("x-request-id").as_deref(), Some("forged"));
        // A conveyed proxy speaks for its clients.
        assert_eq!(ask(&edge, &backend, PROXY, claim, &forged), received("203.0.113.1", "https"));
        let without = ask(&edge, &backend, PROXY, b"", &forged);
        let stranger = ask(&edge, &backend, STRANGER, b"", &forged);
        if protocol == "optional" {
            assert_eq!(without, received("203.0.113.1", "https"));
            assert_eq!(stranger, received(STRANGER, "http"));
        } else {
            assert_eq!((without, stranger), (None, None), "each connection has to begin with it");
        }
        assert_eq!(
            edge.get("/internal/x").from(STRANGER).try_send().ok().map(|a| a.status),
            (protocol == "optional").then_some(404)
        );
        let source: IpAddr = PROXY.parse().expect("it is an address");
        let mut connection = Connection::open_from(source, edge.public()).expect("the edge listens");
        connection.write(&[V1, &edge.get("/internal/by-proxy").bytes()].concat()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, 404);
        let line = edge.logged("/internal/by-proxy", 404);
        assert_eq!((&line["client"], &line["peer"]), (&"198.51.100.7".into(), &PROXY.into()));
    }
}

#[test]
fn http_2_and_split_headers_are_read_like_any_other() {
    let backend = Backend::plain();
    let edge = builder(&backend, "optional").start();
    for (source, before, client) in [
        (PROXY, V1.to_vec(), "198.51.100.7"),
        (PROXY, v2_of_a_client(&ssl()), "198.51.100.7"),
        (PROXY, Vec::new(), PROXY),
        (STRANGER, V1.to_vec(), STRANGER),
        (STRANGER, Vec::new(), STRANGER),
    ] {
        let address = source.parse().expect("it is an address");
        let mut connection =
            h2::Connection::open_after(address, edge.public(), &before).expect("the edge listens");
        for _ in 0..2 {
            assert_eq!(connection.ask(&h2::headers("GET", "localhost", "/open")).status(), Some(200));
            assert_eq!(backend.last().all("x-forwarded-for"), [client], "{source}");
        }
    }
    // One byte after the other.
    for header in [V1.to_vec(), v2_of_a_client(&ssl())] {
        let address = PROXY.parse().expect("it is an address");
        let mut connection = Connection::open_from(address, edge.public()).expect("the edge listens");
        for byte in &header {
            connection.write(&[*byte]).expect("the edge reads");
        }
        connection.write(&edge.get("/open").bytes()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, 200);
        assert_eq!(backend.last().all("x-forwarded-for"), ["198.51.100.7"]);
    }
}

#[test]
fn bytes_that_are_no_valid_header_become_no_request() {
    let address = [198, 51, 100, 7, 127, 0, 0, 1, 0x12, 0x67, 0x1f, 0x90];
    let long = [b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 8080".as_slice(), &[b' '; 200], b"\r\n"].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no addresses", b"PROXY TCP4\r\n".to_vec()),
        ("half of them", b"PROXY TCP4 198.51.100.7 127.0.0.1\r\n".to_vec()),
        ("a name", b"PROXY TCP4 localhost 127.0.0.1 1 2\r\n".to_vec()),
        ("a port too large", b"PROXY TCP4 198.51.100.7 127.0.0.1 65536 2\r\n".to_vec()),
        ("the other family", b"PROXY TCP6 198.51.100.7 127.0.0.1 1 2\r\n".to_vec()),
        ("an unknown family", b"PROXY UDP4 198.51.100.7 127.0.0.1 1 2\r\n".to_vec()),
        ("too long", long),
        ("twice", [V1, V1].concat()),
        ("version 1 within version 2", [v2_of_a_client(b""), V1.to_vec()].concat()),
        ("multicast", b"PROXY TCP4 224.0.0.1 127.0.0.1 1 2\r\n".to_vec()),
        ("version 3", v2(0x31, 0x11, &address)),
        ("an unknown command", v2(0x22, 0x11, &address)),
        ("AF_UNIX", v2(0x21, 0x31, &[0; 216])),
        ("AF_UNSPEC", v2(0x21, 0x00, b"")),
        ("too short for its family", v2(0x21, 0x21, &address)),
        ("a field that is longer than the header", v2_of_a_client(&[0x20, 0xff, 0xff, 1])),
        ("half a field", v2_of_a_client(&[0x20, 0])),
    ];
    for protocol in ["optional", "required"] {
        let backend = Backend::plain();
        let edge = builder(&backend, protocol).start();
        for (what, header) in &cases {
            for source in [PROXY, STRANGER] {
                let outcome = ask(&edge, &backend, source, header, &[]);
                let refused = outcome.as_ref().is_none_or(|(status, ..)| *status == 400);
                assert!(refused, "{what} from {source} ({protocol}): {outcome:?}");
            }
        }
        assert!(backend.seen().is_empty(), "{:?}", backend.seen());
        // It ends after a stated time, and keeps no other client waiting.
        let waiting: Vec<Connection> = [V1, &v2_of_a_client(&tlv(0xe0, &[7; 60_000]))]
            .into_iter()
            .map(|header| {
                let source = STRANGER.parse().expect("it is an address");
                let mut connection = Connection::open_from(source, edge.public()).expect("the edge listens");
                connection.write(&header[..header.len() - 1]).expect("the edge reads");
                connection
            })
            .collect();
        assert_eq!(ask(&edge, &backend, PROXY, V1, &[]), received("198.51.100.7", "http"));
        for mut connection in waiting {
            assert!(connection.rest().is_empty(), "it is closed without an answer");
        }
        assert_eq!(backend.seen().len(), 1, "only the honest one arrived");
    }
}

/// The spoofing suite of tests/headers.rs behind either version.
#[test]
fn nothing_forged_arrives_behind_the_proxy_protocol() {
    let backend = Backend::plain();
    let edge = builder(&backend, "optional").start();
    for name in RESERVED {
        for spelling in [name.to_owned(), name.to_uppercase()] {
            for (source, before, client) in [
                (PROXY, V1.to_vec(), "198.51.100.7"),
                (PROXY, v2_of_a_client(b""), "198.51.100.7"),
                (STRANGER, V1.to_vec(), STRANGER),
            ] {
                let outcome = ask(
                    &edge,
                    &backend,
                    source,
                    &before,
                    &[(&spelling, "forged"), (&spelling, "forged too")],
                );
                assert_eq!(outcome, received(client, "http"), "{spelling} from {source}");
                let mut seen = backend.last();
                seen.head = String::from_utf8_lossy(&seen.head).replace(client, "127.0.0.1").into_bytes();
                assert_only_own(&seen, ("127.0.0.1", "http"), &format!("{spelling} from {source}"));
            }
        }
    }
}
