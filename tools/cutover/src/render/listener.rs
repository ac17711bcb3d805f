//! Renders one listener: the connection manager and its chain of filters.

use std::net::SocketAddr;

use edge_config::Edge;
use edge_config::edge::{HeaderCase, Http10, Listener, Policy, Route, TenantMatch, Underscores, WireLimits};
use header_rules::config::{BODY_CALLBACK, CALLBACKS, EarlyConfig, HOST_CALLS, PluginConfig};
use serde_json::{Value, json};

use super::discovered::{self, Discovered, Found};
use super::header::header;
use super::metadata::{CONTENT_TYPE, NAMESPACE, REFUSAL_MARK, filter};
use super::object::insert;
use super::routes::{longest_body, whole_body};
use super::stage::{Branch, both, is, stage, starts_with};
use super::template::{self, fill};
use super::{
    Form, Paths, TemplateError, access_log, cors, decided, guard, leases, proxies, request_id, second_wall,
    seconds, tracing, words,
};

const NAME: &str = "connection-manager.yaml";

/// `routes` is the connection manager's source of routes (field and value), and `found` its source of the filters that
/// hold the guard's rules.
///
/// Routes, shares, policies, limits and leases must not appear here, except for the headers from which policies read the
/// tenant: Envoy replaces a filter chain that differs in one byte, and ends the connections of the old one after its drain
/// time.
pub(super) fn render(
    edge: &Edge,
    name: &str,
    listener: &Listener,
    paths: &Paths,
    routes: (&str, Value),
    found: &Found<'_>,
) -> Result<Value, TemplateError> {
    let mut manager = template::connection_manager()?;
    fill(&mut manager, NAME, "/stat_prefix", json!(format!("edge-{name}")))?;
    insert(&mut manager, routes.0, routes.1);
    if listener.http_10 != Http10::Refuse {
        // Without a default, Envoy refuses a request that names no host (400).
        fill(&mut manager, NAME, "/http_protocol_options/default_host_for_http_10", json!(""))?;
    }
    let underscores = match &listener.underscores {
        Underscores::Refuse => "REJECT_REQUEST",
        Underscores::Drop => "DROP_HEADER",
        // The guard removes every other one, before any part reads it.
        Underscores::Pass(_) => "ALLOW",
    };
    let pointer = "/common_http_protocol_options/headers_with_underscores_action";
    fill(&mut manager, NAME, pointer, json!(underscores))?;
    limit(&mut manager, &listener.wire)?;
    fill(&mut manager, NAME, "/local_reply_config", words::local_replies(edge, listener))?;
    let proxied = listener.trusted_proxies.is_some();
    fill(&mut manager, NAME, "/access_log", access_log::render(edge, name, proxied, paths)?)?;
    if proxied {
        proxies::manage(&mut manager, NAME)?;
    }
    match edge.header_case_of(name) {
        HeaderCase::Lower => {}
        // The template's formatter keeps the case of request headers and has none for refusals; Envoy takes one of the two.
        HeaderCase::Title => {
            let title = json!({ "proper_case_words": {} });
            fill(&mut manager, NAME, "/http_protocol_options/header_key_format", title)?;
        }
    }
    let mut before_all: Vec<Value> = tracing::forget(edge, listener.exposure).into_iter().collect();
    if paths.form() == Form::Native && may_look_early(listener) {
        before_all.push(early(name, paths)?);
    }
    if !before_all.is_empty() {
        insert(&mut manager, "early_header_mutation_extensions", Value::Array(before_all));
    }
    if let Some(tracing) = tracing::of_listener(edge, listener.exposure) {
        insert(&mut manager, "tracing", tracing);
    }
    // On a lease the guard writes the identity over any value: the wall must not remove it again. No client can set filter
    // state, so a lease proves a decision as well as the header does.
    let checked = leases::not_leased();
    let wall = (filter::SECOND_WALL, second_wall::filter(edge));
    let asking = [wall, refusal(), (filter::AUTHORIZER, authorizer(edge, proxied)?)];
    let undecided = both(&decided::undecided(), &checked);
    let filters = vec![
        found.guard(name),
        finish(),
        pages(),
        plain((filter::AUTHORIZER, stage(filter::AUTHORIZER, &checked, &asking))),
        plain((filter::KEEPER, found.keeper(name, &checked))),
        found.body(name),
        plain((filter::DECIDED, stage(filter::DECIDED, &undecided, &[(filter::DECIDED, decided::filter())]))),
        plain((
            filter::ROUTER,
            json!({
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                "suppress_envoy_headers": true,
            }),
        )),
    ];
    fill(&mut manager, NAME, "/http_filters", Value::Array(filters))?;
    let mut rendered = json!({
        "name": name,
        "metadata": { "filter_metadata": { NAMESPACE: words::metadata(&edge.answers_by_default()) } },
        "address": socket(listener, listener.address),
        "per_connection_buffer_limit_bytes": 32768,
        "filter_chains": [{ "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }] }],
    });
    let further: Vec<Value> =
        listener.further_addresses.iter().map(|own| json!({ "address": socket(listener, *own) })).collect();
    if !further.is_empty() {
        insert(&mut rendered, "additional_addresses", json!(further));
    }
    proxies::put(&mut rendered, listener);
    Ok(rendered)
}

/// Fills in how large and how slow the messages of clients may be.
fn limit(manager: &mut Value, wire: &WireLimits) -> Result<(), TemplateError> {
    let WireLimits {
        headers,
        header_kib,
        header_timeout,
        request_timeout,
        idle_timeout,
        connection_idle_timeout,
        connection_age,
        streams,
    } = wire;
    for (pointer, value) in [
        ("/common_http_protocol_options/max_headers_count", json!(headers)),
        ("/common_http_protocol_options/idle_timeout", json!(seconds(*connection_idle_timeout))),
        ("/common_http_protocol_options/max_connection_duration", json!(seconds(*connection_age))),
        ("/max_request_headers_kb", json!(header_kib)),
        ("/request_headers_timeout", json!(seconds(*header_timeout))),
        ("/request_timeout", json!(seconds(*request_timeout))),
        ("/stream_idle_timeout", json!(seconds(*idle_timeout))),
        ("/http2_protocol_options/max_concurrent_streams", json!(streams)),
    ] {
        fill(manager, NAME, pointer, value)?;
    }
    Ok(())
}

/// One address of `listener`.
fn socket(listener: &Listener, address: SocketAddr) -> Value {
    let mut socket = super::cluster::socket(address);
    if listener.takes_ipv4_too(address)
        && let Some(fields) = socket.get_mut("socket_address")
    {
        insert(fields, "ipv4_compat", json!(true));
    }
    socket
}

/// The filters that hold the rules of a listener.
pub(super) fn discovered(
    edge: &Edge,
    name: &str,
    listener: &Listener,
    paths: &Paths,
) -> Result<Discovered, TemplateError> {
    let rules = guard::config(edge, name, listener);
    let keeper = if rules.leases.is_some() || rules.streams.is_some() {
        plugin(edge, name, paths, &PluginConfig::Keeper(Box::new(rules.clone())))?
    } else {
        discovered::nothing()
    };
    let limited = |route: &Route| {
        route.body_limit.is_some() && edge.hosts.get(&route.host).is_some_and(|host| host.is_on(name))
    };
    let body = if edge.routes.iter().any(limited) {
        plugin(edge, name, paths, &PluginConfig::BodyLimit)?
    } else {
        discovered::nothing()
    };
    let guard = plugin(edge, name, paths, &PluginConfig::Guard(Box::new(rules)))?;
    Ok(Discovered { guard, keeper, body })
}

/// Whether a native guard may look leases up before Envoy chooses a route. It marks a leased request by a header with an
/// underscore, which no client can send where Envoy lets none through.
pub(super) const fn may_look_early(listener: &Listener) -> bool {
    match &listener.underscores {
        Underscores::Refuse | Underscores::Drop => true,
        Underscores::Pass(_) => false,
    }
}

/// The guard in one of its roles.
fn plugin(edge: &Edge, name: &str, paths: &Paths, config: &PluginConfig) -> Result<Value, TemplateError> {
    let rules = text(&json!(config).to_string());
    match paths.form() {
        Form::Wasm => {
            let role = match config {
                PluginConfig::Guard(_) => filter::GUARD,
                PluginConfig::Keeper(_) => filter::KEEPER,
                PluginConfig::BodyLimit => filter::BODY,
            };
            machine(edge, name, paths, role, rules)
        }
        Form::Native => {
            const NAME: &str = "guard-native.yaml";
            let mut config = template::guard_native()?;
            fill(&mut config, NAME, "/filter_config", rules)?;
            fill(&mut config, NAME, "/dynamic_module_config/module/local/filename", json!(paths.guard))?;
            Ok(config)
        }
    }
}

/// The extension that looks for a lease before any filter is made.
fn early(name: &str, paths: &Paths) -> Result<Value, TemplateError> {
    const NAME: &str = "early-native.yaml";
    let mut config = template::early_native()?;
    let file = "/typed_config/dynamic_module_config/module/local/filename";
    fill(&mut config, NAME, file, json!(paths.guard))?;
    let whose = EarlyConfig { listener: name.to_owned() };
    fill(&mut config, NAME, "/typed_config/early_header_mutation_config", text(&json!(whose).to_string()))?;
    Ok(config)
}

fn text(text: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text })
}

