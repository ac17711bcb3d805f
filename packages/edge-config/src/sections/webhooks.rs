//! The section `webhooks`, and the policies of kind `webhook`.

use std::path::PathBuf;
use std::time::Duration;

use super::signatures;
use crate::declared::Declared;
use crate::edge::{
    FormatFault, Reserved, SecretEncoding, SignatureFormat, SignedPart, Webhook, WebhookHash, WebhookPolicy,
    WebhookTime,
};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields, choice};

/// Senders send a few kilobytes, and 256 KiB is the most that large ones promise. Envoy holds the whole body until the
/// signature was checked.
const MAX_BODY_BYTES: u64 = 256 * 1_024;

/// The most that a check can carry.
const LARGEST_BODY_BYTES: u64 = 1_024 * 1_024;

/// Stripe's and Slack's own advice: five minutes.
const TOLERANCE: Duration = Duration::from_secs(300);

/// The present secret, the next, and those of a second environment: each costs an HMAC for every request.
const MAX_SECRETS: usize = 4;

/// Templates have a few parts; a longer one is a mistake.
const MAX_PARTS: usize = 16;

const FORMATS: &str = "write the value of the header with `{hex}`, `{HEX}`, `{base64}` or `{base64url}` in place of the digest: `sha256={hex}`, `t={timestamp},v1={hex}`";

