//! `canary` of a route.

use crate::declared::Declared;
use crate::edge::{Backend, Canary, Condition, IdentityHeaders, Policy, Reserved};
use crate::fault::suggest;
use crate::node::Node;
use crate::reader::{self, Context, Fields, cookie_name};

/// Envoy compares canaries one after the other. To move more callers than this, use shares.
const MAX_CANARIES: usize = 64;

/// The names that a canary may and may not read.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    /// Those that only the edge may write.
    pub(crate) reserved: &'a Reserved,
    /// Those that say who calls.
    pub(crate) identity: &'a IdentityHeaders,
}

/// `canary: [{ tenant: …, to: users }, { header: x-auth-subject, value: …, to: users }]`
pub(crate) fn read(
    context: Context<'_>,
    node: &Node,
    what: &str,
    backends: &Declared<Backend>,
    policy: Option<&Policy>,
    names: Names<'_>,
) -> Vec<Canary> {
    let elements = reader::list(context, node, &format!("`canary` of {what}"));
    if elements.len() > MAX_CANARIES {
        let problem = format!("{what} has {} canaries", elements.len());
        context.faults.report(node.place, problem, format!("name at most {MAX_CANARIES}"));
    }
    let canaries: Vec<Canary> =
        elements.iter().filter_map(|element| one(context, element, what, backends, policy, names)).collect();
    if matches!(policy, Some(Policy::Public(_)))
        && (canaries.is_empty() || !canaries.iter().all(|canary| canary.when.is_chosen_by_client()))
    {
        let problem = format!("{what} has canaries, but the callers of a public route are not identified");
        let mend =
            "use shares (`to`) for a public route, or canaries that clients choose (`chosen_by: client`)";
        context.faults.report(node.place, problem, mend);
    }
    canaries
}

fn one(
    context: Context<'_>,
    node: &Node,
    what: &str,
    backends: &Declared<Backend>,
    policy: Option<&Policy>,
    names: Names<'_>,
) -> Option<Canary> {
    let what = format!("a canary of {what}");
    let mut fields = Fields::of(context, node, &*what);
    let (tenant, header) = (fields.optional("tenant"), fields.optional("header"));
    let (cookie, query) = (fields.optional("cookie"), fields.optional("query"));
    let chosen_by = fields.optional("chosen_by");
    let by_client = chosen_by
        .and_then(|n| reader::choice(context, n, &format!("`chosen_by` of {what}"), &[("client", true)]));
    let when = match (tenant, header, cookie, query) {
        (Some(n), None, None, None) => {
            if let Some(chosen_by) = chosen_by {
                let problem =
                    format!("{what} is for a tenant, which the authorizer finds out and no client chooses");
                context.faults.report(chosen_by.place, problem, "leave out `chosen_by`");
            }
            if let Some(Policy::Internal(_)) = policy {
                let problem = format!("{what} is for a tenant, but services have none");
                context.faults.report(n.place, problem, "name the `header` with the subject");
            }
            reader::parsed(context, n, &format!("the tenant of {what}"), "write the tenant's id")
                .map(Condition::Tenant)
        }
        (None, Some(n), None, None) => {
            let value = value(context, &mut fields, &what);
            match by_client {
                None => written(context, n, &what, names.identity)
                    .zip(value)
                    .map(|(name, value)| Condition::Header { name, value }),
                Some(_) => sent(context, n, &what, names)
                    .zip(value)
                    .map(|(name, value)| Condition::ClientHeader { name, value }),
            }
        }
        (None, None, Some(n), None) => {
            if chosen_by.is_none() {
                let problem = format!("{what} looks at a cookie, which the client chooses");
                context.faults.report(n.place, problem, CHOICE);
            }
            let value =
                value(context, &mut fields, &what).filter(|value| is_cookie(context, n, &what, value));
            cookie_name(context, n).zip(value).map(|(name, value)| Condition::ClientCookie { name, value })
        }
        (None, None, None, Some(n)) => {
            if chosen_by.is_none() {
                let problem = format!("{what} looks at the query, which the client chooses");
                context.faults.report(n.place, problem, CHOICE);
            }
            let value = value(context, &mut fields, &what);
            parameter(context, n, &what)
                .zip(value.filter(|value| is_in_query(context, n, &what, value)))
                .map(|(name, value)| Condition::ClientQuery { name, value })
        }
        (..) => {
            let problem = format!("{what} needs one of `tenant`, `header`, `cookie` and `query`");
            context.faults.report(node.place, problem, "give exactly one of them");
            None
        }
    };
    let backend = fields
        .required("to", "name the backend")
        .and_then(|n| backends.reference(context, n, &format!("the backend of {what}")));
    fields.finish();
    Some(Canary { when: when?, backend: backend? })
}