/// Each role has a machine of its own for each listener and revision. Envoy shares data between machines by `vm_id`, which
/// is the same for both roles; the machine of a plugin also depends on the machine's configuration.
///
/// The revision separates leases: no other revision can reach a lease that was granted by the rules of one, and it goes
/// away with the last request that its guard judged.
fn machine(edge: &Edge, name: &str, paths: &Paths, role: &str, rules: Value) -> Result<Value, TemplateError> {
    const NAME: &str = "guard.yaml";
    let mut config = template::guard()?;
    fill(&mut config, NAME, "/config/configuration", rules)?;
    let vm = format!("edge-guard-{name}-{}", edge.revision);
    fill(&mut config, NAME, "/config/vm_config/vm_id", json!(vm))?;
    fill(&mut config, NAME, "/config/vm_config/configuration", text(role))?;
    fill(&mut config, NAME, "/config/vm_config/code/local/filename", json!(paths.guard))?;
    let called = CALLBACKS.iter().filter(|callback| role == filter::BODY || **callback != BODY_CALLBACK);
    let capabilities = HOST_CALLS.iter().chain(called).map(|name| ((*name).to_owned(), json!({})));
    let pointer = "/config/vm_config/capability_restriction_config/allowed_capabilities";
    fill(&mut config, NAME, pointer, Value::Object(capabilities.collect()))?;
    Ok(config)
}

