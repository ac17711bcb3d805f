//! From the wire to a [`CheckInput`].
//!
//! Messages are taken apart field by field, so that a field that Envoy adds one day breaks the build here and
//! somebody decides what it means.
//!
//! Headers come from `header_map` (the filter's `encode_raw_headers: true`): each line by itself, as bytes. Only
//! when that is empty the older `headers` map is read. It joins lines of one name with commas; a joined pair of
//! cookies or authorizations then fails as one malformed credential, which is the safe side.

use std::collections::HashMap;
use std::net::IpAddr;

use edge_config::edge::Exposure;
use envoy_types::pb::envoy::config::core::v3::address::Address;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use identity::headers;

use crate::check::{CheckInput, MalformedCheck};

/// A request id is a UUID or a ULID; anything longer is not one and is not written down.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// Reads `request`.
///
/// # Errors
/// [`MalformedCheck`] with the part that is missing or not understood.
pub fn read(request: &CheckRequest) -> Result<CheckInput<'_>, MalformedCheck> {
    let CheckRequest { attributes } = request;
    let AttributeContext {
        source,
        destination: _,
        request,
        context_extensions,
        metadata_context: _,
        route_metadata_context: _,
        tls_session: _,
    } = attributes.as_ref().ok_or(MalformedCheck("attributes"))?;
    let Request { time: _, http } = request.as_ref().ok_or(MalformedCheck("request"))?;
    let HttpRequest {
        id,
        method,
        headers: joined,
        header_map,
        path,
        host,
        scheme: _,
        query: _,
        fragment: _,
        size: _,
        protocol: _,
        body,
        raw_body,
    } = http.as_ref().ok_or(MalformedCheck("http request"))?;

    let lines = Lines { raw: header_map.as_ref(), joined };
    let settled = lines.first(headers::REQUEST_ID);
    let request_id = settled.and_then(|id| std::str::from_utf8(id).ok()).unwrap_or(id);
    Ok(CheckInput {
        route: extension(context_extensions, "route")?,
        policy: extension(context_extensions, "policy")?,
        revision: extension(context_extensions, "revision")?,
        exposure: match extension(context_extensions, "exposure")? {
            "public" => Exposure::Public,
            "internal" => Exposure::Internal,
            _ => return Err(MalformedCheck("exposure")),
        },
        request_id: if is_request_id(request_id) { request_id } else { "-" },
        client: source.as_ref().and_then(peer_address),
        method,
        target: path,
        host,
        headers: lines.all(),
        body: if raw_body.is_empty() { body.as_bytes() } else { raw_body },
    })
}

/// The address of the connection's other end. An IPv4 address in IPv6 clothes is the IPv4 address.
fn peer_address(peer: &Peer) -> Option<IpAddr> {
    let Some(Address::SocketAddress(socket)) = &peer.address.as_ref()?.address else { return None };
    socket.address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn extension<'a>(
    extensions: &'a HashMap<String, String>,
    name: &'static str,
) -> Result<&'a str, MalformedCheck> {
    extensions.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or(MalformedCheck(name))
}

fn is_request_id(id: &str) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

struct Lines<'a> {
    raw: Option<&'a HeaderMap>,
    joined: &'a HashMap<String, String>,
}

impl<'a> Lines<'a> {
    /// Every line, in order.
    fn all(&self) -> Vec<(&'a str, &'a [u8])> {
        match self.raw() {
            Some(headers) => headers.iter().map(line).collect(),
            None => self.joined.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).collect(),
        }
    }

    /// The first value of `name`.
    fn first(&self, name: &str) -> Option<&'a [u8]> {
        let named = |(key, _): &(&str, &[u8])| key.eq_ignore_ascii_case(name);
        match self.raw() {
            Some(headers) => headers.iter().map(line).find(named),
            None => self.joined.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).find(named),
        }
        .map(|(_, value)| value)
    }

    fn raw(&self) -> Option<&'a [HeaderValue]> {
        self.raw.map(|HeaderMap { headers }| headers.as_slice()).filter(|headers| !headers.is_empty())
    }
}

fn line(HeaderValue { key, value, raw_value }: &HeaderValue) -> (&str, &[u8]) {
    (key.as_str(), if raw_value.is_empty() { value.as_bytes() } else { raw_value.as_slice() })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    const ALL: [(&str, &str); 4] =
        [("route", "r"), ("policy", "p"), ("revision", "v"), ("exposure", "public")];

    #[test]
    fn every_extension_is_needed() {
        assert!(read(&request(&ALL, &[])).is_ok());
        for missing in 0..ALL.len() {
            let mut some = ALL.to_vec();
            let (name, _) = some.remove(missing);
            assert_eq!(read(&request(&some, &[])), Err(MalformedCheck(name)));
            let mut empty = ALL.to_vec();
            empty[missing].1 = "";
            assert_eq!(read(&request(&empty, &[])), Err(MalformedCheck(name)));
        }
        let mut odd = ALL;
        odd[3].1 = "Public";
        assert_eq!(read(&request(&odd, &[])), Err(MalformedCheck("exposure")));
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
            assert_eq!(read(&wire), Err(MalformedCheck(part)));
        }
    }

    #[test]
    fn lines_keep_their_order_and_bytes() {
        let wire = request(
            &ALL,
            &[("cookie", b"a=1"), ("x", b"y"), ("Cookie", b"b=\xff"), ("authorization", b"Basic x")],
        );
        let input = read(&wire).unwrap();
        assert_eq!(input.cookies(), [&b"a=1"[..], b"b=\xff"]);
        assert_eq!(input.authorizations(), [&b"Basic x"[..]]);
    }

    #[test]
    fn the_older_map_is_read_when_there_is_nothing_else() {
        let mut wire = request(&ALL, &[]);
        let http = wire.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
        http.headers.insert("cookie".to_owned(), "a=1".to_owned());
        assert_eq!(read(&wire).unwrap().cookies(), [&b"a=1"[..]]);

        let mut both = request(&ALL, &[("cookie", b"a=2")]);
        let http = both.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
        http.headers.insert("cookie".to_owned(), "a=1".to_owned());
        assert_eq!(read(&both).unwrap().cookies(), [&b"a=2"[..]]);
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
            (&[b'a'; 65], "-"),
        ] {
            let wire = request(&ALL, &[("x-request-id", id)]);
            assert_eq!(read(&wire).unwrap().request_id, expected);
        }
    }
}
