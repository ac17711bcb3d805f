//! The route table of a listener.
//!
//! The most specific route wins, by the rule of [`PathMatch::specificity`] and then named methods before any. The
//! method allowlist and the internal paths come before all of them, and a refusal comes after all of them. `matcher` makes
//! a tree of them.

mod parts;

use edge_config::edge::{
    Answers, Destination, EndsWith, Host, IdentityHeaders, Listener, METHODS, Policy, Route,
};
use edge_config::{Edge, closed_paths};
use header_rules::config::{BODY_LIMIT, EARLY_MARK, LeaseRules};
use identity::headers;
use serde_json::{Value, json};

use super::cors;
use super::credentials;
use super::decided;
use super::destination;
use super::header::{header, method_is};
use super::leases;
use super::matcher::{self, Leaf, RoutesByHeader, path_match};
use super::metadata::{CONTENT_TYPE, NAMESPACE, filter};
use super::object::insert;
use super::refusals::{
    PER_ROUTE, everything, method_not_allowed, named, no_decision, refusal, speaking, word,
};
use super::stage::unused;
use super::{proxies, redirect, request_id, words};

/// `early` are the leases that can be known before the route of a request is chosen.
pub(super) fn table(edge: &Edge, name: &str, listener: &Listener, early: Option<&LeaseRules>) -> Value {
    let mut hosts: Vec<Value> = edge
        .hosts
        .iter()
        .filter(|(_, host)| host.is_on(name))
        .map(|(group, host)| {
            let served = || virtual_host(edge, (name, listener), (group, host), early);
            let redirecting = || redirect::virtual_host(edge, (name, listener), (group, host));
            match (&listener.redirect, listener.serves()) {
                (None, _) => served(),
                (Some(_), true) => redirect::unless_https(served(), &redirecting()),
                (Some(_), false) => redirecting(),
            }
        })
        .collect();
    let takes_any = edge.hosts.values().any(|host| host.is_on(name) && host.names.iter().any(|n| n == "*"));
    if !takes_any {
        let answers = edge.answers_by_default();
        let refused = refusal("unknown-host", &everything(), 404, (&answers, &answers), &edge.revision.0);
        let mut host = speaking(&answers);
        host.extend(
            [("name", json!("unknown-host")), ("domains", json!(["*"])), ("routes", json!([refused]))]
                .map(named),
        );
        hosts.push(Value::Object(host));
    }
    matcher::object([
        ("name", json!(name)),
        ("virtual_hosts", Value::Array(hosts)),
        // Envoy itself writes it, and no backend needs it. The guard leaves its removal to this line.
        // The proof of the decision is for the filter before the router.
        ("request_headers_to_remove", json!(["x-envoy-external-address", headers::DECIDED])),
        ("response_headers_to_add", request_id::on_every_answer(edge)),
        // `api.example.com:8080` is the same host as `api.example.com`; the header itself stays unchanged.
        ("ignore_port_in_host_matching", json!(true)),
    ])
}

