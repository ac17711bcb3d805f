//! The section `signatures`, and the policies of kind `signed`.

use std::time::Duration;

use crate::edge::{Cidr, CidrError, SignatureProfile, Signatures, SignedPolicy};
use crate::node::Node;
use crate::reader::path;
use crate::reader::{self, Context, Fields, choice};

use super::identity::Own;

/// Long enough for a batch job that signs first and sends later, short enough that the store of nonces stays small.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Clocks with NTP differ by milliseconds; a faulty one may be off by five seconds.
const SKEW: Duration = Duration::from_secs(5);
/// The default for the longest body. Envoy buffers the whole body until the authorizer has checked it.
const MAX_BODY_BYTES: u64 = 65_536;

/// Headers that cannot be covered: the edge or Envoy writes them, they frame the message, or every signature already
/// covers them.
const NOT_COVERED: [&str; 12] = [
    "connection",
    "content-digest",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "signature",
    "signature-input",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(crate) fn read(context: Context<'_>, node: &Node) -> Option<Signatures> {
    let mut fields = Fields::of(context, node, "`signatures`");
    let keys = fields
        .required("keys", "name the file of keys: `keys: signing-keys.yaml`")
        .and_then(|n| path(context, n, "`keys` of `signatures`"));
    let max_age = fields.optional("max_age_seconds").map_or(Some(MAX_AGE), |n| {
        reader::number(context, n, "`max_age_seconds`", 1, 3_600).map(Duration::from_secs)
    });
    let skew = fields.optional("skew_seconds").map_or(Some(SKEW), |n| {
        reader::number(context, n, "`skew_seconds`", 0, 300).map(Duration::from_secs)
    });
    let max_body_bytes = fields
        .optional("max_body_bytes")
        .map_or(Some(MAX_BODY_BYTES), |n| reader::number(context, n, "`max_body_bytes`", 1, 1_048_576));
    let headers = fields.optional("headers").map(|n| headers(context, n)).unwrap_or_default();
    fields.finish();
    Some(Signatures {
        keys: keys?,
        max_age: max_age?,
        skew: skew?,
        max_body_bytes: u32::try_from(max_body_bytes?).ok()?,
        headers,
    })
}

fn headers(context: Context<'_>, node: &Node) -> Vec<String> {
    let mut names = Vec::new();
    for element in reader::list(context, node, "`headers` of `signatures`") {
        let Some(name) = reader::text(context, element, "a header of `signatures`") else { continue };
        let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
            let problem = format!("a header of `signatures` is {name:?}");
            context.faults.report(element.place, problem, "write lower-case letters, digits and `-`");
        } else if NOT_COVERED.contains(&name) {
            let problem = format!(
                "`signatures` lets a signature cover `{name}`, which does not arrive as it was sent, or is always covered"
            );
            context.faults.report(element.place, problem, "remove it");
        } else if names.len() == 16 {
            let problem =
                format!("`headers` of `signatures` has more than 16 names, `{name}` is one too many");
            context.faults.report(
                element.place,
                problem,
                "list only the headers that change the meaning of a request",
            );
        } else {
            names.push(name.to_owned());
        }
    }
    names
}

/// The fields of a policy of kind `signed`. `has_signatures` says whether the file has that section.
pub(crate) fn policy(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    has_signatures: bool,
) -> Option<SignedPolicy> {
    if !has_signatures {
        let problem = format!("{what} needs signatures, and the file has no `signatures`");
        context.faults.report(fields.place, problem, "add the section: `signatures: { keys: … }`");
    }
    let mut keys = Vec::new();
    let listed = fields.required("keys", "list the names of the accepted keys: `keys: [partner]`");
    for element in listed.map(|n| reader::list(context, n, &format!("`keys` of {what}"))).unwrap_or_default()
    {
        keys.extend(reader::name(context, element, &format!("a key of {what}")));
    }
    let mut addresses = Vec::new();
    let allowed = fields.required(
        "addresses",
        "list the clients' addresses: `addresses: [192.0.2.0/24]`; for all addresses write `[0.0.0.0/0, \"::/0\"]`",
    );
    for element in
        allowed.map(|n| reader::list(context, n, &format!("`addresses` of {what}"))).unwrap_or_default()
    {
        addresses.extend(range(context, element, what));
    }
    let profile = fields.optional("signature").map_or_else(
        || Some(SignatureProfile::default()),
        |n| profile(context, n, &format!("`signature` of {what}")),
    );
    for (node, is_empty, name, mend) in [
        (listed, keys.is_empty(), "keys", "list at least one key"),
        (allowed, addresses.is_empty(), "addresses", "list at least one range"),
    ] {
        if let Some(node) = node
            && is_empty
        {
            context.faults.report(
                node.place,
                format!("`{name}` of {what} is empty: no caller would pass"),
                mend,
            );
        }
    }
    Some(SignedPolicy { keys, addresses, profile: profile? })
}

