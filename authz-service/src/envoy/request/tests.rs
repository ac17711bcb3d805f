use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, Metadata};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request, TlsSession};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::google::protobuf::Timestamp;
use prost::Message as _;

use super::read;
use crate::check::MalformedCheck;
use crate::envoy::question::{self, Question};

/// The message that arrives when `request` is sent.
fn sent(request: &CheckRequest) -> Question {
    Question::decode(request.encode_to_vec().as_slice()).expect("it is the same message")
}

fn request(extensions: &[(&str, &str)], lines: &[(&str, &[u8])]) -> CheckRequest {
    let raw = |(key, value): &(&str, &[u8])| HeaderValue {
        key: (*key).to_owned(),
        value: String::new(),
        raw_value: value.to_vec(),
    };
    let http = HttpRequest {
        header_map: Some(HeaderMap { headers: lines.iter().map(raw).collect() }),
        ..HttpRequest::default()
    };
    let extensions = extensions.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request { time: None, http: Some(http) }),
            context_extensions: extensions,
            ..AttributeContext::default()
        }),
    }
}

const ALL: [(&str, &str); 4] = [("route", "r"), ("policy", "p"), ("revision", "v"), ("exposure", "public")];

#[test]
fn every_extension_is_needed() {
    assert!(read(&sent(&request(&ALL, &[]))).is_ok());
    for missing in 0..ALL.len() {
        let mut some = ALL.to_vec();
        let (name, _) = some.remove(missing);
        assert_eq!(read(&sent(&request(&some, &[]))), Err(MalformedCheck(name)));
        let mut empty = ALL.to_vec();
        empty[missing].1 = "";
        assert_eq!(read(&sent(&request(&empty, &[]))), Err(MalformedCheck(name)));
    }
    let mut odd = ALL;
    odd[3].1 = "Public";
    assert_eq!(read(&sent(&request(&odd, &[]))), Err(MalformedCheck("exposure")));
}

#[test]
fn an_empty_message_is_malformed_at_every_depth() {
    let attributes = AttributeContext::default();
    let request = Request { time: None, http: None };
    for (wire, part) in [
        (CheckRequest::default(), "attributes"),
        (CheckRequest { attributes: Some(attributes.clone()) }, "request"),
        (
            CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..attributes }) },
            "http request",
        ),
    ] {
        assert_eq!(read(&sent(&wire)), Err(MalformedCheck(part)));
    }
}

#[test]
fn lines_keep_their_order_and_bytes() {
    let wire = request(
        &ALL,
        &[("cookie", b"a=1"), ("x", b"y"), ("Cookie", b"b=\xff"), ("authorization", b"Basic x")],
    );
    let wire = sent(&wire);
    let input = read(&wire).unwrap();
    assert_eq!(input.cookies(), [&b"a=1"[..], b"b=\xff"]);
    assert_eq!(input.authorizations(), [&b"Basic x"[..]]);
}

#[test]
fn the_older_map_is_read_when_there_is_nothing_else() {
    let mut wire = request(&ALL, &[]);
    let http = wire.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
    http.headers.insert("cookie".to_owned(), "a=1".to_owned());
    assert_eq!(read(&sent(&wire)).unwrap().cookies(), [&b"a=1"[..]]);

    let mut both = request(&ALL, &[("cookie", b"a=2")]);
    let http = both.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
    http.headers.insert("cookie".to_owned(), "a=1".to_owned());
    assert_eq!(read(&sent(&both)).unwrap().cookies(), [&b"a=2"[..]]);
}

