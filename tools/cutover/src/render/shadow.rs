//! Routes with a shadow: only `GET` and `HEAD` are copied to the comparator.
//!
//! A mirror policy belongs to a route's action and cannot depend on the method. So such a route becomes two: one with the
//! mirror for the copied methods, and directly after it one without a mirror for all others.

use edge_config::Edge;
use edge_config::edge::{Comparator, Destination, Route};
use identity::headers;
use serde_json::{Value, json};

use super::TemplateError;
use super::cluster::{assignment, socket};
use super::header::{header, method_is};
use super::object::insert;

use super::template;

/// The comparator's cluster. No backend's cluster can have this name: those begin with `backend-`.
const CLUSTER: &str = "comparator";

/// The methods that change nothing when they are repeated (RFC 9110 §9.2.1). `OPTIONS` is safe, too, but its answers only
/// list a backend's abilities, and no path is moved for them.
const COPIED: [&str; 2] = ["GET", "HEAD"];

/// The cluster, when a route has a shadow.
pub(super) fn cluster(edge: &Edge) -> Result<Option<Value>, TemplateError> {
    let Some(comparator) = used(edge) else { return Ok(None) };
    let mut cluster = template::comparator_cluster()?;
    insert(&mut cluster, "load_assignment", assignment(CLUSTER, &socket(comparator.address)));
    Ok(Some(cluster))
}

/// The comparator, when a route has a shadow.
pub(crate) fn used(edge: &Edge) -> Option<&Comparator> {
    edge.comparator.as_ref().filter(|_| edge.routes.iter().any(|route| route.reference().is_some()))
}

/// The Envoy routes of `to`, a part of the destination of `route`, which is `rendered` without a shadow.
pub(super) fn split(edge: &Edge, route: &Route, to: &Destination, rendered: Value) -> Vec<Value> {
    // Not `used`: that checks every route, and this runs for each route.
    let (Some(comparator), true) = (&edge.comparator, route.copies(to)) else { return vec![rendered] };
    let takes = |method: &str| route.methods.is_empty() || route.methods.iter().any(|m| m == method);
    let copied: Vec<&str> = COPIED.into_iter().filter(|method| takes(method)).collect();
    if copied.is_empty() {
        return vec![rendered];
    }
    let mut mirrored = rendered.clone();
    if let Some(matching) = mirrored.get_mut("match") {
        insert(matching, "headers", method_is(&copied, false));
    }
    if let Some(action) = mirrored.get_mut("route") {
        insert(action, "request_mirror_policies", json!([mirror(comparator, &route.name)]));
    }
    let others = route.methods.is_empty() || route.methods.iter().any(|m| !COPIED.contains(&m.as_str()));
    if others { vec![mirrored, rendered] } else { vec![mirrored] }
}

fn mirror(comparator: &Comparator, route: &str) -> Value {
    json!({
        "cluster": CLUSTER,
        "runtime_fraction": {
            "default_value": { "numerator": comparator.sample_percent, "denominator": "HUNDRED" },
        },
        "trace_sampled": false,
        // Answers may depend on the host: with another one they would differ for that reason alone.
        "disable_shadow_host_suffix_append": true,
        "request_headers_mutations": [{ "append": header(headers::SHADOW_ROUTE, route) }],
    })
}