/// A tag is a name that an application chose for itself, such as `web-bot-auth` or `fapi-2-request`.
const MAX_TAG_BYTES: usize = 64;

/// `signature: { nonce: optional, alg: optional, tag: gnap }`.
fn profile(context: Context<'_>, node: &Node, what: &str) -> Option<SignatureProfile> {
    let mut fields = Fields::of(context, node, what);
    let mut needed = |name: &'static str| {
        fields.optional(name).map_or(Some(true), |n| {
            let words = [("required", true), ("optional", false)];
            choice(context, n, &format!("`{name}` of {what}"), &words)
        })
    };
    let (needs_nonce, needs_algorithm) = (needed("nonce"), needed("alg"));
    let tag = match fields.optional("tag") {
        None => Some(None),
        Some(n) => tag(context, n, what).map(Some),
    };
    fields.finish();
    Some(SignatureProfile { needs_nonce: needs_nonce?, needs_algorithm: needs_algorithm?, tag: tag? })
}

fn tag(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, &format!("`tag` of {what}"))?;
    let plain = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
    if (1..=MAX_TAG_BYTES).contains(&text.len()) && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    context.faults.report(
        node.place,
        format!("`tag` of {what} is {text:?}"),
        format!(
            "write the `tag` of the clients' signatures (RFC 9421 §2.3): 1 to {MAX_TAG_BYTES} visible ASCII characters \
             without quotes"
        ),
    );
    None
}

pub(super) fn range(context: Context<'_>, node: &Node, what: &str) -> Option<Cidr> {
    let text = reader::text(context, node, &format!("an address of {what}"))?;
    match text.parse::<Cidr>() {
        Ok(range) => Some(range),
        Err(error @ (CidrError::Malformed | CidrError::Mapped | CidrError::HostBits(_))) => {
            let problem = format!("an address of {what} is {text:?}");
            context.faults.report(node.place, problem, error.to_string());
            None
        }
    }
}

/// Reports covered headers that the guard removes from every request.
pub(crate) fn check_reserved(
    context: Context<'_>,
    node: &Node,
    signatures: &Signatures,
    reserved: &crate::edge::Reserved,
    own: Own<'_>,
) {
    for header in &signatures.headers {
        if *header == own.request_id.header {
            let problem = format!(
                "`signatures` lets a signature cover `{header}`, which does not arrive as it was sent: it is the header \
                 of `request_id`"
            );
            context.faults.report(node.place, problem, "remove it");
        } else if reserved.takes(header) {
            let problem = format!(
                "`signatures` lets a signature cover `{header}`, which is reserved and never arrives"
            );
            context.faults.report(node.place, problem, "remove it, or choose a name that is not reserved");
        }
    }
}

/// `addresses` of a policy that need not have them.
pub(super) fn optional_addresses(context: Context<'_>, fields: &mut Fields<'_>, what: &str) -> Vec<Cidr> {
    let Some(node) = fields.optional("addresses") else { return Vec::new() };
    let elements = reader::list(context, node, &format!("`addresses` of {what}"));
    if elements.is_empty() {
        let problem = format!("`addresses` of {what} is empty: no caller would pass");
        context.faults.report(node.place, problem, "list at least one range, or leave it out");
    }
    elements.iter().filter_map(|n| range(context, n, what)).collect()
}