/// `proxied` says whether the guard writes the client's address into a header.
fn authorizer(edge: &Edge, proxied: bool) -> Result<Value, TemplateError> {
    let mut config = template::authorizer()?;
    const NAME: &str = "authorizer.yaml";
    fill(&mut config, NAME, "/grpc_service/timeout", json!(seconds(edge.authorizer.timeout)))?;
    request_id::for_authorizer(edge, &mut config, NAME)?;
    if edge.authorizer.replicas == 1
        && let Some(service) = config.get_mut("grpc_service").and_then(Value::as_object_mut)
    {
        // A single authorizer answers, and preparing a retry would cost every check.
        service.remove("retry_policy");
    }
    // A share that sticks to the session and a canary by tenant need the decision. Every edge matches the route once more
    // after the decision, because the first such share must not replace the filter chain.
    insert(&mut config, "clear_route_cache", json!(true));
    // Besides the credentials, the headers from which policies read the tenant.
    for policy in edge.policies.values() {
        if let Policy::Session(policy) = policy
            && let Some(TenantMatch::Header(name)) = &policy.tenant
            && let Some(patterns) =
                config.pointer_mut("/allowed_headers/patterns").and_then(Value::as_array_mut)
        {
            patterns.push(json!({ "exact": name }));
        }
    }
    if let Some(api_keys) = &edge.api_keys {
        let listed = config.pointer_mut("/allowed_headers/patterns").and_then(Value::as_array_mut);
        let what = || "it has no /allowed_headers/patterns".to_owned();
        listed
            .ok_or_else(|| TemplateError { name: NAME, what: what() })?
            .extend(api_keys.own_headers().map(|name| json!({ "exact": name })));
    }
    if let Some(signatures) = &edge.signatures {
        let headers = ["signature", "signature-input", "content-digest", "content-type"].into_iter();
        let covered = headers.chain(signatures.headers.iter().map(String::as_str));
        if let Some(patterns) = config.pointer_mut("/allowed_headers/patterns").and_then(Value::as_array_mut)
        {
            patterns.extend(covered.map(|name| json!({ "exact": name })));
        }
    }
    let read = edge.webhooks.values().flat_map(|webhook| webhook.headers());
    let mut of_webhooks: Vec<&str> = read.collect();
    of_webhooks.sort_unstable();
    of_webhooks.dedup();
    if let Some(patterns) = config.pointer_mut("/allowed_headers/patterns").and_then(Value::as_array_mut) {
        patterns.extend(of_webhooks.into_iter().map(|name| json!({ "exact": name })));
    }
    if proxied
        && let Some(patterns) = config.pointer_mut("/allowed_headers/patterns").and_then(Value::as_array_mut)
    {
        patterns.push(json!({ "exact": proxies::CLIENT }));
    }
    if let Some(bytes) = longest_body(edge) {
        insert(&mut config, "with_request_body", whole_body(bytes));
    }
    Ok(config)
}

