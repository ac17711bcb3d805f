//! `trusted_proxies` and `proxy_protocol` of a listener.

use crate::edge::{Cidr, Exposure, ForwardedBy, Http10, Listener, ProxyProtocol, TrustedProxies};
use crate::fault::Place;
use crate::node::{Node, Value};
use crate::notes::Shape;
use crate::reader::{self, Context, Fields, choice};

use super::signatures::range;

/// More proxies in a row are a mistake: an entry too many is one that the client wrote.
const MOST_HOPS: u64 = 9;

/// `trusted_proxies: [10.0.0.0/8]`, or `{ addresses: [10.0.0.0/8], header: forwarded, hops: 2, host: pass }`.
pub(super) fn trusted(context: Context<'_>, node: &Node, name: &str) -> Option<TrustedProxies> {
    let what = format!("`trusted_proxies` of listener `{name}`");
    context.expects(node, || Shape::List);
    if matches!(node.value, Value::List(_)) {
        let addresses = addresses(context, node, &what)?;
        return Some(TrustedProxies {
            addresses,
            header: ForwardedBy::default(),
            hops: 1,
            passes_host: false,
        });
    }
    let mut fields = Fields::of(context, node, &*what);
    let addresses = fields
        .required("addresses", "list the addresses of the proxies: `{ addresses: [10.0.0.0/8] }`")
        .and_then(|n| addresses(context, n, &what));
    let header = fields.optional("header").map_or(Some(ForwardedBy::default()), |n| {
        let known = [ForwardedBy::XForwardedFor, ForwardedBy::Forwarded].map(|by| (by.header(), by));
        choice(context, n, &format!("`header` of {what}"), &known)
    });
    let hops = fields.optional("hops").map_or(Some(1), |n| {
        let hops = reader::number(context, n, &format!("`hops` of {what}"), 1, MOST_HOPS)?;
        u8::try_from(hops).ok()
    });
    let passes_host = fields.optional("host").map_or(Some(false), |n| {
        choice(context, n, &format!("`host` of {what}"), &[("remove", false), ("pass", true)])
    });
    fields.finish();
    Some(TrustedProxies { addresses: addresses?, header: header?, hops: hops?, passes_host: passes_host? })
}

fn addresses(context: Context<'_>, node: &Node, what: &str) -> Option<Vec<Cidr>> {
    let elements = reader::list(context, node, what);
    if elements.is_empty() {
        let problem = format!("{what} has no address: no proxy would be trusted");
        context.faults.report(node.place, problem, "list one, such as 10.0.0.0/8, or remove the field");
        return None;
    }
    let mut addresses: Vec<Cidr> = Vec::new();
    for element in elements {
        let range = range(context, element, what)?;
        if range.is_everything() {
            let problem = format!("{what} has {range}: every client could name any address as its own");
            context.faults.report(element.place, problem, "list the addresses of your proxies alone");
            return None;
        }
        if range.is_vast() {
            let problem = format!("{what} has {range}, which is wider than any network of one organisation");
            context.faults.warn(element.place, problem, "list the addresses of your proxies alone");
        }
        if addresses.iter().any(|known| known.covers(&range)) {
            let problem = format!("{what} has {range}, which another range of the list covers");
            context.faults.report(element.place, problem, "remove it");
        }
        addresses.push(range);
    }
    Some(addresses)
}

/// `proxy_protocol: optional`, or `required`.
pub(super) fn protocol(context: Context<'_>, node: &Node) -> Option<ProxyProtocol> {
    let known = [("optional", ProxyProtocol::Optional), ("required", ProxyProtocol::Required)];
    choice(context, node, "`proxy_protocol`", &known)
}

/// `http_1_0: refuse`, `accept`, or `trusted` for trusted proxies alone.
pub(super) fn http_10(context: Context<'_>, node: &Node) -> Option<Http10> {
    let known = [("refuse", Http10::Refuse), ("accept", Http10::Accept), ("trusted", Http10::FromProxies)];
    choice(context, node, "`http_1_0`", &known)
}

/// Reports settings that only have a meaning with trusted proxies, and proxies where none belongs.
pub(super) fn check(context: Context<'_>, name: &str, place: Place, listener: &Listener) {
    let Listener { trusted_proxies, proxy_protocol, http_10, exposure, .. } = listener;
    if trusted_proxies.is_none() {
        let mend = "list the proxies: `trusted_proxies: [10.0.0.0/8]`";
        if proxy_protocol.is_some() {
            let problem = format!(
                "listener `{name}` has `proxy_protocol` and no `trusted_proxies`: no peer could name a client"
            );
            context.faults.report(place, problem, mend);
        }
        if *http_10 == Http10::FromProxies {
            let problem = format!(
                "listener `{name}` has `http_1_0: trusted` and no `trusted_proxies`: no client is meant"
            );
            context.faults.report(place, problem, mend);
        }
        return;
    }
    if *exposure == Exposure::Internal {
        context.faults.warn(
            place,
            format!("listener `{name}` is internal and has `trusted_proxies`: internal paths are open to what they pass on"),
            "let services connect to it themselves, or make it public",
        );
    }
}
