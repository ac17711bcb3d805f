//! The guard's configuration of a listener.

use edge_config::edge::{
    EndsWith, Exposure, Host, Http10, Listener, PathMatch, Policy, TenantMatch, TokenEncoding, Underscores,
};
use edge_config::{Edge, closed_paths};
use header_rules::config::{
    self, GuardConfig, HostRules, LeaseRules, PathRule, Reserved, RouteRule, Sites, StreamBounds,
    WebsocketToken,
};

use super::cors::Table;
use super::{leases, proxies};

pub(crate) fn config(edge: &Edge, name: &str, listener: &Listener) -> GuardConfig {
    let leases = leases::rules(edge, name);
    let mut cors = Table::default();
    let hosts = edge.hosts.iter().filter(|(_, host)| host.is_on(name));
    let hosts = hosts.map(|(group, host)| rules(edge, (group, host), leases.as_ref(), &mut cors)).collect();
    GuardConfig {
        listener: name.to_owned(),
        revision: edge.revision.0.clone(),
        exposure: match listener.exposure {
            Exposure::Public => config::Exposure::Public,
            Exposure::Internal => config::Exposure::Internal,
        },
        request_id: edge.request_id.header.clone(),
        reserved: reserved(edge),
        underscores: match &listener.underscores {
            Underscores::Refuse | Underscores::Drop => None,
            Underscores::Pass(names) => Some(names.clone()),
        },
        tls: listener.tls.is_some(),
        proxies: proxies::rules(listener),
        hosts,
        internal_paths: closed_paths(edge, listener.exposure).into_iter().map(rule).collect(),
        refuses_http_1_0: listener.http_10 != Http10::Accept,
        sites: sites(edge),
        cors: cors.rules(),
        websocket_token: websocket_token(edge),
        leases,
        streams: streams(edge, name),
    }
}

/// The protocol of a WebSocket that is a token, when a route takes it.
fn websocket_token(edge: &Edge) -> Option<WebsocketToken> {
    let protocol = edge.sessions.as_ref()?.websocket_protocol.as_ref()?;
    edge.routes.iter().any(|route| edge.takes_websocket_token(route)).then(|| WebsocketToken {
        prefix: protocol.prefix.clone(),
        encoding: match protocol.encoding {
            TokenEncoding::Plain => config::TokenEncoding::Plain,
            TokenEncoding::Base64url => config::TokenEncoding::Base64url,
        },
    })
}

/// The bounds of open streams, when one of the listener's routes has streams that end with their session.
fn streams(edge: &Edge, name: &str) -> Option<StreamBounds> {
    let of_listener = |group: &String| edge.hosts.get(group).is_some_and(|host| host.is_on(name));
    let mut routes = edge.routes.iter().filter(|route| of_listener(&route.host));
    routes.any(|route| edge.ends_with(route) != EndsWith::Nothing).then(|| StreamBounds {
        most: edge.streams.most,
        unjudged_ms: u64::try_from(edge.streams.unjudged.as_millis()).unwrap_or(u64::MAX),
    })
}

/// The rules of one host group.
fn rules(
    edge: &Edge,
    (group, host): (&String, &Host),
    leases: Option<&LeaseRules>,
    cors: &mut Table,
) -> HostRules {
    let routes = edge.routes.iter().filter(|route| route.host == *group);
    HostRules {
        names: host.names.clone(),
        routes: routes
            .map(|route| RouteRule {
                path: rule(&route.path),
                methods: route.methods.clone(),
                policy: route.policy.clone(),
                lease: leases::position(leases, route),
                cross_site: route.cross_site,
                cors: cors.of_route(edge, route),
                sign_in: edge.sign_in_of(route).is_some(),
                websocket_token: edge.takes_websocket_token(route),
            })
            .collect(),
        absent: edge
            .absent_paths
            .iter()
            .filter(|absent| absent.host == *group)
            .map(|absent| rule(&absent.path))
            .collect(),
        cors: cors.of_host(edge, host),
    }
}

/// The origins whose pages may send requests: those of every host that browsers can reach.
fn sites(edge: &Edge) -> Sites {
    let public = |host: &&Host| edge.exposure_of(host) == Some(Exposure::Public);
    let mut hosts: Vec<String> = edge
        .hosts
        .values()
        .filter(public)
        .flat_map(|host| host.names.iter())
        // A name below a wildcard may be another customer's: only its own pages may send to it.
        .filter(|n| !n.contains('*'))
        .cloned()
        .collect();
    hosts.sort();
    hosts.dedup();
    Sites { hosts, browser_origins: edge.browser_origins.clone() }
}

/// Checks that the guard accepts its rules. Otherwise some faults would only show when Envoy does not start: for example
/// routes that differ in upper and lower case alone and have different policies.
///
/// # Errors
/// The guard's error, for each listener.
pub fn check(edge: &Edge) -> Result<(), String> {
    let refused: Vec<String> = edge
        .listeners
        .iter()
        .filter_map(|(name, listener)| {
            let why = match header_rules::Rules::compile(&config(edge, name, listener)) {
                Err(error) => error.to_string(),
                Ok(_) => passed_and_read(edge, listener)?,
            };
            Some(format!("the guard rejects the rules of listener `{name}`: {why}"))
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.join("\n")) }
}

/// A name with an underscore that passes and is another spelling of a header from which the authorizer reads: a backend could
/// find there what the authorizer has not seen.
fn passed_and_read(edge: &Edge, listener: &Listener) -> Option<String> {
    let Underscores::Pass(names) = &listener.underscores else { return None };
    let keys = edge.api_keys.iter().flat_map(|keys| keys.own_headers().map(str::to_owned));
    let signed = edge.signatures.iter().flat_map(|signatures| signatures.headers.iter().cloned());
    let own_of_signed = ["signature", "signature-input", "content-digest"].map(str::to_owned);
    let tenants = edge.policies.values().filter_map(|policy| match policy {
        Policy::Session(policy) => policy.tenant.as_ref(),
        Policy::Public(_)
        | Policy::Internal(_)
        | Policy::Signed(_)
        | Policy::Webhook(_)
        | Policy::Certificate(_) => None,
    });
    let tenants = tenants.filter_map(|tenant| match tenant {
        TenantMatch::Header(name) => Some(name.clone()),
        TenantMatch::PathSegment(_) | TenantMatch::PathParameter(_) => None,
    });
    let webhooks = edge.webhooks.values().flat_map(|webhook| webhook.headers().map(str::to_owned));
    let read: Vec<String> = keys.chain(signed).chain(webhooks).chain(own_of_signed).chain(tenants).collect();
    let both = names.iter().find(|name| read.contains(&name.replace('_', "-")))?;
    Some(format!("underscores: `{both}` is another spelling of a header that the authorizer reads"))
}

/// The reserved names of the file, and the constant headers of its backends: a client that could send those could speak
/// for the edge.
fn reserved(edge: &Edge) -> Reserved {
    let constant =
        edge.backends.values().flat_map(|backend| backend.request_headers.keys().map(String::as_str));
    let listed = edge.reserved.names.iter().map(String::as_str);
    let mut names: Vec<String> = listed.chain(constant).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    let mut prefixes = edge.reserved.prefixes.clone();
    prefixes.sort();
    prefixes.dedup();
    Reserved { names, prefixes }
}

fn rule(path: &PathMatch) -> PathRule {
    match path {
        PathMatch::Exact(path) => PathRule::Exact(path.clone()),
        PathMatch::Prefix(path) => PathRule::Prefix(path.clone()),
    }
}
