//! `to` and `shadow` of a route, and the rules for streams.

use std::collections::BTreeSet;

use crate::declared::Declared;
use crate::edge::{
    AcceptedCredential, Backend, Destination, OfKind, Percent, Policy, Protocol, Route, Share, Sticky, WHOLE,
};
use crate::fault::suggest;
use crate::node::{Node, Value};
use crate::notes::Shape;
use crate::reader::{self, Context, Fields};

use super::kinds::{self, Recognition};
use crate::reader::cookie_name;

/// The most backends of a route. Few, because each identity that is signed for the route names all of them.
const MAX_SHARES: usize = 8;

/// The methods that are copied to a shadow: repeating them changes nothing (RFC 9110 §9.2.1).
const COPIED: [&str; 2] = ["GET", "HEAD"];

/// `to: users`, `to: { legacy: 90, users: 10, sticky: session }`, or `to: { legacy-session: legacy, session: auth }`.
pub(crate) fn read(
    context: Context<'_>,
    node: &Node,
    what: &str,
    backends: &Declared<Backend>,
    policy: Option<&Policy>,
    recognition: Recognition<'_>,
) -> Option<Destination> {
    if let Value::Text(_) = &node.value {
        let backend = backends.reference(context, node, &format!("the backend of {what}"))?;
        return Some(Destination::whole(backend));
    }
    context.looks_for(node, "sticky");
    for kind in AcceptedCredential::ALL {
        context.looks_for(node, kind.as_str());
    }
    let mut kinds: Vec<OfKind> = Vec::new();
    let mut shares = Vec::new();
    let mut sticky = Some(None);
    let mut whole = true;
    let mut named = BTreeSet::new();
    for (name, place, value) in reader::entries(context, node, &format!("`to` of {what}")) {
        if name == "sticky" {
            sticky = read_sticky(context, value, what, policy).map(Some);
            continue;
        }
        if kinds::is_kind(name) || matches!(value.value, Value::Text(_)) && !backends.has(name) {
            let of = kinds::entry(context, (name, place), value, what, backends);
            match of.filter(|_| named.insert(name)) {
                Some(of) => kinds.push(of),
                None => whole = false,
            }
            continue;
        }
        let backend = backends.named(context, name, place, &format!("a backend of {what}"));
        let weight = reader::percent(context, value, &format!("the share of `{name}` in {what}"));
        match (backend, weight) {
            (Some(backend), Some(weight)) if named.insert(name) => shares.push(Share { backend, weight }),
            (Some(_) | None, Some(_) | None) => whole = false,
        }
    }
    if !whole {
        return None;
    }
    let destination = Destination { kinds, shares, sticky: sticky? };
    let count = destination.backends().collect::<BTreeSet<_>>().len();
    if count == 0 || count > MAX_SHARES {
        let problem = format!("`to` of {what} names {count} backends");
        context.faults.report(node.place, problem, format!("name 1 to {MAX_SHARES}"));
        return None;
    }
    let sum: u64 = destination.shares.iter().map(|share| u64::from(share.weight.thousandths())).sum();
    // Kinds may stand alone.
    let has_shares = !destination.shares.is_empty() || destination.kinds.is_empty();
    if has_shares && sum != u64::from(WHOLE.thousandths()) {
        let problem = format!("the shares of {what} add up to {}", Percent::shown(sum));
        context.faults.report(node.place, problem, "give percentages that add up to 100");
        return None;
    }
    kinds::check(context, node.place, &destination, what, policy, recognition);
    Some(destination)
}

