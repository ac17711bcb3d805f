//! The field `sign_in` of session policies: the page for people without a session.

use crate::edge::{AcceptedCredential, Edge, Exposure, Policy, PublicPolicy, Route, SignInRedirect};
use crate::fault::Place;
use crate::matching::{Match, host_of, route_of};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};

/// Longer than any sign-in page's address; with the return address, the whole `Location` stays below 10 KiB.
const LONGEST_PAGE: usize = 2_048;

/// `sign_in: { redirect: "https://app.example.com/login", return: next }`
pub(super) fn read(
    context: Context<'_>,
    node: &Node,
    of: &str,
    accept: &[AcceptedCredential],
) -> Option<SignInRedirect> {
    let what = format!("`sign_in` of {of}");
    let mut fields = Fields::of(context, node, &*what);
    let mend =
        "name the page: `redirect: https://app.example.com/login`, or `redirect: /login` on the same host";
    let page = fields.required("redirect", mend).and_then(|n| page(context, n, &what));
    let return_node = fields.optional("return");
    let return_parameter = match return_node {
        Some(n) => parameter(context, n, &what).map(Some),
        None => Some(None),
    };
    fields.finish();
    if !accept.is_empty() && accept.iter().all(|kind| *kind == AcceptedCredential::ApiKey) {
        let problem = format!("{of} accepts API keys alone and has `sign_in`");
        context.faults.report(node.place, problem, "remove it: no sign-in page gives a program a key");
    }
    let redirect = SignInRedirect { page: page?, return_parameter: return_parameter? };
    if let (Some(n), Some(name)) = (return_node, &redirect.return_parameter)
        && let Some((_, query)) = redirect.page.split_once('?')
        && query.split('&').any(|pair| pair.split('=').next() == Some(name))
    {
        let problem = format!("the page in {what} has the parameter `{name}` already");
        context.faults.report(n.place, problem, "give `return` another name");
    }
    Some(redirect)
}

fn page(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, &format!("`redirect` of {what}"))?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or(rest));
    let is_host = |authority: &str| {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => {
                if port.parse::<u16>().is_err() {
                    return false;
                }
                host
            }
            Some(_) | None => authority,
        };
        super::host_names::is_host_name(host) || host.starts_with('[')
    };
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let visible = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&b));
    if text.len() > LONGEST_PAGE || !visible || !(is_path || authority.is_some_and(is_host)) {
        context.faults.report(
            node.place,
            format!("`redirect` of {what} is {text:?}"),
            "write a URL such as https://app.example.com/login, or a path such as /login; no fragment, no spaces",
        );
        return None;
    }
    if text.starts_with("http://")
        && !authority.is_some_and(|host| {
            host == "localhost" || host.starts_with("localhost:") || host.starts_with("127.")
        })
    {
        let problem = format!("`redirect` of {what} is not encrypted");
        context.faults.warn(node.place, problem, "write `https://`: people type their passwords there");
    }
    Some(text.to_owned())
}

fn parameter(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, &format!("`return` of {what}"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    let mend = "name a query parameter of the page: letters, digits, `-`, `.`, `_` and `~`, such as next";
    context.faults.report(node.place, format!("`return` of {what} is {text:?}"), mend);
    None
}

/// Reports sign-in pages of this edge that a person without a session cannot open: the browser would be sent there for ever.
pub(crate) fn check(context: Context<'_>, tree: &Node, edge: &Edge) {
    for (name, policy) in &edge.policies {
        let Policy::Session(session) = policy else { continue };
        let Some(redirect) = &session.sign_in else { continue };
        let place = place_of(tree, name);
        let (host, path) = redirect.place();
        let used = edge.routes.iter().filter(|route| route.policy == *name);
        let mut faults: Vec<String> = match host {
            Some(host) => edge
                .listeners
                .iter()
                .filter(|(_, listener)| listener.exposure == Exposure::Public)
                .filter(|(listener, _)| {
                    // A host for every name is not a statement about this one.
                    host_of(edge, listener, host)
                        .is_some_and(|(_, found)| found.names.iter().any(|n| n != "*"))
                })
                .filter_map(|(listener, _)| closed(context, edge, (listener, host, path), (name, place)))
                .collect(),
            None => used
                .flat_map(|route: &Route| {
                    let found = edge.hosts.get(&route.host);
                    let on_each = found.into_iter().flat_map(|found| {
                        let host = found.names.first().map(|name| name.replace('*', "any"));
                        found.listeners.iter().map(move |listener| (listener, host.clone()))
                    });
                    on_each.filter_map(|(listener, host)| {
                        closed(context, edge, (listener, &host?, path), (name, place))
                    })
                })
                .collect(),
        };
        faults.sort();
        faults.dedup();
        for problem in faults {
            let mend = "give the page and what it loads a route with a `public` policy";
            context.faults.report(place, problem, mend);
        }
    }
}

/// Why a person without a session cannot open the page.
fn closed(
    context: Context<'_>,
    edge: &Edge,
    (listener, host, path): (&str, &str, &str),
    (name, place): (&str, Place),
) -> Option<String> {
    let page = format!("the sign-in page {path} of policy `{name}`");
    match route_of(edge, listener, host, "GET", path) {
        Match::Route(route) => match edge.policies.get(&route.policy) {
            Some(Policy::Public(PublicPolicy { refuse_ended: false })) | None => None,
            Some(Policy::Public(PublicPolicy { refuse_ended: true })) => {
                let problem =
                    format!("{page} has the policy `{}`, which refuses ended sessions", route.policy);
                context.faults.warn(
                    place,
                    problem,
                    "a person whose session was ended cannot open it: use another one",
                );
                None
            }
            Some(
                Policy::Session(_)
                | Policy::Internal(_)
                | Policy::Signed(_)
                | Policy::Webhook(_)
                | Policy::Certificate(_),
            ) => {
                let problem = format!(
                    "{page} is on route `{}`, whose policy `{}` is not public",
                    route.name, route.policy
                );
                Some(format!("{problem}: a person without a session would be sent there for ever"))
            }
        },
        // The listener with TLS to which it leads is judged by itself.
        Match::Redirect => None,
        Match::MethodNotAllowed | Match::InternalPath | Match::UnknownHost | Match::Unmatched => {
            Some(format!("{page} has no route on {host}"))
        }
    }
}

/// The place of `sign_in` of the policy `name`.
fn place_of(tree: &Node, name: &str) -> Place {
    let mut node = tree;
    for step in ["policies", name, "sign_in"] {
        let Value::Map(entries) = &node.value else { break };
        let found = entries.iter().find(|(key, _)| matches!(&key.value, Value::Text(text) if text == step));
        let Some((_, inside)) = found else { break };
        node = inside;
    }
    node.place
}
