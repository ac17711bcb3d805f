//! The field `cors` of hosts and routes: pages of other origins that may read answers.

use std::time::Duration;

use super::browser_origins;
use crate::edge::{Cors, Exposure, FURTHER_METHODS, METHODS, RouteCors};
use crate::fault::{Place, suggest};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};

/// Ten minutes: a busy page asks once, and a page that loses its permission notices soon. (No answer is readable without the
/// permission, whatever a browser remembers.)
const MAX_AGE_SECONDS: u64 = 600;
/// No browser remembers an answer for longer than a day.
const MOST_SECONDS: u64 = 86_400;
/// More names than any page uses. Every answer lists those to expose.
const MOST_NAMES: usize = 64;

/// `cors: { origins: ["https://app.example.com"], credentials: true, expose: [x-total-count] }`
pub(crate) fn read(context: Context<'_>, node: &Node, of: &str) -> Option<Cors> {
    let what = format!("`cors` of {of}");
    let mut fields = Fields::of(context, node, &*what);
    let mend = "list the origins of the pages: `origins: [\"https://app.example.com\"]`";
    let listed = fields.required("origins", mend).map(|n| {
        let origins = browser_origins::list(context, n, &format!("`origins` of {what}"), &["*", "null"]);
        if origins.is_empty() {
            context.faults.report(n.place, format!("{what} lists no origin"), mend);
        }
        origins
    });
    let credentials_node = fields.optional("credentials");
    let credentials = match credentials_node {
        Some(n) => reader::boolean(context, n, &format!("`credentials` of {what}")),
        None => Some(false),
    };
    let methods = match fields.optional("methods") {
        Some(n) => methods(context, n, &what).map(Some),
        None => Some(None),
    };
    let headers = fields.optional("headers").map(|n| names(context, n, &format!("`headers` of {what}")));
    let expose = fields.optional("expose").map(|n| names(context, n, &format!("`expose` of {what}")));
    let max_age = match fields.optional("max_age_seconds") {
        Some(n) => reader::number(context, n, &format!("`max_age_seconds` of {what}"), 0, MOST_SECONDS),
        None => Some(MAX_AGE_SECONDS),
    };
    fields.finish();
    let listed = listed?;
    let credentials = credentials?;
    check_anybody(context, &what, &listed, credentials);
    Some(Cors {
        origins: listed.into_iter().map(|(origin, _)| origin).collect(),
        credentials,
        methods: methods?,
        headers,
        expose: expose.unwrap_or_default(),
        max_age: Duration::from_secs(max_age?),
    })
}

/// A route's `cors: none`, or rules of its own.
pub(crate) fn of_route(context: Context<'_>, node: &Node, of: &str) -> Option<RouteCors> {
    if let Value::Map(_) = node.value {
        return read(context, node, of).map(RouteCors::Own);
    }
    reader::choice(context, node, &format!("`cors` of {of}"), &[("none", ())]).map(|()| RouteCors::None)
}

/// Browsers reach no internal listener.
pub(crate) fn check_exposure(context: Context<'_>, place: Place, of: &str, exposure: Option<Exposure>) {
    if exposure == Some(Exposure::Internal) {
        let problem = format!("{of} has `cors` on an internal listener");
        context.faults.report(place, problem, "remove it: services call there, and no browser does");
    }
}

/// Checks that cookies are sent for pages of known origins alone, and over encrypted connections.
fn check_anybody(context: Context<'_>, what: &str, listed: &[(String, Place)], credentials: bool) {
    for (origin, place) in listed.iter().filter(|_| credentials) {
        match origin.as_str() {
            "*" => context.faults.report(
                *place,
                format!("{what} lets the pages of every site send cookies"),
                "list the origins whose pages may, or remove `credentials`",
            ),
            "null" => context.faults.report(
                *place,
                format!("{what} lets pages without an origin send cookies, and every site can make one (a sandbox)"),
                "remove `null`, or `credentials`",
            ),
            clear if clear.starts_with("http://") && !is_here(clear) => context.faults.warn(
                *place,
                format!("{what} lets {clear} read answers to requests with cookies"),
                "write `https://`: anyone on the network can change a page that comes in the clear",
            ),
            _ => {}
        }
    }
    if let Some((_, place)) = listed.iter().find(|(origin, _)| origin == "*")
        && listed.len() > 1
    {
        let problem = format!("{what} lists `*` and further origins");
        context.faults.report(*place, problem, "leave the others out, or `*`: it is every origin");
    }
}

/// Whether a page of `origin` comes from the browser's own machine.
fn is_here(origin: &str) -> bool {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    let host = match authority.rsplit_once(':') {
        Some((host, _)) if !authority.ends_with(']') => host,
        Some(_) | None => authority,
    };
    let name = host.trim_start_matches("*.");
    name == "localhost"
        || name.ends_with(".localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn methods(context: Context<'_>, node: &Node, what: &str) -> Option<Vec<String>> {
    let mut methods: Vec<String> = Vec::new();
    for element in reader::list(context, node, &format!("`methods` of {what}")) {
        let method = reader::text(context, element, &format!("a method of {what}"))?;
        if !METHODS.contains(&method) && !FURTHER_METHODS.contains(&method) {
            let known: Vec<&str> = METHODS.into_iter().chain(FURTHER_METHODS).collect();
            let problem = format!("{what} allows the method {method:?}");
            context.faults.report(element.place, problem, suggest(method, known));
            return None;
        }
        if methods.iter().any(|known| known == method) {
            context.faults.report(element.place, format!("{what} lists {method} twice"), "list it once");
        }
        methods.push(method.to_owned());
    }
    Some(methods)
}

/// Header names, lower case.
fn names(context: Context<'_>, node: &Node, what: &str) -> Vec<String> {
    let elements = reader::list(context, node, what);
    if elements.len() > MOST_NAMES {
        let problem = format!("{what} lists {} names", elements.len());
        context.faults.report(node.place, problem, format!("list at most {MOST_NAMES}"));
    }
    let mut names: Vec<String> = Vec::new();
    for element in elements {
        let Some(text) = reader::text(context, element, &format!("a name of {what}")) else { continue };
        let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.!#$%&'+^`|~".contains(&b);
        if text.is_empty() || !text.bytes().all(token) {
            let problem = format!("a name of {what} is {text:?}");
            let mend = if text == "*" {
                "name the headers: with cookies, browsers read `*` as a name"
            } else {
                "write the name of a header in lower case"
            };
            context.faults.report(element.place, problem, mend);
            continue;
        }
        if names.iter().any(|known| known == text) {
            context.faults.report(element.place, format!("{what} lists {text} twice"), "list it once");
        }
        names.push(text.to_owned());
    }
    names
}
