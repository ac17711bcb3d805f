//! Traces of Envoy: the tracer of a listener, and the cluster of the collector.

use edge_config::Edge;
use edge_config::edge::{Exposure, Tracing, TrustIncoming};
use serde_json::{Value, json};

use super::cluster;
use super::metadata::NAMESPACE;
use super::object::insert;
use super::{TemplateError, template};

/// The headers of W3C Trace Context. `baggage` is data of the application, and passes in any case.
const CONTEXT: [&str; 2] = ["traceparent", "tracestate"];

/// The cluster of the collector. The prefix of backends' clusters keeps a backend of that name apart.
const COLLECTOR: &str = "collector";

/// The field `tracing` of the connection manager; nothing without the section, and then the headers of a trace pass
/// untouched.
pub(super) fn of_listener(edge: &Edge, exposure: Exposure) -> Option<Value> {
    let Tracing { sample, .. } = edge.tracing.as_ref()?;
    let ratio = json!({
        "name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig",
            // Thousandths of a percent, in millionths.
            "sampling_percentage": { "numerator": sample.thousandths().saturating_mul(10), "denominator": "MILLION" },
        },
    });
    // A trace that is continued is sampled when its caller samples it.
    let sampler = if continues(edge, exposure) {
        json!({
            "name": "envoy.tracers.opentelemetry.samplers.parent_based",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig",
                "wrapped_sampler": ratio,
            },
        })
    } else {
        ratio
    };
    Some(json!({
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "service_name": edge.name,
                "grpc_service": { "envoy_grpc": { "cluster_name": COLLECTOR }, "timeout": "5s" },
                "sampler": sampler,
            },
        },
        // The sampler decides. No header of a client makes Envoy sample a request.
        "client_sampling": { "value": 0 },
        "random_sampling": { "value": 100 },
        "overall_sampling": { "value": 100 },
        // The span's URL has no path: people put secrets into queries, and Envoy cannot leave out the query alone.
        "max_path_tag_length": 0,
        "custom_tags": tags(edge),
    }))
}

/// What a span says besides Envoy's own tags: names of the edge file, codes, and the request's id, by which the access log
/// and the authorizer find it.
fn tags(edge: &Edge) -> Vec<Value> {
    let of_route = |name: &str| {
        json!({
            "tag": format!("cutover.{name}"),
            "metadata": { "kind": { "route": {} }, "metadata_key": { "key": NAMESPACE, "path": [{ "key": name }] } },
        })
    };
    let of_decision = |name: &str| {
        let key = json!({ "key": "envoy.filters.http.ext_authz", "path": [{ "key": name }] });
        json!({
            "tag": format!("cutover.{name}"),
            "metadata": { "kind": { "request": {} }, "metadata_key": key },
        })
    };
    let id = json!({ "tag": "cutover.request_id", "request_header": { "name": edge.request_id.header } });
    let named = ["policy", "revision", "backend"].map(of_route);
    let decided = ["route", "decision", "reason"].map(of_decision);
    std::iter::once(id).chain(named).chain(decided).collect()
}

/// Whether callers of a listener may continue their traces.
fn continues(edge: &Edge, exposure: Exposure) -> bool {
    match (edge.tracing.as_ref().map(|tracing| tracing.trust_incoming), exposure) {
        (Some(TrustIncoming::Always), _) | (Some(TrustIncoming::Services), Exposure::Internal) => true,
        (Some(TrustIncoming::Never), _) | (Some(TrustIncoming::Services), Exposure::Public) | (None, _) => {
            false
        }
    }
}

/// The extension that removes the trace of a caller who may not continue one, before Envoy reads it.
pub(super) fn forget(edge: &Edge, exposure: Exposure) -> Option<Value> {
    edge.tracing.as_ref()?;
    (!continues(edge, exposure)).then(|| {
        json!({
            "name": "cutover.forget-trace",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                "mutations": CONTEXT.map(|name| json!({ "remove": name })),
            },
        })
    })
}

/// The cluster of the collector.
pub(super) fn cluster(edge: &Edge) -> Result<Option<Value>, TemplateError> {
    let Some(Tracing { collector, .. }) = &edge.tracing else { return Ok(None) };
    let mut rendered = template::collector_cluster()?;
    cluster::at(&mut rendered, COLLECTOR, collector);
    insert(&mut rendered, "name", json!(COLLECTOR));
    Ok(Some(rendered))
}
