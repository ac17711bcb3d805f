//! One listener: the connection manager and its chain of filters.

use edge_config::Edge;
use edge_config::edge::{Listener, Policy, TenantMatch};
use header_rules::config::{CALLBACKS, EarlyConfig, HOST_CALLS, PluginConfig};
use serde_json::{Value, json};

use super::cluster::{insert, socket};
use super::header::header;
use super::metadata::{CONTENT_TYPE, NAMESPACE, REFUSAL_MARK, filter};
use super::routes::whole_body;
use super::stage::{Branch, both, is, stage, starts_with};
use super::template::{self, fill};
use super::{Form, Paths, TemplateError, access_log, decided, guard, leases, seconds, words};

/// `routes` says how the connection manager comes by its routes: field and value.
pub(super) fn render(
    edge: &Edge,
    name: &str,
    listener: &Listener,
    paths: &Paths,
    routes: (&str, Value),
) -> Result<Value, TemplateError> {
    const NAME: &str = "connection-manager.yaml";
    let mut manager = template::connection_manager()?;
    fill(&mut manager, NAME, "/stat_prefix", json!(format!("edge-{name}")))?;
    insert(&mut manager, routes.0, routes.1);
    fill(&mut manager, NAME, "/local_reply_config", words::local_replies())?;
    let rules = guard::config(edge, name, listener);
    let leased = rules.leases.is_some();
    fill(&mut manager, NAME, "/access_log", access_log::render(edge, name, paths, leased)?)?;
    if leased && paths.form() == Form::Native {
        insert(&mut manager, "early_header_mutation_extensions", json!([early(edge, name, paths)?]));
    }
    let keeper = leased.then(|| plugin(edge, name, paths, &PluginConfig::Keeper(Box::new(rules.clone()))));
    let guard = plugin(edge, name, paths, &PluginConfig::Guard(Box::new(rules)))?;
    let wall = (filter::SECOND_WALL, second_wall(edge));
    let refusal = refusal();
    let authorizer = (filter::AUTHORIZER, authorizer(edge)?);
    let decided = (filter::DECIDED, decided::filter());
    let mut filters = vec![plain((filter::GUARD, guard)), finish()];
    if let Some(keeper) = keeper {
        // On a lease the guard writes the identity, over whatever was there: the wall must not take it away again. And
        // filter state is out of reach of every client, so that a lease is as good a proof of a decision as the header.
        let checked = leases::not_leased();
        let asking = stage(filter::AUTHORIZER, &checked, &[wall, refusal, authorizer]);
        let asked = stage(filter::DECIDED, &checked, &[(filter::KEEPER, keeper?), decided]);
        filters.extend([(filter::AUTHORIZER, asking), (filter::DECIDED, asked)].map(plain));
    } else {
        let decided = stage(filter::DECIDED, &decided::undecided(), &[decided]);
        filters.extend([wall, refusal, authorizer, (filter::DECIDED, decided)].map(plain));
    }
    filters.push(plain((
        filter::ROUTER,
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        }),
    )));
    fill(&mut manager, NAME, "/http_filters", Value::Array(filters))?;
    Ok(json!({
        "name": name,
        "metadata": { "filter_metadata": { NAMESPACE: words::metadata(&edge.answers_by_default()) } },
        "address": socket(listener.address),
        "per_connection_buffer_limit_bytes": 32768,
        "filter_chains": [{ "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }] }],
    }))
}

/// The guard in one of its roles.
fn plugin(edge: &Edge, name: &str, paths: &Paths, config: &PluginConfig) -> Result<Value, TemplateError> {
    let rules = text(&json!(config).to_string());
    match paths.form() {
        Form::Wasm => {
            let role = match config {
                PluginConfig::Guard(_) => filter::GUARD,
                PluginConfig::Keeper(_) => filter::KEEPER,
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

/// What looks for a lease before any filter is made.
fn early(edge: &Edge, name: &str, paths: &Paths) -> Result<Value, TemplateError> {
    const NAME: &str = "early-native.yaml";
    let mut config = template::early_native()?;
    let file = "/typed_config/dynamic_module_config/module/local/filename";
    fill(&mut config, NAME, file, json!(paths.guard))?;
    let whose = EarlyConfig { listener: name.to_owned(), revision: edge.revision.0.clone() };
    fill(&mut config, NAME, "/typed_config/early_header_mutation_config", text(&json!(whose).to_string()))?;
    Ok(config)
}

fn text(text: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text })
}

/// Each role has a machine of its own for each listener and revision. What Envoy shares between machines it shares by
/// `vm_id`, which is the same for both roles; which machine runs a plugin is a matter of the machine's configuration,
/// too.
fn machine(edge: &Edge, name: &str, paths: &Paths, role: &str, rules: Value) -> Result<Value, TemplateError> {
    const NAME: &str = "guard.yaml";
    let mut config = template::guard()?;
    fill(&mut config, NAME, "/config/configuration", rules)?;
    let vm = format!("edge-guard-{name}-{}", edge.revision);
    fill(&mut config, NAME, "/config/vm_config/vm_id", json!(vm))?;
    fill(&mut config, NAME, "/config/vm_config/configuration", text(role))?;
    fill(&mut config, NAME, "/config/vm_config/code/local/filename", json!(paths.guard))?;
    let capabilities = HOST_CALLS.iter().chain(&CALLBACKS).map(|name| ((*name).to_owned(), json!({})));
    let pointer = "/config/vm_config/capability_restriction_config/allowed_capabilities";
    fill(&mut config, NAME, pointer, Value::Object(capabilities.collect()))?;
    Ok(config)
}

/// Removes the identity headers once more, natively: should the guard ever let one through, it ends here.
fn second_wall(edge: &Edge) -> Value {
    let identity = edge
        .reserved
        .prefixes
        .iter()
        .filter(|prefix| identity::headers::IDENTITY.starts_with(prefix.as_str()));
    let mut mutations: Vec<Value> = identity
        .map(|prefix| json!({ "remove_on_match": { "key_matcher": { "prefix": prefix, "ignore_case": true } } }))
        .collect();
    mutations.push(json!({ "remove": identity::headers::TENANT }));
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        // Trailers reach a backend that speaks HTTP/2; the guard never sees them.
        "mutations": { "request_mutations": mutations, "request_trailers_mutations": trailers(edge) },
    })
}

/// Trailers reach a backend that speaks HTTP/2, and the guard never sees them: every reserved name ends here.
fn trailers(edge: &Edge) -> Vec<Value> {
    let starts = edge.reserved.prefixes.iter();
    let starts = starts.map(
        |prefix| json!({ "remove_on_match": { "key_matcher": { "prefix": prefix, "ignore_case": true } } }),
    );
    let whole = edge.reserved.names.iter().map(|name| json!({ "remove": name }));
    starts.chain(whole).chain([json!({ "remove": identity::headers::TENANT })]).collect()
}

fn authorizer(edge: &Edge) -> Result<Value, TemplateError> {
    let mut config = template::authorizer()?;
    fill(&mut config, "authorizer.yaml", "/grpc_service/timeout", json!(seconds(edge.authorizer.timeout)))?;
    if edge.authorizer.replicas == 1
        && let Some(service) = config.get_mut("grpc_service").and_then(Value::as_object_mut)
    {
        // There is nobody else to ask, and being ready to ask again costs every check.
        service.remove("retry_policy");
    }
    insert(&mut config, "clear_route_cache", json!(super::destination::decided_late(edge)));
    // Beside the credentials, the headers that policies read the tenant from.
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
        let told = config.pointer_mut("/allowed_headers/patterns").and_then(Value::as_array_mut);
        let what = || "it has no /allowed_headers/patterns".to_owned();
        told.ok_or_else(|| TemplateError { name: "authorizer.yaml", what: what() })?
            .push(json!({ "exact": api_keys.header }));
    }
    if let Some(signatures) = &edge.signatures {
        let headers = ["signature", "signature-input", "content-digest", "content-type"].into_iter();
        let covered = headers.chain(signatures.headers.iter().map(String::as_str));
        if let Some(patterns) = config.pointer_mut("/allowed_headers/patterns").and_then(Value::as_array_mut)
        {
            patterns.extend(covered.map(|name| json!({ "exact": name })));
        }
        insert(&mut config, "with_request_body", whole_body(signatures));
    }
    Ok(config)
}

/// A filter that every request passes.
fn plain((name, typed_config): (&str, Value)) -> Value {
    json!({ "name": name, "typed_config": typed_config })
}

/// The filter that finishes what Envoy refused, on routes that need it.
fn finish() -> Value {
    let mut finish = plain((filter::WORDS, words::finish()));
    insert(&mut finish, "disabled", json!(true));
    finish
}

/// Envoy cannot send a body without a content type, and some clients know refusals that have none. A refusal
/// that the authorizer made carries a mark; this filter is made for marked answers alone, gives them the content type that
/// the route's metadata names, or none, and takes the mark off.
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
        // Nothing is added when the metadata has none.
        { "append": header("content-type", &content_type) },
    ]));
    let marked = is("mark", &input(REFUSAL_MARK), "1");
    // Envoy has put the refusal into the form of gRPC, which is nothing without its content type.
    let grpc = both(&marked, &starts_with("content", &input("content-type"), "application/grpc"));
    let branches = [
        Branch { when: grpc, filters: vec![("finish", unmark)] },
        Branch { when: marked, filters: vec![("finish", settle)] },
    ];
    (filter::REFUSAL, super::stage::branches(filter::REFUSAL, &branches))
}
