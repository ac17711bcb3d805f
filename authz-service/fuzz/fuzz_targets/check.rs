//! Arbitrary checks from Envoy, as bytes and as messages: each one gets an answer, and none passes without a credential.
//! No input of this program holds a credential, so every answer is a well-formed refusal. The authorizer reads the same
//! from a message as Envoy's own types do.
#![no_main]

use std::sync::{LazyLock, Mutex};

use authz_service::envoy::question::Question as Read;
use authz_service::envoy::request;
use authz_service::envoy::service::Checks;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

#[path = "../edge.rs"]
mod edge;

struct Fixed {
    checks: Checks,
    runtime: tokio::runtime::Runtime,
    _kept: Box<dyn std::any::Any + Send>,
}

static FIXED: LazyLock<Mutex<Fixed>> = LazyLock::new(|| {
    let (checks, kept) = edge::checks();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    Mutex::new(Fixed { checks, runtime, _kept: kept })
});

const ROUTES: [(&str, &str); 4] =
    [("me", "signed-in"), ("any", "either"), ("lookup", "lookup"), ("sync", "sync")];
const EXPOSURES: [&str; 2] = ["public", "internal"];
const NAMES: [&str; 8] = [
    "cookie",
    "authorization",
    "x-api-key",
    "x-request-id",
    "signature",
    "signature-input",
    "content-digest",
    "x-envoy-auth-partial-body",
];

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Wire(&'a [u8]),
    Question(Question<'a>),
}

#[derive(Debug, Arbitrary)]
struct Question<'a> {
    route: u8,
    other_route: Option<&'a str>,
    exposure: bool,
    address: Option<&'a str>,
    method: &'a str,
    path: &'a str,
    host: &'a str,
    lines: Vec<(u8, &'a [u8])>,
    odd: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

fn wire(question: &Question<'_>) -> CheckRequest {
    let Question { route, other_route, exposure, address, method, path, host, lines, odd, body } = question;
    let (route, policy) = ROUTES[usize::from(*route) % ROUTES.len()];
    let exposure = EXPOSURES[usize::from(*exposure)];
    let extension = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let header = |(name, value): &(u8, &[u8])| HeaderValue {
        key: NAMES[usize::from(*name) % NAMES.len()].to_owned(),
        value: String::new(),
        raw_value: value.to_vec(),
    };
    let socket = |address: &str| {
        let socket = SocketAddress { address: address.to_owned(), ..SocketAddress::default() };
        Peer { address: Some(Address { address: Some(Kind::SocketAddress(socket)) }), ..Peer::default() }
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(socket(address.unwrap_or("192.0.2.1"))),
            request: Some(Request {
                time: None,
                http: Some(HttpRequest {
                    method: (*method).to_owned(),
                    path: (*path).to_owned(),
                    host: (*host).to_owned(),
                    header_map: Some(HeaderMap { headers: lines.iter().map(header).collect() }),
                    headers: odd.iter().map(|(name, value)| extension(name, value)).collect(),
                    raw_body: body.to_vec(),
                    ..HttpRequest::default()
                }),
            }),
            context_extensions: [
                extension("route", other_route.unwrap_or(route)),
                extension("policy", policy),
                extension("revision", &edge::edge().revision.0),
                extension("exposure", exposure),
            ]
            .into(),
            ..AttributeContext::default()
        }),
    }
}

fuzz_target!(|input: Input<'_>| {
    let wire = match &input {
        Input::Wire(bytes) => bytes.to_vec(),
        Input::Question(question) => wire(question).encode_to_vec(),
    };
    let theirs = CheckRequest::decode(wire.as_slice());
    let Ok(question) = Read::decode(wire.as_slice()) else {
        // The authorizer may refuse more arbitrary bytes than Envoy's own types: those do not check the kind of a field
        // that holds a map. An unreadable check is an error, which Envoy treats as a refusal.
        assert!(matches!(input, Input::Wire(_)), "what Envoy writes is read");
        return;
    };
    if let Ok(theirs) = &theirs {
        compare(&question, theirs);
    }
    let fixed = FIXED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let answer = fixed.runtime.block_on(fixed.checks.answer(&question));
    let answer = CheckResponse::decode(answer.as_slice()).expect("every answer is protobuf");
    let status = answer.status.expect("a status: without one it would be an allow");
    assert_ne!(status.code, 0, "no credential was given");
    assert_ne!(status.message, "panicked", "a defect");
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { panic!("not a refusal") };
    assert!(denied.status.is_some_and(|status| (400..600).contains(&status.code)));
});

/// What a decision is made about against what `theirs` holds.
fn compare(question: &Read, theirs: &CheckRequest) {
    let Ok(input) = request::read(question) else { return };
    let attributes = theirs.attributes.as_ref().expect("it was read");
    let http = attributes.request.as_ref().and_then(|request| request.http.as_ref()).expect("it was read");
    for (name, read) in [("route", input.route), ("policy", input.policy), ("revision", input.revision)] {
        assert_eq!(attributes.context_extensions.get(name).map(String::as_str), Some(read), "{name}");
    }
    assert_eq!(attributes.context_extensions["exposure"], input.exposure.as_str());
    assert_eq!((&*http.method, &*http.path, &*http.host), (input.method, input.target, input.host));
    assert_eq!(if http.raw_body.is_empty() { http.body.as_bytes() } else { &http.raw_body }, input.body);
    let lines = http.header_map.as_ref().map(|map| map.headers.as_slice()).unwrap_or_default();
    if !lines.is_empty() {
        let line = |line: &'_ HeaderValue| {
            let value = if line.raw_value.is_empty() { line.value.as_bytes() } else { &line.raw_value };
            (line.key.clone(), value.to_vec())
        };
        let read: Vec<_> = input.headers.iter().map(|(k, v)| ((*k).to_owned(), v.to_vec())).collect();
        assert_eq!(lines.iter().map(line).collect::<Vec<_>>(), read);
    }
    let address = attributes.source.as_ref().and_then(|peer| peer.address.as_ref()?.address.as_ref());
    let address = match address {
        Some(Kind::SocketAddress(socket)) => socket.address.parse::<std::net::IpAddr>().ok(),
        Some(Kind::Pipe(_) | Kind::EnvoyInternalAddress(_)) | None => None,
    };
    assert_eq!(address.map(|address| address.to_canonical()), input.client);
}
