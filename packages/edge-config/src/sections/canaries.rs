//! `canary` of a route.

use identity::headers;

use crate::declared::Declared;
use crate::edge::{Backend, Canary, Condition, Policy};
use crate::fault::suggest;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

/// Envoy compares canaries one after the other. To move more callers than this, use shares.
const MAX_CANARIES: usize = 64;

/// The headers that only the authorizer can write about a caller.
const WRITTEN: [&str; 4] = [headers::SUBJECT, headers::SESSION, headers::ROLE, headers::TENANT];

/// `canary: [{ tenant: …, to: users }, { header: x-madome-auth-sub, value: …, to: users }]`
pub(crate) fn read(
    context: Context<'_>,
    node: &Node,
    what: &str,
    backends: &Declared<Backend>,
    policy: Option<&Policy>,
) -> Vec<Canary> {
    let elements = reader::list(context, node, &format!("`canary` of {what}"));
    if elements.len() > MAX_CANARIES {
        let problem = format!("{what} has {} canaries", elements.len());
        context.faults.report(node.place, problem, format!("name at most {MAX_CANARIES}"));
    }
    if let Some(Policy::Public(_)) = policy {
        let problem = format!("{what} has canaries, but the callers of a public route are not identified");
        context.faults.report(node.place, problem, "use shares (`to`) for a public route");
    }
    elements.iter().filter_map(|element| one(context, element, what, backends, policy)).collect()
}

fn one(
    context: Context<'_>,
    node: &Node,
    what: &str,
    backends: &Declared<Backend>,
    policy: Option<&Policy>,
) -> Option<Canary> {
    let what = format!("a canary of {what}");
    let mut fields = Fields::of(context, node, &*what);
    let (tenant, header) = (fields.optional("tenant"), fields.optional("header"));
    let when = match (tenant, header) {
        (Some(n), None) => {
            if let Some(Policy::Internal(_)) = policy {
                let problem = format!("{what} is for a tenant, but services have none");
                context.faults.report(n.place, problem, "name a `header`, such as x-madome-auth-sub");
            }
            reader::parsed(context, n, &format!("the tenant of {what}"), "write the tenant's id")
                .map(Condition::Tenant)
        }
        (None, Some(n)) => {
            let value = fields
                .required("value", "give the value that it must have: `value: …`")
                .and_then(|n| value_of(context, n, &what));
            written(context, n, &what).zip(value).map(|(name, value)| Condition::Header { name, value })
        }
        (Some(_), Some(_)) | (None, None) => {
            let problem = format!("{what} needs either `tenant` or `header`");
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
fn written(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let name = reader::text(context, node, &format!("the header of {what}"))?;
    if WRITTEN.contains(&name) {
        return Some(name.to_owned());
    }
    let problem = format!("{what} looks at `{name}`, which the authorizer does not write: a client could");
    context.faults.report(node.place, problem, suggest(name, WRITTEN));
    None
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