/// A filter that runs for every request.
fn plain((name, typed_config): (&str, Value)) -> Value {
    json!({ "name": name, "typed_config": typed_config })
}

/// The filter that finishes Envoy's refusals, on routes that need it.
fn finish() -> Value {
    let mut finish = plain((filter::WORDS, words::finish()));
    insert(&mut finish, "disabled", json!(true));
    finish
}

/// The filter that lets pages of other origins read answers, on hosts and routes that say so.
fn pages() -> Value {
    let mut pages = plain((filter::CORS, cors::filter()));
    insert(&mut pages, "disabled", json!(true));
    pages
}

/// The filter that sets the content type of the authorizer's refusals.
///
/// Envoy cannot send a body without a content type, but some clients expect refusals without one. A refusal of the
/// authorizer carries a mark. This filter runs for marked answers alone: it gives them the content type in the route's
/// metadata, or none, and removes the mark.
fn refusal() -> (&'static str, Value) {
    let input = |name: &str| {
        json!({
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpResponseHeaderMatchInput",
            "header_name": name,
        })
    };
    let content_type = format!("%METADATA(ROUTE:{NAMESPACE}:{CONTENT_TYPE})%");
    let finish = |mutations: Value| {
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": { "response_mutations": mutations },
        })
    };
    let unmark = finish(json!([{ "remove": REFUSAL_MARK }]));
    let settle = finish(json!([
        { "remove": REFUSAL_MARK },
        { "remove": "content-type" },
        // Without one in the metadata, none is added.
        { "append": header("content-type", &content_type) },
    ]));
    let marked = is("mark", &input(REFUSAL_MARK), "1");
    // Envoy has put the refusal into the form of gRPC, which needs its content type.
    let grpc = both(&marked, &starts_with("content", &input("content-type"), "application/grpc"));
    let branches = [
        Branch { when: grpc, filters: vec![("finish", unmark)] },
        Branch { when: marked, filters: vec![("finish", settle)] },
    ];
    (filter::REFUSAL, super::stage::branches(filter::REFUSAL, &branches))
}