#[test]
fn only_a_plausible_request_id_is_written_down() {
    for (id, expected) in [
        (&b"01932c07-0000-7000-8000-000000000001"[..], "01932c07-0000-7000-8000-000000000001"),
        (b"01JD0000000000000000000000", "01JD0000000000000000000000"),
        (b"", "-"),
        (b"a b", "-"),
        (b"x\"}\n{\"forged\":1", "-"),
        (b"\xff\xfe", "-"),
        (&[b'a'; 129], "-"),
        // Of a trusted proxy.
        (b"Root=1-67891233-abc;Self=\"1\"", "Root=1-67891233-abc;Self=\"1\""),
    ] {
        let wire = request(&ALL, &[("x-request-id", id)]);
        assert_eq!(read(&sent(&wire)).unwrap().request_id, expected);
    }
}

/// Every field of every message on the path is set and named here, so that a field that Envoy adds later
/// breaks the build and a developer decides what it means.
#[test]
fn the_reader_agrees_with_envoys_own_messages() {
    let text = |what: &str| what.to_owned();
    let peer = |address: &str| Peer {
        address: Some(core::Address {
            address: Some(Kind::SocketAddress(core::SocketAddress {
                protocol: 1,
                address: text(address),
                resolver_name: text("resolver"),
                ipv4_compat: true,
                network_namespace_filepath: text("/run/x"),
                port_specifier: Some(core::socket_address::PortSpecifier::PortValue(443)),
            })),
        }),
        service: text("service"),
        labels: HashMap::from([(text("label"), text("value"))]),
        principal: text("principal"),
        certificate: text("certificate"),
    };
    let lines: [(&str, &str, &[u8]); 3] = [
        ("x-request-id", "", b"01JD0000000000000000000000"),
        ("cookie", "as-text", b""),
        ("cookie", "x", b"\xff"),
    ];
    let line = |(key, value, raw): &(&str, &str, &[u8])| HeaderValue {
        key: text(key),
        value: text(value),
        raw_value: raw.to_vec(),
    };
    let wire = CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(peer("::ffff:192.0.2.1")),
            destination: Some(peer("198.51.100.1")),
            request: Some(Request {
                time: Some(Timestamp { seconds: 7, nanos: 7 }),
                http: Some(HttpRequest {
                    id: text("envoys-own"),
                    method: text("POST"),
                    headers: HashMap::from([(text("cookie"), text("joined"))]),
                    header_map: Some(HeaderMap { headers: lines.iter().map(line).collect() }),
                    path: text("/a?b"),
                    host: text("h:1"),
                    scheme: text("https"),
                    query: text("query"),
                    fragment: text("fragment"),
                    size: -1,
                    protocol: text("HTTP/2"),
                    body: text("as text"),
                    raw_body: b"raw\0".to_vec(),
                }),
            }),
            context_extensions: ALL.iter().map(|(key, value)| (text(key), text(value))).collect(),
            metadata_context: Some(Metadata::default()),
            route_metadata_context: Some(Metadata::default()),
            tls_session: Some(TlsSession { sni: text("sni") }),
        }),
    };
    let wire = sent(&wire);
    let input = read(&wire).unwrap();
    assert_eq!((input.route, input.policy, input.revision), ("r", "p", "v"));
    assert_eq!(input.exposure.as_str(), "public");
    assert_eq!(input.client, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(input.certificate, Some("principal"));
    assert_eq!((input.method, input.target, input.host), ("POST", "/a?b", "h:1"));
    assert_eq!(input.request_id, "01JD0000000000000000000000");
    assert_eq!(input.headers.len(), 3);
    assert_eq!(input.cookies(), [&b"as-text"[..], b"\xff"]);
    assert_eq!(input.body, b"raw\0");
    assert_eq!(format!("{wire:?}"), "Question", "there are credentials in it");
}

#[test]
fn the_request_id_is_envoys_own_without_a_header() {
    let mut wire = request(&ALL, &[]);
    let http = wire.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
    http.id = "01JD0000000000000000000000".to_owned();
    assert_eq!(read(&sent(&wire)).unwrap().request_id, "01JD0000000000000000000000");
}