fn virtual_host(
    edge: &Edge,
    (name, listener): (&str, &Listener),
    (group, host): (&str, &Host),
    early: Option<&LeaseRules>,
) -> Value {
    let names = &host.names;
    let hsts = edge.hsts_of(name, host);
    let revision = &edge.revision.0;
    let answers = edge.answers_of_host(group);
    let closed = closed_paths(edge, listener.exposure)
        .into_iter()
        .map(|path| {
            let wording = edge.answers_of_closed(group, path.path());
            let routes = vec![refusal("internal-path", path, 404, (&wording, &answers), revision)];
            Leaf { path: path.clone(), methods: Vec::new(), is_absent: false, routes }
        })
        .collect();
    let mut routes: Vec<&Route> = edge.routes.iter().filter(|route| route.host == group).collect();
    routes.sort_by(|a, b| {
        let rest = (a.methods.is_empty(), &a.name).cmp(&(b.methods.is_empty(), &b.name));
        a.path.specificity().cmp(&b.path.specificity()).then(rest)
    });
    let known = routes
        .iter()
        .filter_map(|route| {
            let mark = early?.early_mark(revision, usize::try_from(leases::position(early, route)?).ok()?)?;
            Some((mark, parts::of(edge, route, &answers, listener).into_iter().map(unchecked).collect()))
        })
        .collect();
    let mut open: Vec<Leaf> = routes
        .into_iter()
        .map(|route| Leaf {
            path: route.path.clone(),
            methods: route.methods.clone(),
            is_absent: false,
            routes: parts::of(edge, route, &answers, listener),
        })
        .collect();
    open.extend(edge.absent_paths.iter().filter(|absent| absent.host == group).map(|absent| {
        let wording = edge.answers.get(&absent.answers).unwrap_or(&answers);
        let route = refusal("absent-path", &absent.path, 404, (wording, &answers), revision);
        Leaf { path: absent.path.clone(), methods: Vec::new(), is_absent: true, routes: vec![route] }
    }));
    open.sort_by(|a, b| {
        let key = |leaf: &Leaf| (leaf.methods.is_empty(), leaf.methods.first().cloned());
        a.path.specificity().cmp(&b.path.specificity()).then_with(|| key(a).cmp(&key(b)))
    });
    let rest = refusal("unmatched", &everything(), 404, (&answers, &answers), revision);
    let routes: Vec<&Route> = edge.routes.iter().filter(|route| route.host == group).collect();
    let not_allowed = method_not_allowed(&words::allowed(&routes), &answers, revision);
    let known = RoutesByHeader { header: EARLY_MARK, routes: known };
    let tree = matcher::tree(&METHODS, not_allowed, known, closed, open, rest);
    let mut host = speaking(&answers);
    cors::enable_host(&mut host, edge.hosts.get(group).and_then(|host| host.cors.as_ref()));
    host.extend([("name", json!(group)), ("domains", json!(names)), ("matcher", tree)].map(named));
    let mut rendered = Value::Object(host);
    if let Some(hsts) = hsts {
        words::promise_https(&mut rendered, listener, hsts);
    }
    rendered
}

/// The same route for a request that a lease serves: it disables all filters.
fn unchecked(mut route: Value) -> Value {
    let mut filters = json!({});
    // What happens to a body and to an answer is the same.
    for kept in [filter::WORDS, filter::CORS, filter::BODY] {
        if let Some(settings) = route.pointer("/typed_per_filter_config").and_then(|of| of.get(kept)) {
            insert(&mut filters, kept, settings.clone());
        }
    }
    for name in [filter::GUARD, filter::AUTHORIZER, filter::KEEPER, filter::DECIDED] {
        insert(&mut filters, name, unused());
    }
    insert(&mut route, "typed_per_filter_config", filters);
    match route.get_mut("request_headers_to_remove").and_then(Value::as_array_mut) {
        Some(removed) => removed.push(json!(EARLY_MARK)),
        None => insert(&mut route, "request_headers_to_remove", json!([EARLY_MARK])),
    }
    route
}

