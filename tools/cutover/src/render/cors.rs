//! Pages of other origins: the guard answers preflights and notes the page, and Envoy adds the headers to answers.
//!
//! Envoy has a filter for this (`envoy.filters.http.cors`), which replaces the headers of a backend that has its own. Here the
//! guard compares origins, so that a refusal and a preflight need no second list, and notes for each request the values to
//! send. A filter on the way back adds them to any answer (also to refusals by the guard, the authorizer and Envoy), unless
//! the answer has such headers already. The filter is the same for every edge and off by default: hosts and routes enable
//! it, so a change of rules replaces no filter chain, and other routes pay nothing.

use edge_config::Edge;
use edge_config::edge::{Cors, Host, OnAnswers, Route, RouteCors};
use header_rules::config::CorsRules;
use serde_json::{Map, Value, json};

use super::metadata::{NAMESPACE, VARY, filter};
use super::object::insert;
use super::stage::{Branch, both, branches, either, not, unused};

/// The headers that the edge itself writes on refusals, besides the request id. A page must be able to read when to try again.
const OWN: [&str; 4] = ["ratelimit", "ratelimit-policy", "retry-after", "www-authenticate"];

/// The headers by which a backend shows that it has rules of its own.
const OF_BACKENDS: [&str; 4] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-expose-headers",
];

/// The guard's rules, each once.
#[derive(Default)]
pub(super) struct Table(Vec<CorsRules>);

impl Table {
    pub(super) fn of_host(&mut self, edge: &Edge, host: &Host) -> Option<u32> {
        host.cors.as_ref().map(|cors| self.position(edge, cors))
    }

    pub(super) fn of_route(&mut self, edge: &Edge, route: &Route) -> Option<u32> {
        edge.cors_of(route).map(|cors| self.position(edge, cors))
    }

    pub(super) fn rules(self) -> Vec<CorsRules> {
        self.0
    }

    fn position(&mut self, edge: &Edge, cors: &Cors) -> u32 {
        let rules = rules(edge, cors);
        let position = self.0.iter().position(|known| *known == rules).unwrap_or_else(|| {
            self.0.push(rules);
            self.0.len() - 1
        });
        u32::try_from(position).unwrap_or(u32::MAX)
    }
}

fn rules(edge: &Edge, cors: &Cors) -> CorsRules {
    let Cors { origins, credentials, methods, headers, expose, max_age } = cors;
    let id = match edge.request_id.on_answers {
        OnAnswers::Always | OnAnswers::Refusals => Some(edge.request_id.header.as_str()),
        OnAnswers::Never => None,
    };
    let mut exposed: Vec<String> = expose.clone();
    exposed.extend(OWN.into_iter().chain(id).map(str::to_owned));
    exposed.sort();
    exposed.dedup();
    CorsRules {
        origins: origins.clone(),
        credentials: *credentials,
        methods: methods.clone(),
        headers: headers.clone(),
        expose: exposed,
        max_age_seconds: u32::try_from(max_age.as_secs()).unwrap_or(u32::MAX),
    }
}

/// Enables the filter for a virtual host with `cors`, in its fields.
pub(super) fn enable_host(host: &mut Map<String, Value>, cors: Option<&Cors>) {
    let Some(cors) = cors else { return };
    if cors.varies() {
        let fields =
            host.get_mut("metadata").and_then(|metadata| metadata.pointer_mut("/filter_metadata/cutover"));
        if let Some(fields) = fields {
            insert(fields, VARY, json!("Origin"));
        }
    }
    let filters = host.entry("typed_per_filter_config").or_insert_with(|| json!({}));
    insert(filters, filter::CORS, enabled());
}

/// Enables or disables the filter for a route whose rules are not those of its host, in its metadata and filters.
pub(super) fn enable_route(route: &Route, fields: &mut Value, filters: &mut Value) {
    match &route.cors {
        RouteCors::OfHost => {}
        RouteCors::None => insert(filters, filter::CORS, unused()),
        RouteCors::Own(cors) => {
            if cors.varies() {
                insert(fields, VARY, json!("Origin"));
            }
            insert(filters, filter::CORS, enabled());
        }
    }
}

/// The settings of a route for which the filter runs. The filter is off without any.
fn enabled() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
        "mutations": {},
    })
}

/// The filter.
pub(super) fn filter() -> Value {
    let note = |key: &str| format!("%FILTER_STATE(wasm.cutover.{key}:PLAIN)%");
    // A value that was not noted is empty, and an empty header is not added.
    let add = |name: &str, value: &str| json!({ "append": { "header": { "key": name, "value": value }, "append_action": "ADD_IF_ABSENT" } });
    let allow = [
        add("access-control-allow-origin", &note("cors_origin")),
        add("access-control-allow-credentials", &note("cors_credentials")),
        add("access-control-expose-headers", &note("cors_expose")),
    ];
    let places = ["ROUTE", "VIRTUAL_HOST"]
        .map(|kind| json!({ "command": "METADATA", "param": format!("{kind}:{NAMESPACE}:{VARY}") }));
    let vary = format!("%COALESCE({})%", json!({ "operators": places }));
    let vary = json!({ "append": { "header": { "key": "vary", "value": vary }, "append_action": "APPEND_IF_EXISTS_OR_ADD" } });
    let mutate = |mutations: &[Value]| {
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": { "response_mutations": mutations },
        })
    };
    let has = |name: &str, regex: &str| {
        json!({ "single_predicate": {
            "input": { "name": name, "typed_config": {
                "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpResponseHeaderMatchInput",
                "header_name": name,
            } },
            "value_match": { "safe_regex": { "google_re2": {}, "regex": regex } },
        } })
    };
    let of_backend: Vec<Value> = OF_BACKENDS.iter().map(|name| has(name, r"[\s\S]*")).collect();
    let silent = not(&either(&of_backend));
    let varies = has("vary", r"(?i)([\s\S]*,)?\s*(origin|\*)\s*(,[\s\S]*)?");
    let branch =
        |when: Value, mutations: &[Value]| Branch { when, filters: vec![("allow", mutate(mutations))] };
    branches(
        filter::CORS,
        &[branch(both(&silent, &varies), &allow), branch(silent, &[allow.as_slice(), &[vary]].concat())],
    )
}