#[test]
fn the_last_entry_of_a_map_and_the_last_kind_of_address_count() {
    let attributes = |question: &mut Question| question.attributes.take().unwrap();
    let pair = |key: &'static str, value: &'static [u8]| question::Pair {
        key: key.as_bytes().into(),
        value: value.into(),
    };
    let mut twice = sent(&request(&ALL, &[]));
    twice.attributes.as_mut().unwrap().context_extensions.push(pair("route", b"other"));
    // The same result as prost's own map for these bytes.
    let map = CheckRequest::decode(twice.encode_to_vec().as_slice()).unwrap();
    assert_eq!(map.attributes.unwrap().context_extensions["route"], "other");
    assert_eq!(read(&twice).unwrap().route, "other");

    let peer = |kind| question::Peer {
        address: Some(question::Address { kind: Some(kind) }),
        ..question::Peer::default()
    };
    let socket = question::SocketAddress { address: "192.0.2.1".into() };
    let mut bytes = Vec::new();
    for kind in [question::AddressKind::Socket(socket), question::AddressKind::Pipe(question::Unread {})] {
        let mut whole = sent(&request(&ALL, &[]));
        let attributes = attributes(&mut whole);
        whole.attributes = Some(question::Attributes { source: Some(peer(kind)), ..attributes });
        bytes.extend(whole.encode_to_vec());
        let has_address = read(&Question::decode(bytes.as_slice()).unwrap()).unwrap().client.is_some();
        assert_eq!(has_address, bytes.len() == whole.encoded_len(), "a pipe behind it has none");
    }
}

#[test]
fn invalid_text_is_malformed_where_it_is_read() {
    type Change = fn(&mut question::Attributes);
    fn http(attributes: &mut question::Attributes) -> &mut question::Http {
        attributes.request.as_mut().unwrap().http.as_mut().unwrap()
    }
    let changes: [(Change, &str); 5] = [
        (|a| http(a).method = b"\xff"[..].into(), "method"),
        (|a| http(a).path = b"/\xff"[..].into(), "path"),
        (|a| http(a).host = b"\xff"[..].into(), "host"),
        (|a| http(a).header_map.as_mut().unwrap().headers[0].key = b"\xff"[..].into(), "header name"),
        (|a| a.context_extensions.iter_mut().for_each(|pair| pair.value = b"\xff"[..].into()), "route"),
    ];
    for (change, part) in changes {
        let mut wire = sent(&request(&ALL, &[("x", b"y")]));
        assert!(read(&wire).is_ok());
        change(wire.attributes.as_mut().unwrap());
        assert_eq!(read(&wire), Err(MalformedCheck(part)));
    }
}

#[test]
fn behind_trusted_proxies_the_client_is_the_address_that_the_guard_wrote() {
    let extensions = [&ALL[..], &[("client", "x-forwarded-for")]].concat();
    let read_from = |lines: &[(&str, &[u8])]| {
        let wire = request(&extensions, lines);
        read(&sent(&wire)).unwrap().client
    };
    let written = |value: &'static [u8]| read_from(&[("x-forwarded-for", value)]);
    assert_eq!(written(b"198.51.100.7"), Some("198.51.100.7".parse().unwrap()));
    assert_eq!(written(b"2001:db8::7"), Some("2001:db8::7".parse().unwrap()));
    // Nothing else is an address, and the peer of the connection is never one instead.
    for value in [&b""[..], b"unknown", b"198.51.100.7, 10.0.0.1", b"198.51.100.7:80", b"\xff"] {
        assert_eq!(read_from(&[("x-forwarded-for", value)]), None);
    }
    assert_eq!(read_from(&[]), None);
    assert_eq!(
        read_from(&[("x-forwarded-for", b"198.51.100.7"), ("x-forwarded-for", b"198.51.100.8")]),
        None
    );
    // Without the extension no header counts.
    let wire = request(&ALL, &[("x-forwarded-for", b"198.51.100.7")]);
    assert_ne!(read(&sent(&wire)).unwrap().client, Some("198.51.100.7".parse().unwrap()));
}
