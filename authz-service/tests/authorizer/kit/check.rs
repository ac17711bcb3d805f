//! One check, as Envoy sends it, and what came back.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, HeaderValueOption, SocketAddress, address,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;

use super::{Authz, COOKIE};

/// What the authorizer answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 200 for an allow, otherwise the status that the client gets.
    pub(crate) status: u16,
    /// The `reason` in the metadata.
    pub(crate) reason: String,
    pub(crate) body: String,
    /// Headers towards the backend, or of the refusal.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) removed: Vec<String>,
    /// Headers that the client gets beside those of the backend.
    pub(crate) added: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Answer {
    pub(crate) fn is(&self, status: u16, reason: &str) -> bool {
        self.status == status && self.reason == reason
    }

    #[track_caller]
    pub(crate) fn expect(&self, status: u16, reason: &str) {
        assert!(self.is(status, reason), "expected {status} {reason}, got {} {}", self.status, self.reason);
    }
}

/// A check in the making.
#[derive(Clone)]
pub(crate) struct Check {
    extensions: BTreeMap<String, String>,
    lines: Vec<(String, Vec<u8>)>,
    method: String,
    host: String,
    target: String,
    body: Vec<u8>,
    client: Option<String>,
    certificate: Option<String>,
}

impl Check {
    pub(crate) fn new() -> Self {
        Self {
            extensions: BTreeMap::new(),
            lines: Vec::new(),
            method: String::new(),
            host: String::new(),
            target: String::new(),
            body: Vec::new(),
            client: None,
            certificate: None,
        }
    }

    /// The method.
    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.lines.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The request target.
    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// Method, host and target, for a test that signs them.
    pub(crate) fn request(self, method: &str, host: &str, target: &str) -> Self {
        Self { method: method.to_owned(), host: host.to_owned(), ..self }.target(target)
    }

    /// The body, as Envoy sends it with the check.
    pub(crate) fn body(self, body: impl AsRef<[u8]>) -> Self {
        Self { body: body.as_ref().to_vec(), ..self }
    }

    /// The address at the other end of the connection.
    pub(crate) fn client(mut self, address: &str) -> Self {
        self.client = Some(address.to_owned());
        self
    }

    /// The name in the client's certificate, which Envoy verified. The check has an address, too.
    pub(crate) fn certificate(mut self, name: &str) -> Self {
        self.certificate = Some(name.to_owned());
        self.client.get_or_insert_with(|| "192.0.2.7".to_owned());
        self
    }

    pub(crate) fn cookie_line(self, line: impl AsRef<[u8]>) -> Self {
        self.header("cookie", line)
    }

    /// The access cookie with this value, in a line of its own.
    pub(crate) fn session(self, token: &str) -> Self {
        self.cookie_line(format!("{COOKIE}={token}"))
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn extension(mut self, name: &str, value: &str) -> Self {
        self.extensions.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without_extension(mut self, name: &str) -> Self {
        self.extensions.remove(name);
        self
    }

    pub(crate) fn wire(self) -> CheckRequest {
        let headers = self
            .lines
            .into_iter()
            .map(|(key, raw_value)| HeaderValue { key, value: String::new(), raw_value })
            .collect();
        let http = HttpRequest {
            header_map: Some(HeaderMap { headers }),
            path: self.target,
            method: self.method,
            host: self.host,
            raw_body: self.body,
            ..HttpRequest::default()
        };
        let source = self.client.map(|address| {
            let socket = SocketAddress { address, ..SocketAddress::default() };
            Peer {
                address: Some(Address { address: Some(address::Address::SocketAddress(socket)) }),
                principal: self.certificate.clone().unwrap_or_default(),
                ..Peer::default()
            }
        });
        CheckRequest {
            attributes: Some(AttributeContext {
                source,
                request: Some(Request { time: None, http: Some(http) }),
                context_extensions: self.extensions.into_iter().collect(),
                ..AttributeContext::default()
            }),
        }
    }
}

impl Authz {
    /// A check for `route` with its own policy, as a rendered configuration sends it.
    pub(crate) fn check(&self, route: &str) -> Check {
        let (policy, exposure) = match route {
            "me" | "books" => ("signed-in", "public"),
            "create" => ("bot", "public"),
            "shelf" => ("reader", "public"),
            "open" | "door" => ("public", "public"),
            "workspace" => ("own-tenant", "public"),
            "tried" => ("tried-out", "public"),
            "full" => ("signed-in", "public"),
            "lookup" => ("lookup", "internal"),
            "events" => ("any-service", "internal"),
            other => panic!("no route {other}"),
        };
        Check::new()
            .extension("route", route)
            .extension("policy", policy)
            .extension("revision", &self.revision)
            .extension("exposure", exposure)
    }

    pub(crate) async fn ask(&self, check: Check) -> Answer {
        self.ask_wire(check.wire()).await
    }

    pub(crate) async fn ask_wire(&self, wire: CheckRequest) -> Answer {
        read(self.client.clone().check(wire).await.unwrap().into_inner())
    }

    /// What comes of `token` in the access cookie on a route for anybody signed in.
    pub(crate) async fn ask_with(&self, token: &str) -> Answer {
        self.ask(self.check("me").session(token)).await
    }
}

pub(crate) fn read(response: CheckResponse) -> Answer {
    let CheckResponse { status, dynamic_metadata, http_response } = response;
    let code = status.expect("a response without status is an allow").code;
    let metadata: BTreeMap<String, String> = dynamic_metadata
        .unwrap()
        .fields
        .into_iter()
        .map(|(name, value)| match value.kind {
            Some(Kind::StringValue(text)) => (name, text),
            other => panic!("{name} is {other:?}"),
        })
        .collect();
    let reason = metadata["reason"].clone();
    match http_response.expect("an answer") {
        HttpResponse::OkResponse(ok) => {
            assert_eq!(code, 0);
            assert!(ok.query_parameters_to_set.is_empty() && ok.query_parameters_to_remove.is_empty());
            Answer {
                status: 200,
                reason,
                body: String::new(),
                headers: headers(ok.headers),
                removed: ok.headers_to_remove,
                added: added(ok.response_headers_to_add),
                metadata,
            }
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(code, 0, "a refusal with status 0 is an allow");
            Answer {
                status: u16::try_from(denied.status.unwrap().code).unwrap(),
                reason,
                body: denied.body,
                headers: headers(denied.headers),
                removed: Vec::new(),
                added: BTreeMap::new(),
                metadata,
            }
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn added(options: Vec<HeaderValueOption>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for option in options {
        assert_eq!(option.append_action(), HeaderAppendAction::AppendIfExistsOrAdd);
        let header = option.header.unwrap();
        assert!(header.key.starts_with("ratelimit"), "nothing else is added to an answer: {}", header.key);
        assert_eq!(all.insert(header.key, header.value), None, "a header twice");
    }
    all
}

fn headers(options: Vec<HeaderValueOption>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for option in options {
        assert_eq!(option.append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
        let header = option.header.unwrap();
        assert_eq!(all.insert(header.key, header.value), None, "a header twice");
    }
    all
}