pub(crate) fn webhook(context: Context<'_>, name: &str, node: &Node) -> Option<Webhook> {
    let what = format!("webhook `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let secrets = secrets(context, &mut fields, &what);
    let encodings =
        [("text", SecretEncoding::Text), ("base64", SecretEncoding::Base64), ("hex", SecretEncoding::Hex)];
    let encoding = match fields.optional("secret_encoding") {
        None => Some(SecretEncoding::default()),
        Some(n) => choice(context, n, &format!("`secret_encoding` of {what}"), &encodings),
    };
    let hash = match fields.optional("algorithm") {
        None => Some(WebhookHash::default()),
        Some(n) => algorithm(context, n, &what),
    };
    let header = fields
        .required("header", "name the header with the signature: `header: x-hub-signature-256`")
        .and_then(|n| header(context, n, &format!("`header` of {what}")));
    let separator = match fields.optional("separator") {
        None => Some(None),
        Some(n) => separator(context, n, &what).map(Some),
    };
    let format_node = fields.required("format", FORMATS);
    let format = format_node
        .and_then(|n| Some((n, reader::text(context, n, &format!("`format` of {what}"))?)))
        .zip(separator)
        .and_then(|((n, text), separator)| {
            let read = SignatureFormat::read(text, separator);
            fault(context, n, &format!("`format` of {what} is {text:?}"), read, FORMATS)
        });
    let in_signature = format.as_ref().is_some_and(|format| format.time.is_some());
    let time = match fields.optional("timestamp") {
        None if in_signature => Some(Some(WebhookTime { header: None, tolerance: TOLERANCE, once: true })),
        None => Some(None),
        Some(n) => time(context, n, &what, in_signature).map(Some),
    };
    let signed_node = fields.optional("signed");
    let signed = match (signed_node, &time) {
        (Some(n), _) => signed(context, n, &what),
        (None, Some(Some(_))) => SignedPart::read("{timestamp}.{body}").ok(),
        (None, Some(None) | None) => SignedPart::read("{body}").ok(),
    };
    let max_body_bytes = fields.optional("body_limit").map_or(Some(MAX_BODY_BYTES), |n| {
        reader::bytes(context, n, &format!("`body_limit` of {what}"), 1, LARGEST_BODY_BYTES)
    });
    let place = fields.place;
    fields.finish();
    let hook = Webhook {
        secrets: secrets?,
        encoding: encoding?,
        hash: hash?,
        header: header?,
        format: format?,
        time: time?,
        signed: signed?,
        max_body_bytes: u32::try_from(max_body_bytes?).ok()?,
    };
    let signs_time = hook.signed.contains(&SignedPart::Timestamp);
    let (problem, mend) = match (&hook.time, signs_time) {
        (Some(_), true) | (None, false) => return Some(hook),
        (Some(_), false) => (
            format!(
                "{what} has a `timestamp` that is not signed: a client that repeats a request can write a new one"
            ),
            "put `{timestamp}` into `signed`, as the sender does, or leave the `timestamp` out",
        ),
        (None, true) => (
            format!("{what} signs `{{timestamp}}`, and nothing says where it is"),
            "add `timestamp: { header: … }`, or put `{timestamp}` into `format`",
        ),
    };
    context.faults.report(signed_node.map_or(place, |n| n.place), problem, mend);
    None
}

fn secrets(context: Context<'_>, fields: &mut Fields<'_>, what: &str) -> Option<Vec<PathBuf>> {
    let place = fields.place;
    let (one, several) = (fields.optional("secret_file"), fields.optional("secret_files"));
    match (one, several) {
        (Some(n), None) => Some(vec![reader::path(context, n, &format!("`secret_file` of {what}"))?]),
        (None, Some(n)) => {
            let elements = reader::list(context, n, &format!("`secret_files` of {what}"));
            let files: Vec<PathBuf> = elements
                .iter()
                .filter_map(|n| reader::path(context, n, &format!("a secret of {what}")))
                .collect();
            if (1..=MAX_SECRETS).contains(&elements.len()) {
                return (files.len() == elements.len()).then_some(files);
            }
            let problem = format!("`secret_files` of {what} has {} files", elements.len());
            context.faults.report(n.place, problem, format!("name 1 to {MAX_SECRETS}"));
            None
        }
        (Some(_), Some(_)) | (None, None) => {
            let problem = format!("{what} needs a secret");
            let mend = "name its file (`secret_file: secrets/partner`), or those of the old and the new one (`secret_files: […]`)";
            context.faults.report(place, problem, mend);
            None
        }
    }
}

fn algorithm(context: Context<'_>, node: &Node, what: &str) -> Option<WebhookHash> {
    if let Value::Text(text) = &node.value
        && ["sha1", "sha-1", "md5"].contains(&text.to_ascii_lowercase().as_str())
    {
        let problem = format!("`algorithm` of {what} is {text:?}, which no longer proves a sender");
        context.faults.report(
            node.place,
            problem,
            "have the sender sign with sha256; most senders do beside sha1",
        );
        return None;
    }
    let all = [("sha256", WebhookHash::Sha256), ("sha512", WebhookHash::Sha512)];
    choice(context, node, &format!("`algorithm` of {what}"), &all)
}

/// The name of a header that the edge reads.
fn header(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    name(text).or_else(|| {
        let mend = "write the header's name in lower-case letters, digits and `-`, but no header that every request has";
        context.faults.report(node.place, format!("{what} is {text:?}"), mend);
        None
    })
}

/// Headers that frame a message, or that the edge itself reads or writes.
const NOT_A_SIGNATURE: [&str; 11] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    identity::headers::REQUEST_ID,
];

fn name(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain) && !NOT_A_SIGNATURE.contains(&text);
    fits.then(|| text.to_owned())
}

fn separator(context: Context<'_>, node: &Node, what: &str) -> Option<char> {
    let text = reader::text(context, node, &format!("`separator` of {what}"))?;
    let mut all = text.chars();
    match (all.next(), all.next()) {
        (Some(one @ (',' | ';' | ' ' | '|' | '&')), None) => Some(one),
        _ => {
            let problem = format!("`separator` of {what} is {text:?}");
            context.faults.report(node.place, problem, "write one of `,`, `;`, ` `, `|` and `&`, in quotes");
            None
        }
    }
}

