//! Filters that are made for those requests alone that need them.
//!
//! A filter that is made to be passed over, or to find nothing to do, costs a request several microseconds: making it,
//! going through it both ways, taking it down. A composite filter without a match costs about two, however many filters
//! are in it (docs/performance.md).

use serde_json::{Value, json};

use super::cluster::insert;

/// The settings of a filter called `name` that is `filters`, in this order, for a request for which `when` holds, and
/// nothing for any other.
///
/// Envoy goes on behind the whole stage when a filter that waited is done, so nothing in it may stand behind one that
/// waits. Whatever Envoy looks up by a filter's name (settings of a route, dynamic metadata), it looks up by the name of
/// the stage.
pub(super) fn stage(name: &str, when: &Value, filters: &[(&str, Value)]) -> Value {
    branches(name, &[Branch { when: when.clone(), filters: filters.to_vec() }])
}

/// What a stage is for the requests for which `when` holds.
#[derive(Clone)]
pub(super) struct Branch<'a> {
    pub(super) when: Value,
    pub(super) filters: Vec<(&'a str, Value)>,
}

/// The settings of a filter called `name` that is what the first fitting branch says. See [`stage`].
pub(super) fn branches(name: &str, branches: &[Branch<'_>]) -> Value {
    let each = branches.iter().map(|Branch { when, filters }| {
        let chain = filters.iter().map(|(name, typed)| json!({ "name": name, "typed_config": typed }));
        (when, json!({ "filter_chain": { "typed_config": chain.collect::<Vec<_>>() } }))
    });
    composite(name, each)
}

/// The settings of a filter called `name` that is the one filter that `action` says how to find, for a request for which
/// `when` holds. See [`stage`].
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

/// That `input` is `value`. What is absent is no value at all.
pub(super) fn is(name: &str, input: &Value, value: &str) -> Value {
    json!({ "single_predicate": {
        "input": { "name": name, "typed_config": input },
        "value_match": { "exact": value },
    } })
}

/// That `predicate` does not hold.
pub(super) fn not(predicate: &Value) -> Value {
    json!({ "not_matcher": predicate })
}

/// That `input` begins with `value`.
pub(super) fn starts_with(name: &str, input: &Value, value: &str) -> Value {
    json!({ "single_predicate": {
        "input": { "name": name, "typed_config": input },
        "value_match": { "prefix": value },
    } })
}

/// That both predicates hold.
pub(super) fn both(one: &Value, other: &Value) -> Value {
    json!({ "and_matcher": { "predicate": [one, other] } })
}