/// The settings that enable a filter on a route which others do not have.
fn used() -> Value {
    json!({ "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {} })
}

/// `host` are the answers of the virtual host, which a route does not repeat.
fn one(edge: &Edge, route: &Route, to: &Destination, host: &Answers, listener: &Listener) -> Value {
    let mut matching = path_match(&route.path);
    if !route.methods.is_empty() {
        let methods: Vec<&str> = route.methods.iter().map(String::as_str).collect();
        insert(&mut matching, "headers", method_is(&methods, false));
    }
    let is_public = matches!(edge.policies.get(&route.policy), Some(Policy::Public(_)));
    let asks_nobody = !edge.is_decided(route);
    let authorizer = if asks_nobody { no_decision() } else { decision(edge, route, listener) };
    let mut filters = json!({ filter::AUTHORIZER: authorizer });
    // Where an allow brings neither a lease nor a stream that ends, the keeper is not even made.
    if asks_nobody || (edge.lease_of(route).is_none() && edge.ends_with(route) == EndsWith::Nothing) {
        insert(&mut filters, filter::KEEPER, unused());
    }
    if asks_nobody {
        insert(&mut filters, filter::DECIDED, decided::by_nobody());
    }
    let mut fields = json!({
        "policy": route.policy,
        "revision": edge.revision.0,
        "backend": to.backends().collect::<Vec<_>>().join(","),
    });
    if let Some(answers) = edge.answers.get(&route.answers) {
        word(answers, host, &mut fields, &mut filters);
        // The filter for the authorizer's refusals reads it here.
        if let Some(content_type) = &answers.content_type {
            insert(&mut fields, CONTENT_TYPE, json!(content_type));
        }
    }
    if let Some(limit) = route.body_limit {
        insert(&mut filters, filter::BODY, used());
        insert(&mut fields, BODY_LIMIT.1, json!(limit.to_string()));
    }
    cors::enable_route(route, &mut fields, &mut filters);
    let mut rendered = json!({
        "name": route.name,
        "match": matching,
        "route": destination::action(edge, route, to),
        "request_headers_to_add": written_headers(edge, to, is_public, listener),
        "metadata": { "filter_metadata": { NAMESPACE: fields } },
        "typed_per_filter_config": filters,
    });
    let mut ended = credentials::ended(edge, route, to);
    // Envoy has chosen by them: a backend gets the same bytes, however its route chooses.
    for mark in edge.marks_of(route).names() {
        ended.push(mark);
    }
    if edge.sign_in_of(route).is_some() {
        ended.push(headers::NAVIGATION);
    }
    if !ended.is_empty() {
        insert(&mut rendered, "request_headers_to_remove", json!(ended));
    }
    rendered
}

/// The headers that Envoy itself writes for a backend, over any value. `x-forwarded-proto` is written already: the connection
/// manager overwrites it, or, behind trusted proxies, the guard. The guard then writes `x-forwarded-for`, too.
fn written_headers(edge: &Edge, to: &Destination, is_public: bool, listener: &Listener) -> Value {
    let mut constant = Vec::new();
    if listener.trusted_proxies.is_none() {
        constant.push(header("x-forwarded-for", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"));
    }
    let IdentityHeaders { gateway, public, .. } = &edge.identity;
    let public = public.as_ref().filter(|_| is_public);
    constant.extend(gateway.iter().chain(public).map(|name| header(name, "1")));
    // With several backends, each share has its own.
    let only = to.only().and_then(|name| edge.backends.get(name));
    constant.extend(destination::constant_headers(only));
    Value::Array(constant)
}

/// The route's data for the authorizer, which never matches a path itself.
fn decision(edge: &Edge, route: &Route, listener: &Listener) -> Value {
    let mut settings = json!({ "context_extensions": {
        "route": route.name,
        "policy": route.policy,
        "revision": edge.revision.0,
        "exposure": listener.exposure.as_str(),
    } });
    if listener.trusted_proxies.is_some()
        && let Some(extensions) = settings.get_mut("context_extensions")
    {
        insert(extensions, "client", json!(proxies::CLIENT));
    }
    if edge.request_id.header != headers::REQUEST_ID
        && let Some(extensions) = settings.get_mut("context_extensions")
    {
        insert(extensions, "request_id", json!(edge.request_id.header));
    }
    if longest_body(edge).is_some() {
        let of_policy = match edge.policies.get(&route.policy) {
            Some(Policy::Signed(_)) => edge.signatures.as_ref().map(|signatures| signatures.max_body_bytes),
            Some(Policy::Webhook(policy)) => {
                edge.webhooks.get(&policy.of).map(|webhook| webhook.max_body_bytes)
            }
            Some(Policy::Public(_) | Policy::Session(_) | Policy::Internal(_) | Policy::Certificate(_))
            | None => None,
        };
        match of_policy {
            Some(bytes) => insert(&mut settings, "with_request_body", whole_body(bytes)),
            // The filter sends bodies, because only its settings can declare them as bytes; no other policy needs them.
            None => insert(&mut settings, "disable_request_body_buffering", json!(true)),
        }
    }
    json!({ "@type": PER_ROUTE, "check_settings": settings })
}

/// The longest body that any decision reads; `None` when none reads a body.
pub(super) fn longest_body(edge: &Edge) -> Option<u32> {
    let signed = edge.signatures.iter().map(|signatures| signatures.max_body_bytes);
    signed.chain(edge.webhooks.values().map(|webhook| webhook.max_body_bytes)).max()
}

/// Sends the whole body, or answers 413: half of a body has no digest. Without `pack_as_bytes` bytes that are not UTF-8
/// are replaced; Envoy reads that field in the filter's settings only, not in a route's.
pub(super) fn whole_body(max_bytes: u32) -> Value {
    json!({
        "max_request_bytes": max_bytes,
        "allow_partial_message": false,
        "pack_as_bytes": true,
    })
}
