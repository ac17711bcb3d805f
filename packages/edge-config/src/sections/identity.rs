//! The sections `identity` and `request_id`: the headers that the edge itself writes.

use std::sync::Arc;

use identity::{FIXED, Form, headers};

use crate::edge::{IdentityHeaders, OnAnswers, RequestIdHeader, Reserved};
use crate::fault::Place;
use crate::node::{Node, Value};
use crate::notes::Shape;
use crate::reader::{self, Context, Fields, choice};

/// Longer names serve no backend; HPACK would carry the name on every request.
const LONGEST_NAME: usize = 64;

/// Headers with a meaning of their own on a request (RFC 9110, RFC 6265, RFC 9421, Fetch, W3C Trace Context): an identity
/// or an id under such a name would replace what the client sent, or break the message.
const TAKEN: [&str; 50] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "baggage",
    "cache-control",
    "connection",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "dpop",
    "expect",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-event-id",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "signature",
    "signature-input",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-http2-stream-weight",
];

/// Prefixes of names that Envoy, the browser, or another part of the edge writes.
const TAKEN_PREFIXES: [&str; 6] =
    [headers::INTERNAL, "x-envoy-", "x-forwarded-", "sec-", "access-control-", "grpc-"];

/// Why `name` is not free for a header that the edge writes.
fn taken(name: &str) -> bool {
    name == "forwarded"
        || TAKEN.contains(&name)
        || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A header name that the edge may write over, or a fault.
fn header(context: Context<'_>, node: &Node, what: &str) -> Option<Arc<str>> {
    let name = reader::text(context, node, what)?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let begins = name.bytes().next().is_some_and(|b| b != b'-');
    if !begins || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
        let mend = format!(
            "write 1 to {LONGEST_NAME} lower-case letters, digits and `-`, such as x-auth-subject; every other spelling \
             of the name is covered by it"
        );
        context.faults.report(node.place, format!("{what} is {name:?}"), mend);
        return None;
    }
    if taken(name) {
        let problem = format!("{what} is `{name}`, which already has a meaning on a request");
        context.faults.report(node.place, problem, "choose a name of your own, such as x-auth-subject");
        return None;
    }
    Some(name.into())
}

/// `identity: { subject: x-auth-subject, signed: x-auth-identity }`
pub(crate) fn identity(context: Context<'_>, node: &Node) -> IdentityHeaders {
    let mut fields = Fields::of(context, node, "`identity`");
    let mut used: Vec<(Arc<str>, &'static str)> = Vec::new();
    let (signed, form) =
        fields.optional("signed").map_or((None, Form::default()), |node| signed(context, node));
    let mut named = |field: &'static str| {
        let node = if field == "signed" { signed? } else { fields.optional(field)? };
        let name = header(context, node, &format!("`{field}` of `identity`"))?;
        if let Some((_, other)) = used.iter().find(|(taken, _)| *taken == name) {
            let problem = format!("`{other}` and `{field}` of `identity` are both `{name}`");
            context.faults.report(node.place, problem, "give each header a name of its own");
            return None;
        }
        used.push((Arc::clone(&name), field));
        Some(name)
    };
    let headers = IdentityHeaders {
        subject: named("subject"),
        session: named("session"),
        role: named("role"),
        roles: named("roles"),
        scopes: named("scopes"),
        tenant: named("tenant"),
        signed: named("signed"),
        form: Arc::new(form),
        gateway: named("gateway"),
        public: named("public"),
    };
    fields.finish();
    headers
}

/// `signed: x-auth-identity`, or `signed: { header: x-auth-identity, typ: identity+jwt, claims: { tenant: org } }`: the node
/// with the header, and the form.
fn signed<'n>(context: Context<'n>, node: &'n Node) -> (Option<&'n Node>, Form) {
    let mut form = Form::default();
    context.expects(node, || Shape::Text);
    if matches!(node.value, Value::Text(_)) {
        return (Some(node), form);
    }
    let mut fields = Fields::of(context, node, "`signed` of `identity`");
    let header = fields.required("header", "name the header: `signed: { header: x-auth-identity, … }`");
    if let Some(node) = fields.optional("typ")
        && let Some(typ) = typ(context, node)
    {
        form.typ = typ;
    }
    if let Some(node) = fields.optional("claims") {
        claims(context, node, &mut form);
    }
    fields.finish();
    (header, form)
}

/// The `typ` of signed identities.
fn typ(context: Context<'_>, node: &Node) -> Option<String> {
    let typ = reader::text(context, node, "`typ` of the signed identity")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'/');
    let problem = format!("`typ` of the signed identity is {typ:?}");
    if !(1..=64).contains(&typ.len()) || !typ.bytes().all(plain) {
        context.faults.report(
            node.place,
            problem,
            "write a media type without `application/`, such as identity+jwt",
        );
        return None;
    }
    let access = ["at+jwt", "application/at+jwt", "refresh+jwt"];
    if access.iter().any(|taken| typ.eq_ignore_ascii_case(taken)) {
        let mend = "choose another one, such as identity+jwt: a backend that accepts access tokens would accept an identity \
                    as one (RFC 9068)";
        context.faults.report(node.place, problem, mend);
        return None;
    }
    Some(typ.to_owned())
}