/// Reads a header that clients cannot send: otherwise a client could choose its backend.
fn written(context: Context<'_>, node: &Node, what: &str, identity: &IdentityHeaders) -> Option<String> {
    let name = reader::text(context, node, &format!("the header of {what}"))?;
    let written: Vec<&str> = identity.chosen_by().collect();
    if written.contains(&name) {
        return Some(name.to_owned());
    }
    if written.is_empty() {
        let problem = format!("{what} reads `{name}`, and backends receive no header about the caller");
        let mend = "name the header in `identity`, such as `identity: { subject: x-auth-subject }`";
        context.faults.report(node.place, problem, mend);
        return None;
    }
    let problem = format!("{what} looks at `{name}`, which the authorizer does not write: a client could");
    context.faults.report(node.place, problem, format!("{}; or {CHOICE}", suggest(name, written)));
    None
}

/// The way to let clients choose.
const CHOICE: &str = "add `chosen_by: client` to let clients choose the backend themselves";

/// Headers by which no client chooses a backend: credentials, which an edge file must not contain, and those that say how a
/// message is read.
const UNFIT: [&str; 8] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "transfer-encoding",
    "upgrade",
];

/// Reads a header by which clients choose.
fn sent(context: Context<'_>, node: &Node, what: &str, names: Names<'_>) -> Option<String> {
    let name = reader::text(context, node, &format!("the header of {what}"))?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let Names { reserved, identity } = names;
    let mend = if identity.chosen_by().any(|written| written == name) {
        "the authorizer writes it over any value of a client: leave out `chosen_by`"
    } else if name == "cookie" {
        "name the cookie: `cookie: try-new`"
    } else if reserved.takes(name) {
        "clients cannot send it: name a header that the edge does not reserve"
    } else if UNFIT.contains(&name) {
        "choose a header of your own, such as x-try-new"
    } else if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Some(name.to_owned());
    } else {
        "write lower-case letters, digits and `-`, such as x-try-new"
    };
    context.faults.report(node.place, format!("{what} lets clients choose by the header {name:?}"), mend);
    None
}

/// Reads the name of a parameter of a query, by which clients choose.
fn parameter(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let name = reader::text(context, node, &format!("the parameter of {what}"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'[' | b']');
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Some(name.to_owned());
    }
    let problem = format!("{what} lets clients choose by the parameter {name:?}");
    context.faults.report(
        node.place,
        problem,
        "write letters, digits, `-`, `_`, `.`, `~`, `[` and `]`: names are not decoded",
    );
    None
}

/// Whether a parameter of a query can have `value`, in the form in which it is sent.
fn is_in_query(context: Context<'_>, node: &Node, what: &str, value: &str) -> bool {
    let fits = !value.contains(['&', '#']);
    if !fits {
        let problem = format!("the value of {what} is {value:?}, which no parameter has");
        context.faults.report(
            node.place,
            problem,
            "write `&` as %26 and `#` as %23: values are compared as they are sent",
        );
    }
    fits
}

fn value(context: Context<'_>, fields: &mut Fields<'_>, what: &str) -> Option<String> {
    fields
        .required("value", "give the value that it must have: `value: …`")
        .and_then(|n| value_of(context, n, what))
}

/// Whether a cookie can have `value` (RFC 6265 §4.1.1).
fn is_cookie(context: Context<'_>, node: &Node, what: &str, value: &str) -> bool {
    let fits = !value.contains(['"', ',', ';', '\\']);
    if !fits {
        let problem = format!("the value of {what} is {value:?}, which no cookie has");
        context.faults.report(
            node.place,
            problem,
            "write it without quotes, commas, semicolons and backslashes",
        );
    }
    fits
}

fn value_of(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, &format!("the value of {what}"))?;
    if (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    let problem = format!("the value of {what} is {text:?}");
    context.faults.report(node.place, problem, "write 1 to 256 visible ASCII characters");
    None
}