/// `session`, `subject`, `tenant` or `{ cookie: name }`.
fn read_sticky(context: Context<'_>, node: &Node, what: &str, policy: Option<&Policy>) -> Option<Sticky> {
    let what = format!("`sticky` of {what}");
    context.expects(node, || Shape::Choice(vec!["session", "subject", "tenant"]));
    let Value::Text(text) = &node.value else {
        let mut fields = Fields::of(context, node, &*what);
        let cookie = fields
            .required("cookie", "write `session`, `subject`, `tenant` or `{ cookie: name }`")
            .and_then(|n| cookie_name(context, n));
        fields.finish();
        return cookie.map(Sticky::Cookie);
    };
    let sticky = match text.as_str() {
        "session" => Sticky::Session,
        "subject" => Sticky::Subject,
        "tenant" => Sticky::Tenant,
        "cookie" => {
            context.faults.report(node.place, format!("{what} names no cookie"), "write `{ cookie: name }`");
            return None;
        }
        other => {
            let mend = suggest(other, ["session", "subject", "tenant"]);
            context.faults.report(node.place, format!("{what} is {other:?}"), mend);
            return None;
        }
    };
    let missing = match (&sticky, policy) {
        (
            Sticky::Session,
            Some(
                Policy::Public(_)
                | Policy::Internal(_)
                | Policy::Signed(_)
                | Policy::Webhook(_)
                | Policy::Certificate(_),
            ),
        ) => Some("session"),
        (
            Sticky::Tenant,
            Some(Policy::Public(_) | Policy::Internal(_) | Policy::Webhook(_) | Policy::Certificate(_)),
        ) => Some("tenant"),
        (
            Sticky::Subject,
            Some(
                Policy::Public(_)
                | Policy::Internal(_)
                | Policy::Signed(_)
                | Policy::Webhook(_)
                | Policy::Certificate(_),
            ),
        ) => Some("subject"),
        (Sticky::Session | Sticky::Subject, Some(Policy::Session(_)) | None)
        | (Sticky::Tenant, Some(Policy::Session(_) | Policy::Signed(_)) | None)
        | (Sticky::Cookie(_), _) => None,
    };
    if let Some(missing) = missing {
        let problem = format!("{what} is `{text}`, and the callers of its policy have no {missing}");
        context.faults.report(node.place, problem, "write `{ cookie: name }`, or leave it out");
        return None;
    }
    Some(sticky)
}

/// `shadow: users`
pub(crate) fn shadow(
    context: Context<'_>,
    node: &Node,
    what: &str,
    backends: &Declared<Backend>,
    methods: &[String],
    destination: Option<&Destination>,
) -> Option<String> {
    let shadow = backends.reference(context, node, &format!("the shadow of {what}"))?;
    if !methods.is_empty() && !methods.iter().any(|method| COPIED.contains(&method.as_str())) {
        let problem = format!("{what} has a shadow, and takes neither GET nor HEAD");
        context.faults.report(node.place, problem, "remove it: no other method is copied");
    }
    if destination.and_then(Destination::only) == Some(shadow.as_str()) {
        let problem = format!("the shadow of {what} is `{shadow}`, which already answers its requests");
        context.faults.report(node.place, problem, "name another backend to compare with it");
    }
    Some(shadow)
}

/// Reports settings that do not fit an answer without an end.
pub(crate) fn check_streams(context: Context<'_>, node: &Node, route: &Route, backends: &Declared<Backend>) {
    let name = &route.name;
    if (route.websocket || route.stream) && route.shadow.is_some() {
        let problem = format!("route `{name}` has a shadow, and its answers may not end");
        context.faults.report(
            node.place,
            problem,
            "remove `shadow`: a stream has no whole answer to compare",
        );
    }
    if !route.websocket {
        return;
    }
    if !route.methods.is_empty() && !route.methods.iter().any(|method| method == "GET") {
        let problem = format!("route `{name}` allows WebSockets, and does not take GET");
        context.faults.report(node.place, problem, "a WebSocket begins with a GET: add it to `methods`");
    }
    for backend in route.backends() {
        let protocol = backends.good.get(backend).map(|backend| backend.protocol);
        let speaks = match protocol {
            Some(Protocol::Http2 | Protocol::Grpc) => Some("speaks HTTP/2"),
            Some(Protocol::Auto) => Some("may speak HTTP/2 (`protocol: auto`)"),
            Some(Protocol::Http1) | None => None,
        };
        if let Some(speaks) = speaks {
            let problem = format!("route `{name}` allows WebSockets, and `{backend}` {speaks}");
            context.faults.report(node.place, problem, "send them to a backend with `protocol: http1`");
        }
    }
}
