//! Leases in the rendered configuration: the guard's settings, the keeper, and the filters that a leased request skips.

use edge_config::Edge;
use edge_config::edge::{LeaseMethods, LeasePolicy, MAX_COOKIE_PARTS, OnOutage, Protocol, Route, Sessions};
use header_rules::config::{LeaseClass, LeaseRoute, LeaseRules};
use serde_json::{Value, json};

use super::stage::{is, not};

/// The filter state that the guard sets when a lease serves a request, and its value. Filter state is out of reach
/// of every header.
const MARK: (&str, &str) = ("wasm.cutover.decision", "lease");

/// The guard's settings of a listener, and the position of each of its routes among the leased ones. `None` when the
/// listener has no leases.
pub(super) fn rules(edge: &Edge, name: &str) -> Option<LeaseRules> {
    let sessions = edge.sessions.as_ref()?;
    // No decision is made where no request is served.
    edge.listeners.get(name).filter(|listener| listener.serves())?;
    // A decision depends on this besides the caller: two routes that agree in it may share leases.
    let mut kinds: Vec<(&str, Vec<&str>, &[String])> = Vec::new();
    let (mut classes, mut routes) = (Vec::new(), Vec::new());
    for (route, policy) in leased(edge, name) {
        let backends = route.answering().into_iter().filter_map(|name| edge.backends.get(name));
        let audience = backends.map(|backend| backend.audience.as_str()).collect();
        let kind = (route.policy.as_str(), audience, route.limits.as_slice());
        let class = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
            kinds.push(kind);
            classes.push(LeaseClass {
                lifetime_ms: u32::try_from(policy.lifetime.as_millis()).unwrap_or(u32::MAX),
                uses: policy.uses,
                every_method: policy.methods == LeaseMethods::All,
                outlives_outage: policy.on_outage == OnOutage::Lease,
            });
            classes.len() - 1
        });
        routes.push(LeaseRoute {
            route: route.name.clone(),
            policy: route.policy.clone(),
            class: u32::try_from(class).unwrap_or(u32::MAX),
            early: may_be_early(edge, route),
        });
    }
    (!routes.is_empty()).then(|| LeaseRules {
        slots: edge.leases.slots,
        cookie: sessions.cookie.clone(),
        bearer: sessions.bearer,
        other_headers: edge.api_keys.iter().flat_map(|keys| keys.own_headers().map(str::to_owned)).collect(),
        other_cookies: edge
            .legacy_sessions
            .iter()
            .map(|legacy| legacy.cookie.clone())
            .chain(parts(sessions))
            .collect(),
        classes,
        routes,
    })
}

/// The names of the parts of a split session cookie. A request with one of them is checked every time.
fn parts(sessions: &Sessions) -> impl Iterator<Item = String> {
    let part = |number| Some(format!("{}{}{number}", sessions.cookie, sessions.reading.split?));
    (0..MAX_COOKIE_PARTS).filter_map(part)
}

/// Whether a route can have the early lease search. Its notes for the log are in headers that Envoy sends to no HTTP/1.1
/// backend, but would send to an HTTP/2 backend. A copy for a shadow is a request of its own, so a route with a shadow
/// takes the usual path.
fn may_be_early(edge: &Edge, route: &Route) -> bool {
    let mut backends = route.answering().into_iter().filter_map(|name| edge.backends.get(name));
    route.shadow.is_none() && backends.all(|backend| backend.protocol == Protocol::Http1)
}

/// The position of a route among the leased ones of its listener.
pub(super) fn position(rules: Option<&LeaseRules>, route: &Route) -> Option<u32> {
    let position = rules?.routes.iter().position(|leased| leased.route == route.name)?;
    u32::try_from(position).ok()
}

fn leased<'e>(edge: &'e Edge, name: &'e str) -> impl Iterator<Item = (&'e Route, &'e LeasePolicy)> {
    edge.routes
        .iter()
        .filter(move |route| edge.hosts.get(&route.host).is_some_and(|host| host.is_on(name)))
        .filter_map(|route| Some((route, edge.lease_of(route)?)))
}

/// The condition that no lease serves the request. With a lease, no filter between the guard and the backend is needed.
pub(super) fn not_leased() -> Value {
    let state = json!({
        "@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
        "key": MARK.0,
    });
    not(&is("leased", &state, MARK.1))
}