fn time(context: Context<'_>, node: &Node, what: &str, in_signature: bool) -> Option<WebhookTime> {
    let of = format!("`timestamp` of {what}");
    let mut fields = Fields::of(context, node, &*of);
    let header_node = fields.optional("header");
    let tolerance = fields.optional("tolerance_seconds").map_or(Some(TOLERANCE), |n| {
        reader::number(context, n, &format!("`tolerance_seconds` of {of}"), 1, 3_600).map(Duration::from_secs)
    });
    let once = fields
        .optional("once")
        .map_or(Some(true), |n| reader::boolean(context, n, &format!("`once` of {of}")));
    fields.finish();
    let header = match (header_node, in_signature) {
        (Some(n), false) => Some(header(context, n, &format!("`header` of {of}"))?),
        (None, true) => None,
        (Some(_), true) | (None, false) => {
            let problem = format!("{of} needs exactly one place");
            let mend = "name a `header`, or put `{timestamp}` into `format`";
            context.faults.report(node.place, problem, mend);
            return None;
        }
    };
    Some(WebhookTime { header, tolerance: tolerance?, once: once? })
}

const PARTS: &str = "write what is signed, such as `{timestamp}.{body}`: there are {body}, {timestamp}, {header:NAME}, {method} and {target}";

fn signed(context: Context<'_>, node: &Node, what: &str) -> Option<Vec<SignedPart>> {
    let text = reader::text(context, node, &format!("`signed` of {what}"))?;
    let shown = format!("`signed` of {what} is {text:?}");
    let parts = fault(context, node, &shown, SignedPart::read(text), PARTS)?;
    let count = |wanted: &SignedPart| parts.iter().filter(|part| *part == wanted).count();
    let report = |problem: &str, mend: &str| {
        context.faults.report(node.place, format!("{shown}: {problem}"), mend);
        None
    };
    if count(&SignedPart::Body) != 1 || parts.len() > MAX_PARTS {
        return report("it has to contain `{body}` once", PARTS);
    }
    if count(&SignedPart::Timestamp) > 1 {
        return report("it contains `{timestamp}` twice", PARTS);
    }
    for (index, part) in parts.iter().enumerate() {
        let SignedPart::Header(header) = part else { continue };
        if name(header).is_none() {
            return report(&format!("`{header}` is not a header that can be signed"), "name another header");
        }
        // Otherwise the end of the header's value could be moved into what follows it, under one signature.
        let next = parts.get(index + 1);
        if next.is_some_and(|next| !matches!(next, SignedPart::Text(_))) {
            let problem = format!("nothing separates `{{header:{header}}}` from what follows it");
            return report(&problem, "write what the sender puts between them, such as `.`");
        }
    }
    Some(parts)
}

fn fault<T>(
    context: Context<'_>,
    node: &Node,
    problem: &str,
    read: Result<T, FormatFault>,
    mend: &str,
) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(error) => {
            context.faults.report(node.place, format!("{problem}: {error}"), mend);
            None
        }
    }
}

/// The fields of a policy of kind `webhook`.
pub(crate) fn policy(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    webhooks: &Declared<Webhook>,
) -> Option<WebhookPolicy> {
    let of = fields
        .required("of", "name the webhook: `of: partner`, which the section `webhooks` describes")
        .and_then(|n| webhooks.reference(context, n, &format!("the webhook of {what}")));
    let addresses = signatures::optional_addresses(context, fields, what);
    Some(WebhookPolicy { of: of?, addresses })
}

/// Reports webhooks whose headers never arrive, or that a backend would take for a service of the platform.
pub(crate) fn check(
    context: Context<'_>,
    node: Option<&Node>,
    webhooks: &Declared<Webhook>,
    reserved: Option<&Reserved>,
    is_service: impl Fn(&str) -> bool,
) {
    let Some(node) = node else { return };
    for (name, hook) in &webhooks.good {
        if is_service(name) {
            let problem =
                format!("webhook `{name}` is called like a service: a backend could not distinguish them");
            context.faults.report(node.place, problem, "give the webhook another name");
        }
        for header in hook.headers() {
            let taken = reserved.is_some_and(|reserved| {
                reserved.names.iter().any(|name| name == header)
                    || reserved.prefixes.iter().any(|prefix| header.starts_with(prefix.as_str()))
            });
            if taken {
                let problem =
                    format!("webhook `{name}` reads `{header}`, which is reserved and never arrives");
                context.faults.report(node.place, problem, "name the header that the sender uses");
            }
        }
    }
}
