//! The section `client_certificates`, and the policies of kind `client-certificate`.

use std::collections::BTreeMap;

use super::host_names::is_host_name;
use super::signatures;
use crate::declared::Declared;
use crate::edge::{CertificateHolder, CertificatePolicy, Webhook};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};

/// A program has a name for each of its environments.
const MAX_NAMES: usize = 64;

/// The longest URI of a workload (SPIFFE-ID 2.3).
const MAX_URI_BYTES: usize = 2_048;

/// `{ names: [billing.partner.example, "spiffe://partner.example/billing"] }`
pub(crate) fn holder(context: Context<'_>, name: &str, node: &Node) -> Option<CertificateHolder> {
    let what = format!("client certificate `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let list =
        fields.required("names", "list the names of its certificates: `names: [billing.partner.example]`");
    fields.finish();
    let list = list?;
    let elements = reader::list(context, list, &format!("`names` of {what}"));
    if elements.is_empty() || elements.len() > MAX_NAMES {
        if matches!(list.value, Value::List(_)) {
            let problem = format!("`names` of {what} lists {} names", elements.len());
            context.faults.report(list.place, problem, format!("list 1 to {MAX_NAMES}"));
        }
        return None;
    }
    let mut names = Vec::with_capacity(elements.len());
    for element in elements {
        let text = reader::text(context, element, &format!("a name of {what}"))?;
        if !is_host_name(text) && !is_uri(text) {
            let problem = format!("a name of {what} is {text:?}");
            let mend = "write a DNS name in lower case without `*`, or a URI such as spiffe://example.com/billing, as the \
                        certificate has it";
            context.faults.report(element.place, problem, mend);
            return None;
        }
        names.push(text.to_owned());
    }
    Some(CertificateHolder { names })
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let mut letters = scheme.bytes();
    let begins = letters.next().is_some_and(|byte| byte.is_ascii_lowercase());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    begins
        && letters.all(plain)
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic())
        && text.len() <= MAX_URI_BYTES
}

/// Reports names that two callers share, and callers that a backend would take for a service or a webhook.
pub(crate) fn check(
    context: Context<'_>,
    (node, holders): (Option<&Node>, &Declared<CertificateHolder>),
    webhooks: &Declared<Webhook>,
    is_service: impl Fn(&str) -> bool,
) {
    let Some(node) = node else { return };
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (caller, holder) in &holders.good {
        if is_service(caller) || webhooks.has(caller) {
            let kind = if webhooks.has(caller) { "webhook" } else { "service" };
            let problem = format!("client certificate `{caller}` has the name of a {kind}");
            let mend = "give it another name: backends could not tell them apart";
            context.faults.report(node.place, problem, mend);
        }
        for name in &holder.names {
            let Some(other) = seen.insert(name, caller) else { continue };
            let problem = if other == caller {
                format!("client certificate `{caller}` lists the name {name} twice")
            } else {
                format!("client certificates `{other}` and `{caller}` both have the name {name}")
            };
            context.faults.report(node.place, problem, "remove it from one of them");
        }
    }
}

/// The rest of `{ kind: client-certificate, callers: [billing] }`.
pub(crate) fn policy(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    holders: &Declared<CertificateHolder>,
) -> Option<CertificatePolicy> {
    if !holders.has_any() {
        let problem =
            format!("{what} needs callers with certificates, and the file has no `client_certificates`");
        let mend = "add them: `client_certificates: { billing: { names: [billing.partner.example] } }`";
        context.faults.report(fields.place, problem, mend);
    }
    let mut callers: Vec<String> = Vec::new();
    let mut is_valid = true;
    if let Some(list) = fields.optional("callers") {
        let elements = reader::list(context, list, &format!("`callers` of {what}"));
        for element in elements {
            match holders.reference(context, element, &format!("a caller of {what}")) {
                Some(name) => callers.push(name),
                None => is_valid = false,
            }
        }
        if elements.is_empty() {
            let problem = format!("`callers` of {what} is empty: no caller would pass");
            context.faults.report(list.place, problem, "list at least one, or leave it out to accept all");
            is_valid = false;
        }
    }
    let addresses = signatures::optional_addresses(context, fields, what);
    is_valid.then_some(CertificatePolicy { callers, addresses })
}
