//! The section `hosts`.

use std::collections::BTreeMap;

use super::host_names::is_host_name;
use super::hsts;
use crate::declared::Declared;
use crate::edge::{Answers, Exposure, Host, Listener};
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
    let served_by = served_by(context, &mut fields, node, &what, listeners);
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
    if let Some(served_by) = &served_by {
        check_redirects(context, node, &what, served_by, listeners);
    }
    let hsts = fields.optional("hsts").and_then(|n| {
        let read = hsts::read(context, n, &what);
        let is_encrypted = |name: &String| listeners.good.get(name).is_none_or(Listener::may_be_https);
        if served_by.as_ref().is_some_and(|names| !names.iter().any(is_encrypted)) {
            let problem = format!("{what} has `hsts` and is on no listener with `tls` or `trusted_proxies`");
            context.faults.report(n.place, problem, "serve it on one: browsers ignore it in the clear");
        }
        read
    });
    let answers = fields
        .optional("answers")
        .and_then(|n| known_answers.reference(context, n, &format!("`answers` of {what}")));
    let cors = fields.optional("cors").and_then(|n| super::cors::read(context, n, &what));
    fields.finish();
    let host = Host { listeners: served_by?, names, hsts, answers, cors };
    if host.cors.is_some() {
        super::cors::check_exposure(context, node.place, &what, exposure(&host, listeners));
    }
    Some(host)
}

/// The listeners of a host: `listener: public`, or `listeners: [public, tls]`.
fn served_by(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    node: &Node,
    what: &str,
    listeners: &Declared<Listener>,
) -> Option<Vec<String>> {
    match (fields.optional("listener"), fields.optional("listeners"), listeners.only()) {
        (Some(one), Some(_), _) => {
            let problem = format!("{what} has both `listener` and `listeners`");
            context.faults.report(one.place, problem, "list all of its listeners in `listeners`");
            None
        }
        (Some(one), None, _) => {
            listeners.reference(context, one, &format!("the listener of {what}")).map(|name| vec![name])
        }
        (None, Some(list), _) => several(context, list, what, listeners),
        // Only one listener can be meant.
        (None, None, Some(only)) => Some(vec![only.to_owned()]),
        (None, None, None) => {
            let problem = format!("{what} has no `listener`");
            context.faults.report(
                node.place,
                problem,
                "name the listener that serves it, or list several: `listeners: [public, tls]`",
            );
            None
        }
    }
}

fn several(
    context: Context<'_>,
    list: &Node,
    what: &str,
    listeners: &Declared<Listener>,
) -> Option<Vec<String>> {
    let elements = reader::list(context, list, &format!("`listeners` of {what}"));
    let mut names: Vec<String> = Vec::new();
    let mut is_valid = true;
    for element in elements {
        match listeners.reference(context, element, &format!("a listener of {what}")) {
            Some(name) if names.contains(&name) => {
                let problem = format!("{what} lists the listener `{name}` twice");
                context.faults.report(element.place, problem, "list it once");
                is_valid = false;
            }
            Some(name) => names.push(name),
            None => is_valid = false,
        }
    }
    if elements.is_empty() && matches!(list.value, Value::List(_)) {
        context.faults.report(list.place, format!("{what} has no listeners"), "list at least one");
    }
    // An internal path is open on one of them and closed on the other, so the routes of the host would differ.
    let of = |exposure| {
        let has = |name: &&String| listeners.good.get(*name).is_some_and(|l| l.exposure == exposure);
        names.iter().find(has)
    };
    if let (Some(public), Some(internal)) = (of(Exposure::Public), of(Exposure::Internal)) {
        let problem =
            format!("{what} is on the public listener `{public}` and on the internal one `{internal}`");
        let mend = "make two hosts of it: internal paths are closed on one and open on the other";
        context.faults.report(list.place, problem, mend);
        is_valid = false;
    }
    (is_valid && !names.is_empty()).then_some(names)
}

/// Checks that a redirect to https leads somewhere: to a listener with TLS that serves the host, or to the port that the
/// redirect names (where another program ends TLS).
fn check_redirects(
    context: Context<'_>,
    node: &Node,
    what: &str,
    served_by: &[String],
    listeners: &Declared<Listener>,
) {
    let of = |name: &String| listeners.good.get(name);
    let unnamed = |name: &&String| {
        of(name).and_then(|listener| listener.redirect).is_some_and(|redirect| redirect.port.is_none())
    };
    let leads = |name: &String| of(name).is_none_or(|listener| listener.tls.is_some());
    let Some(redirecting) = served_by.iter().find(unnamed) else { return };
    if !served_by.iter().any(leads) {
        let problem = format!(
            "{what} is on listener `{redirecting}`, which redirects to https, and on none with `tls`"
        );
        let mend = "add a listener with `tls` to its `listeners`, or name the port where clients reach https: `redirect: { \
                    https: 443 }`";
        context.faults.report(node.place, problem, mend);
    }
}

/// The clients that can reach `host`, by its valid listeners; the stricter exposure counts.
pub(crate) fn exposure(host: &Host, listeners: &Declared<Listener>) -> Option<Exposure> {
    host.listeners.iter().filter_map(|name| Some(listeners.good.get(name)?.exposure)).min()
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

/// Reports names that two hosts of one listener share: Envoy would refuse them, and the routes would be ambiguous.
pub(crate) fn check_host_names(context: Context<'_>, hosts: &Declared<Host>, tree: &Node) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (group, host) in &hosts.good {
        for name in &host.names {
            for listener in &host.listeners {
                let Some(other) = seen.insert((listener, name), group) else { continue };
                let problem = if other == group {
                    format!("host `{group}` lists the name {name} twice")
                } else {
                    format!(
                        "hosts `{other}` and `{group}` both have the name {name} on listener `{listener}`"
                    )
                };
                context.faults.report(tree.place, problem, "remove the name from one of them");
                // Once, however many listeners they share.
                break;
            }
        }
    }
}
