//! Stages: filters that are made only for the requests that need them.
//!
//! An unneeded filter costs a request several microseconds: to make it, to go through it both ways, to destroy it. A
//! composite filter without a match costs about two, however many filters it holds (docs/performance.md).

use serde_json::{Value, json};

use super::object::insert;

/// The settings of a filter named `name` that runs `filters`, in this order, for a request for which `when` holds, and
/// nothing for any other.
///
/// When a filter has waited, Envoy continues after the whole stage. So a filter that waits must be the last of its stage.
/// Envoy looks up the settings of a route and dynamic metadata by the name of the stage instead of the filter's.
pub(super) fn stage(name: &str, when: &Value, filters: &[(&str, Value)]) -> Value {
    branches(name, &[Branch { when: when.clone(), filters: filters.to_vec() }])
}

/// The filters of a stage for the requests for which `when` holds.
#[derive(Clone)]
pub(super) struct Branch<'a> {
    pub(super) when: Value,
    pub(super) filters: Vec<(&'a str, Value)>,
}

/// The settings of a filter named `name` that runs the first fitting branch. See [`stage`].
pub(super) fn branches(name: &str, branches: &[Branch<'_>]) -> Value {
    let each = branches.iter().map(|Branch { when, filters }| {
        let chain = filters.iter().map(|(name, typed)| json!({ "name": name, "typed_config": typed }));
        (when, json!({ "filter_chain": { "typed_config": chain.collect::<Vec<_>>() } }))
    });
    composite(name, each)
}

/// The settings of a filter named `name` that runs the one filter to which `action` leads, for a request for which `when`
/// holds. See [`stage`].
pub(super) fn one(name: &str, when: &Value, action: Value) -> Value {
    composite(name, std::iter::once((when, action)))
}

fn composite<'v>(name: &str, branches: impl Iterator<Item = (&'v Value, Value)>) -> Value {
    let matchers: Vec<Value> = branches
        .map(|(when, mut action)| {
            let kind = "type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction";
            insert(&mut action, "@type", json!(kind));
            json!({
                "predicate": when,
                "on_match": { "action": { "name": name, "typed_config": action } },
            })
        })
        .collect();
    json!({
        "@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
        "extension_config": {
            "name": "envoy.filters.http.composite",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite" },
        },
        "xds_matcher": { "matcher_list": { "matchers": matchers } },
    })
}

/// The settings that disable a filter on a route.
pub(super) fn unused() -> Value {
    json!({ "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true })
}

/// The condition that `input` is `value`. An absent input has no value.
pub(super) fn is(name: &str, input: &Value, value: &str) -> Value {
    json!({ "single_predicate": {
        "input": { "name": name, "typed_config": input },
        "value_match": { "exact": value },
    } })
}

/// The condition that `predicate` does not hold.
pub(super) fn not(predicate: &Value) -> Value {
    json!({ "not_matcher": predicate })
}

/// The condition that `input` begins with `value`.
pub(super) fn starts_with(name: &str, input: &Value, value: &str) -> Value {
    json!({ "single_predicate": {
        "input": { "name": name, "typed_config": input },
        "value_match": { "prefix": value },
    } })
}

/// The condition that one of several predicates holds.
pub(super) fn either(predicates: &[Value]) -> Value {
    json!({ "or_matcher": { "predicate": predicates } })
}

/// The condition that both predicates hold.
pub(super) fn both(one: &Value, other: &Value) -> Value {
    json!({ "and_matcher": { "predicate": [one, other] } })
}
