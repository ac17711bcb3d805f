//! `tls` of a backend.

use std::net::IpAddr;

use crate::edge::{BackendTls, ClientCertificate, Endpoint};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields, path};

use super::super::host_names::is_host_name;

/// Enough for the present keys of several addresses and the next ones.
const MAX_PINS: usize = 16;

/// The fields of `tls`; without it, those of an address with `https://`.
pub(super) fn tls(context: Context<'_>, node: Option<&Node>, what: &str) -> Option<BackendTls> {
    let unsaid = BackendTls::by_system_authorities();
    let Some(node) = node else { return Some(unsaid) };
    let what = format!("`tls` of {what}");
    let mut fields = Fields::of(context, node, &*what);
    let ca = fields.optional("ca").map_or(Some(unsaid.ca), |n| path(context, n, &format!("`ca` of {what}")));
    let sni = fields.optional("sni").map_or(Some(None), |n| sni(context, n, &what).map(Some));
    let client = fields.optional("client").map_or(Some(None), |n| client(context, n, &what).map(Some));
    let pins = fields.optional("pins").map_or(Some(Vec::new()), |n| pins(context, n, &what));
    fields.finish();
    Some(BackendTls { ca: ca?, sni: sni?, client: client?, pins: pins? })
}

fn sni(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let name: String = reader::parsed(context, node, &format!("`sni` of {what}"), "write a DNS name")?;
    // An IP address is not sent in a handshake (RFC 6066 §3).
    if is_host_name(&name) && name.parse::<IpAddr>().is_err() {
        return Some(name);
    }
    context.faults.report(
        node.place,
        format!("`sni` of {what} is {name:?}"),
        "write the DNS name of the backend's certificate in lower case, such as orders.internal; for an IP address, leave \
         it out",
    );
    None
}

/// `client: edge.pem` with chain and key, or `client: { certificate: edge.pem, key: edge.key }`.
pub(crate) fn client(context: Context<'_>, node: &Node, what: &str) -> Option<ClientCertificate> {
    let what = format!("`client` of {what}");
    if !matches!(node.value, Value::Map(_)) {
        let both = path(context, node, &what)?;
        return Some(ClientCertificate { certificate: both.clone(), key: both });
    }
    let mut fields = Fields::of(context, node, &*what);
    let certificate = fields
        .required("certificate", "name the PEM file with the edge's certificate chain")
        .and_then(|n| path(context, n, &format!("`certificate` of {what}")));
    let key = fields
        .required("key", "name the PEM file with the private key of that certificate")
        .and_then(|n| path(context, n, &format!("`key` of {what}")));
    fields.finish();
    Some(ClientCertificate { certificate: certificate?, key: key? })
}

fn pins(context: Context<'_>, node: &Node, what: &str) -> Option<Vec<String>> {
    let elements = reader::list(context, node, &format!("`pins` of {what}"));
    if elements.is_empty() || elements.len() > MAX_PINS {
        let problem = format!("`pins` of {what} lists {} keys", elements.len());
        context.faults.report(node.place, problem, format!("list 1 to {MAX_PINS}, or leave it out"));
        return None;
    }
    let mut pins: Vec<String> = Vec::with_capacity(elements.len());
    for element in elements {
        let pin = reader::text(context, element, &format!("a key in `pins` of {what}"))?;
        if !is_sha256(pin) {
            context.faults.report(
                element.place,
                format!("a key in `pins` of {what} is {pin:?}"),
                "write the SHA-256 of its public key in base64 (44 characters): openssl x509 -pubkey -noout -in CERT.pem | \
                 openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
            );
            return None;
        }
        if pins.iter().any(|known| known == pin) {
            context.faults.report(
                element.place,
                format!("`pins` of {what} lists {pin} twice"),
                "list it once",
            );
        }
        pins.push(pin.to_owned());
    }
    Some(pins)
}

/// Whether `text` is the base64 of 32 bytes: 43 digits, of which the last has two bits that are zero, and one `=`.
fn is_sha256(text: &str) -> bool {
    let Some(digits) = text.strip_suffix('=') else { return false };
    let is_digit = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    digits.len() == 43
        && digits.bytes().all(is_digit)
        && digits.bytes().last().is_some_and(|last| b"AEIMQUYcgkosw048".contains(&last))
}

/// Reports that TLS cannot be verified for these addresses by one name.
pub(super) fn check(context: Context<'_>, node: &Node, what: &str, endpoints: &[Endpoint]) {
    for endpoint in endpoints {
        // A name with an underscore is none that a certificate can have (RFC 5280 §4.2.1.6).
        if endpoint.host.contains('_') {
            context.faults.report(
                node.place,
                format!("{what} is verified for the name {}, which no certificate can have", endpoint.host),
                "name the one of its certificate: `tls: { sni: … }`",
            );
        }
    }
}
