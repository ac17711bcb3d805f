//! The routes of a listener that sends every request of its hosts to https.
//!
//! No path, method or header changes the answer, so it shows nothing about the routes behind it: an internal path is redirected
//! like any other, and closed where it arrives. The filter chain is that of a listener that serves, so a redirect begins and
//! ends without draining; the routes disable the guard and everything behind it, because no request goes on from here.
//!
//! Behind trusted proxies a request may have come by https already. The guard finds that out, so it runs there, and the request
//! is served: otherwise a balancer that ends TLS would send its clients round in circles.

use edge_config::Edge;
use edge_config::edge::{HTTP, HTTPS, Host, HttpsPorts, Listener};
use serde_json::{Value, json};

use super::decided;
use super::matcher::{self, path_match};
use super::metadata::{NAMESPACE, filter};
use super::object::insert;
use super::refusals::{everything, named, no_decision, refusal, speaking};
use super::stage::unused;

/// The name of the routes in the access log.
const NAME: &str = "redirect-to-https";

/// A host without its port, as the redirect repeats it: no character that means something in a URL. A wildcard would accept
/// `evil.example/.shop.example` otherwise, and every browser would follow it to `evil.example`.
const NAMED: &str = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])";

/// The virtual host of a host group on a redirecting listener.
pub(super) fn virtual_host(
    edge: &Edge,
    (name, listener): (&str, &Listener),
    (group, host): (&str, &Host),
) -> Value {
    let answers = edge.answers_of_host(group);
    let HttpsPorts { direct, translated } = edge.https_ports(name, host);
    let own = listener.address.port();
    let port = |port: u16| Some(port).filter(|port| *port != HTTPS);
    let of_bare = if own == HTTP { direct } else { translated };
    let mut routes = Vec::new();
    if own != HTTP {
        // With a port in its place, the port of the request goes away.
        routes.push(redirect(edge, &format!("{NAMED}:{own}"), Some(direct)));
    }
    // Envoy drops `:80` from a request in the clear by itself.
    routes.push(redirect(edge, &format!("{NAMED}(?::{HTTP})?"), port(of_bare)));
    routes.push(redirect(edge, &format!("{NAMED}:[0-9]{{1,5}}"), Some(translated)));
    routes.push(refusal("unmatched", &everything(), 404, (&answers, &answers), &edge.revision.0));
    let mut rendered = speaking(&answers);
    rendered.extend(
        [("name", json!(group)), ("domains", json!(host.names)), ("routes", json!(routes))].map(named),
    );
    Value::Object(rendered)
}

/// The virtual host that serves requests as `served` does where the guard has found that the client came by https, and
/// otherwise redirects them as `redirecting` does.
pub(super) fn unless_https(mut served: Value, redirecting: &Value) -> Value {
    let mut routes = redirecting.get("routes").and_then(Value::as_array).cloned().unwrap_or_default();
    for route in &mut routes {
        // Any route of a request may be another one once the guard has judged who sent it.
        if let Some(filters) = route.get_mut("typed_per_filter_config").and_then(Value::as_object_mut) {
            filters.remove(filter::GUARD);
        }
    }
    if let Some(tree) = served.get_mut("matcher").map(Value::take) {
        insert(&mut served, "matcher", matcher::by_scheme(tree, routes));
    }
    served
}

/// The redirect of requests whose host fits `authority`, to `port` of https.
fn redirect(edge: &Edge, authority: &str, port: Option<u16>) -> Value {
    let mut matching = path_match(&everything());
    let named = json!({ "name": ":authority", "string_match": { "safe_regex": { "regex": authority } } });
    insert(&mut matching, "headers", json!([named]));
    let mut action = json!({ "https_redirect": true, "response_code": "PERMANENT_REDIRECT" });
    if let Some(port) = port {
        insert(&mut action, "port_redirect", json!(port));
    }
    json!({
        "name": NAME,
        "match": matching,
        "redirect": action,
        "metadata": { "filter_metadata": { NAMESPACE: { "policy": "none", "revision": edge.revision.0 } } },
        "typed_per_filter_config": {
            filter::GUARD: unused(),
            filter::AUTHORIZER: no_decision(),
            filter::KEEPER: unused(),
            filter::DECIDED: decided::by_nobody(),
        },
    })
}
