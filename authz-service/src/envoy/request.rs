//! Reads the wire format into a [`CheckInput`].
//!
//! Headers come from `header_map` (the filter's `encode_raw_headers: true`): each line separately, as bytes.
//! Only when that is empty the older `headers` map is read. It joins lines of one name with commas; a joined
//! pair of cookies or authorizations then fails as one malformed credential, which is the safe side.

use std::net::IpAddr;

use bytes::Bytes;
use edge_config::edge::Exposure;
use identity::headers;

use crate::check::{CheckInput, MalformedCheck};
use crate::envoy::question::{
    AddressKind, Attributes, HeaderMap, HeaderValue, Http, Pair, Peer, Question, Request,
};

/// The guard keeps no longer id: 128 visible ASCII characters of a trusted proxy, or a UUID or ULID of any client.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Reads `question`.
///
/// # Errors
/// [`MalformedCheck`] with the part that is missing or invalid.
pub fn read(question: &Question) -> Result<CheckInput<'_>, MalformedCheck> {
    let Question { attributes } = question;
    let Attributes { source, request, context_extensions } =
        attributes.as_ref().ok_or(MalformedCheck("attributes"))?;
    let Request { http } = request.as_ref().ok_or(MalformedCheck("request"))?;
    let Http { id, method, headers: joined, path, host, scheme, body, raw_body, header_map } =
        http.as_ref().ok_or(MalformedCheck("http request"))?;

    let lines = lines(header_map.as_ref(), joined)?;
    // Envoy names the header where it is another one.
    let id_header = optional(context_extensions, "request_id")?.unwrap_or(headers::REQUEST_ID);
    let settled = lines.iter().find(|(name, _)| name.eq_ignore_ascii_case(id_header));
    let settled = settled.and_then(|(_, id)| std::str::from_utf8(id).ok());
    let request_id = settled.or_else(|| std::str::from_utf8(id).ok()).unwrap_or_default();
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
        client: match optional(context_extensions, "client")? {
            None => source.as_ref().and_then(peer_address),
            Some(name) => written_address(&lines, name),
        },
        certificate: match source.as_ref() {
            Some(Peer { principal, .. }) if !principal.is_empty() => Some(text(principal, "principal")?),
            Some(_) | None => None,
        },
        method: text(method, "method")?,
        target: text(path, "path")?,
        scheme: text(scheme, "scheme")?,
        host: text(host, "host")?,
        headers: lines,
        body: if raw_body.is_empty() { body } else { raw_body },
    })
}

/// The address of the connection's peer. An IPv4 address in IPv6 notation becomes the IPv4 address.
fn peer_address(peer: &Peer) -> Option<IpAddr> {
    let Some(AddressKind::Socket(socket)) = &peer.address.as_ref()?.kind else { return None };
    let address = std::str::from_utf8(&socket.address).ok()?;
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The client's address behind trusted proxies, as the guard writes it into the header `name`, over any value. While the
/// guard does not know of the proxies yet, it removes that header: then the address is unknown, and in no list of addresses.
fn written_address(lines: &[(&str, &[u8])], name: &str) -> Option<IpAddr> {
    let mut values = lines.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    std::str::from_utf8(value).ok()?.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// The value of `name`; of two the last one counts, as in every map of protobuf.
fn extension<'a>(extensions: &'a [Pair], name: &'static str) -> Result<&'a str, MalformedCheck> {
    optional(extensions, name)?.ok_or(MalformedCheck(name))
}

/// The same for a value that may be absent, but not empty.
fn optional<'a>(extensions: &'a [Pair], name: &'static str) -> Result<Option<&'a str>, MalformedCheck> {
    let Some(pair) = extensions.iter().rfind(|pair| pair.key == name) else { return Ok(None) };
    let value = text(&pair.value, name)?;
    if value.is_empty() { Err(MalformedCheck(name)) } else { Ok(Some(value)) }
}

fn is_request_id(id: &str) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// Every line, in order.
fn lines<'a>(
    raw: Option<&'a HeaderMap>,
    joined: &'a [Pair],
) -> Result<Vec<(&'a str, &'a [u8])>, MalformedCheck> {
    let raw = raw.map(|HeaderMap { headers }| headers.as_slice()).unwrap_or_default();
    let mut lines = Vec::with_capacity(raw.len().max(joined.len()));
    for HeaderValue { key, value, raw_value } in raw {
        lines.push((
            text(key, "header name")?,
            if raw_value.is_empty() { &value[..] } else { &raw_value[..] },
        ));
    }
    if raw.is_empty() {
        for Pair { key, value } in joined {
            lines.push((text(key, "header name")?, &value[..]));
        }
    }
    Ok(lines)
}

/// `bytes` as text, which the message's schema promises.
fn text<'a>(bytes: &'a Bytes, what: &'static str) -> Result<&'a str, MalformedCheck> {
    std::str::from_utf8(bytes).map_err(|_| MalformedCheck(what))
}

#[cfg(test)]
mod tests;