/// The claims that are called by other names than in [`Form::default`].
fn claims(context: Context<'_>, node: &Node, form: &mut Form) {
    let mut fields = Fields::of(context, node, "`claims` of the signed identity");
    let mut last = node.place;
    let Form { typ: _, subject, kind, session, tenant, role, roles, scopes } = form;
    let each = [
        ("subject", subject),
        ("kind", kind),
        ("session", session),
        ("tenant", tenant),
        ("role", role),
        ("roles", roles),
        ("scopes", scopes),
    ];
    for (field, name) in each {
        let Some(node) = fields.optional(field) else { continue };
        let what = format!("the claim of the {field}");
        let Some(text) = reader::text(context, node, &what) else { continue };
        if !(1..=128).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            let problem = format!("{what} is {text:?}");
            context.faults.report(node.place, problem, "write 1 to 128 visible ASCII characters");
        } else if FIXED.contains(&text) || matches!(text, "nbf" | "jti") {
            let problem = format!("{what} is `{text}`, which every token has for another purpose");
            context.faults.report(node.place, problem, "choose another name");
        } else {
            text.clone_into(name);
            last = node.place;
        }
    }
    fields.finish();
    let names = form.claims();
    let twice = names.iter().enumerate().find_map(|(at, (_, name))| {
        names.iter().take(at).any(|(_, earlier)| earlier == name).then_some(*name)
    });
    if let Some(name) = twice {
        let problem = format!("two claims of the signed identity are called `{name}`");
        context.faults.report(last, problem, "give each claim a name of its own");
    }
}

/// `request_id: { header: x-request-id, on_answers: refusals }`
pub(crate) fn request_id(context: Context<'_>, node: &Node, identity: &IdentityHeaders) -> RequestIdHeader {
    let mut fields = Fields::of(context, node, "`request_id`");
    let mut read = RequestIdHeader::default();
    if let Some(node) = fields.optional("header")
        && let Some(name) = header(context, node, "`header` of `request_id`")
    {
        read.header = name.to_string();
        if let Some((field, _)) = identity.named().find(|(_, taken)| **taken == name) {
            let problem = format!("`{name}` is the header of `request_id` and of `{field}` in `identity`");
            context.faults.report(node.place, problem, "give each header a name of its own");
        }
    }
    if let Some(node) = fields.optional("on_answers") {
        let answers =
            [("always", OnAnswers::Always), ("refusals", OnAnswers::Refusals), ("never", OnAnswers::Never)];
        read.on_answers = choice(context, node, "`on_answers` of `request_id`", &answers).unwrap_or_default();
    }
    fields.finish();
    read
}

/// The headers that the edge writes, to find other parts of the file that use such a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    pub(crate) identity: &'a IdentityHeaders,
    pub(crate) request_id: &'a RequestIdHeader,
}

impl Own<'_> {
    /// Reports a constant header of the backend `what` that the edge itself writes: one of the two would be lost.
    pub(crate) fn check_constant(self, context: Context<'_>, name: &str, place: Place, what: &str) {
        let field = self.identity.named().find(|(_, own)| &***own == name).map(|(field, _)| field);
        let problem = match field {
            Some(field) => format!("{what} sets `{name}`, which is `{field}` of `identity`"),
            None if name == self.request_id.header => {
                format!("{what} sets `{name}`, which is the header of `request_id`")
            }
            None if name.starts_with(headers::INTERNAL)
                || matches!(name, "x-forwarded-for" | "x-forwarded-proto") =>
            {
                format!("{what} sets `{name}`, which the edge writes itself")
            }
            None => return,
        };
        context.faults.report(place, problem, "choose another name: the edge writes this header");
    }

    /// Reports a constant header of refusals that the edge itself writes.
    pub(crate) fn check_answer(self, context: Context<'_>, name: &str, place: Place, what: &str) {
        let on_answers = match self.request_id.on_answers {
            OnAnswers::Always | OnAnswers::Refusals => true,
            OnAnswers::Never => false,
        };
        if (on_answers && name == self.request_id.header) || name.starts_with(headers::INTERNAL) {
            let problem = format!("{what} sets the header `{name}`");
            context.faults.report(place, problem, "remove it: the edge writes it where it is needed");
        }
    }

    /// The names that are reserved without being listed.
    pub(crate) fn reserved(self) -> Reserved {
        let identity = self.identity.names().map(str::to_owned);
        // Also under their own names, because the guard counts forgeries by rule.
        let written = ["forwarded", "x-forwarded-for", "x-forwarded-host"].map(str::to_owned);
        Reserved {
            names: identity.chain(written).collect(),
            prefixes: [headers::INTERNAL, "x-envoy-", "x-forwarded-"].map(str::to_owned).to_vec(),
        }
    }
}
