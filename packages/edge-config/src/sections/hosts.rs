//! The section `hosts`.

use std::collections::BTreeMap;

use crate::declared::Declared;
use crate::edge::{Answers, Host, Listener};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};

pub(crate) fn host(
    context: Context<'_>,
    name: &str,
    node: &Node,
    listeners: &Declared<Listener>,
    known_answers: &Declared<Answers>,
) -> Option<Host> {
    let what = format!("host `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let listener = match (fields.optional("listener"), listeners.only()) {
        (Some(n), _) => listeners.reference(context, n, &format!("the listener of {what}")),
        // Only one listener can be meant.
        (None, Some(only)) => Some(only.to_owned()),
        (None, None) => {
            let problem = format!("{what} has no `listener`");
            context.faults.report(node.place, problem, "name the listener that serves it");
            None
        }
    };
    let names_node = fields.required("names", "list its names: `names: [api.example.com]`");
    let mut names = Vec::new();
    for element in
        names_node.map(|n| reader::list(context, n, &format!("`names` of {what}"))).unwrap_or_default()
    {
        if let Some(name) = host_name_or_any(context, element, &format!("a name of {what}")) {
            names.push(name);
        }
    }
    if let Some(list) = names_node
        && names.is_empty()
    {
        context.faults.report(
            list.place,
            format!("{what} has no names"),
            "list at least one, or remove the host",
        );
    }
    let answers = fields
        .optional("answers")
        .and_then(|n| known_answers.reference(context, n, &format!("`answers` of {what}")));
    fields.finish();
    Some(Host { listener: listener?, names, answers })
}

/// A name, `*.example.com` for every name below one, or `*` for any name.
fn host_name_or_any(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let Value::Text(text) = &node.value else { return host_name(context, node, what) };
    if text == "*" || text.strip_prefix("*.").is_some_and(is_host_name) {
        return Some(text.clone());
    }
    if text.contains('*') {
        let problem = format!("{what} is {text:?}");
        let mend = "write `*` for any name, or `*.example.com` for every name below one: `*` stands for whole \
                    labels at the beginning";
        context.faults.report(node.place, problem, mend);
        return None;
    }
    host_name(context, node, what)
}

pub(crate) fn host_name(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    if is_host_name(text) {
        return Some(text.to_owned());
    }
    context.faults.report(
        node.place,
        format!("{what} is {text:?}"),
        "write a lower-case host name without port, such as api.example.com",
    );
    None
}

pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Reports names that two hosts of one listener share: Envoy would refuse them, and the routes would be ambiguous.
pub(crate) fn check_host_names(context: Context<'_>, hosts: &Declared<Host>, tree: &Node) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (group, host) in &hosts.good {
        for name in &host.names {
            if let Some(other) = seen.insert((&host.listener, name), group) {
                let problem = if other == group {
                    format!("host `{group}` lists the name {name} twice")
                } else {
                    format!(
                        "hosts `{other}` and `{group}` both have the name {name} on listener `{}`",
                        host.listener
                    )
                };
                context.faults.report(tree.place, problem, "remove the name from one of them");
            }
        }
    }
}
