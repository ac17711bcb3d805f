//! The limits on the use of a backend: circuit, retries, ejection, health.

use std::time::Duration;

use crate::edge::{Circuit, Ejection, Health, Protocol, Retries};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

/// Enough for any backend of a product of this size on one machine; a larger one has more endpoints.
const CIRCUIT: Circuit = Circuit { connections: 1_024, waiting: 1_024, requests: 4_096 };

/// One retry repairs a connection that was just closed; more of them only load a backend that is down. At most a fifth of
/// the requests are retries: retries must not overload a backend. A restarted process needs 25 ms to listen again, and a
/// person does not notice 250 ms.
const RETRIES: Retries = Retries {
    attempts: 1,
    budget_percent: 20,
    backoff: Duration::from_millis(25),
    longest_backoff: Duration::from_millis(250),
};

/// Five failures in a row are not chance; half a minute is enough for a restart. At most half of the endpoints are ejected:
/// when most of them fail, the endpoints are not the cause. A backend with one endpoint is therefore never ejected.
const EJECTION: Ejection = Ejection { failures: 5, pause: Duration::from_secs(30), most_percent: 50 };

/// Often enough that a dead endpoint is removed within 15 s (3 × 5 s), and rarely enough to cause no load.
const INTERVAL: Duration = Duration::from_secs(5);
/// A process that needs a second for its health check is not healthy.
const TIMEOUT: Duration = Duration::from_secs(1);
/// One bad answer may be chance.
const UNHEALTHY: u32 = 3;
/// One good answer may be the last before a crash.
const HEALTHY: u32 = 2;

fn count(context: Context<'_>, node: Option<&Node>, what: &str, range: (u64, u64), default: u32) -> u32 {
    node.and_then(|n| reader::number(context, n, what, range.0, range.1))
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(default)
}

fn percent(context: Context<'_>, node: Option<&Node>, what: &str, default: u8) -> u8 {
    node.and_then(|n| reader::number(context, n, what, 1, 100))
        .and_then(|n| u8::try_from(n).ok())
        .unwrap_or(default)
}

fn time(context: Context<'_>, node: Option<&Node>, what: &str, most: u64, default: Duration) -> Duration {
    node.and_then(|n| reader::millis(context, n, what, 1, most)).unwrap_or(default)
}

pub(super) fn circuit(context: Context<'_>, node: Option<&Node>, what: &str) -> Circuit {
    let Some(node) = node else { return CIRCUIT };
    let mut fields = Fields::of(context, node, format!("`circuit` of {what}"));
    let mut one = |name: &'static str, default| {
        count(context, fields.optional(name), &format!("`{name}` of {what}"), (1, 65_535), default)
    };
    let circuit = Circuit {
        connections: one("connections", CIRCUIT.connections),
        waiting: one("waiting", CIRCUIT.waiting),
        requests: one("requests", CIRCUIT.requests),
    };
    fields.finish();
    circuit
}

pub(super) fn retries(context: Context<'_>, node: Option<&Node>, what: &str) -> Retries {
    let Some(node) = node else { return RETRIES };
    let what = format!("`retries` of {what}");
    let mut fields = Fields::of(context, node, &*what);
    let retries = Retries {
        attempts: count(context, fields.optional("attempts"), "`attempts`", (0, 3), RETRIES.attempts),
        budget_percent: percent(
            context,
            fields.optional("budget_percent"),
            "`budget_percent`",
            RETRIES.budget_percent,
        ),
        backoff: time(context, fields.optional("backoff_ms"), "`backoff_ms`", 10_000, RETRIES.backoff),
        longest_backoff: time(
            context,
            fields.optional("longest_backoff_ms"),
            "`longest_backoff_ms`",
            60_000,
            RETRIES.longest_backoff,
        ),
    };
    fields.finish();
    if retries.longest_backoff < retries.backoff {
        let problem = format!("the longest pause of {what} is shorter than the first");
        context.faults.report(node.place, problem, "raise `longest_backoff_ms`, or lower `backoff_ms`");
    }
    retries
}

pub(super) fn ejection(context: Context<'_>, node: Option<&Node>, what: &str) -> Ejection {
    let Some(node) = node else { return EJECTION };
    let mut fields = Fields::of(context, node, format!("`ejection` of {what}"));
    let ejection = Ejection {
        failures: count(context, fields.optional("failures"), "`failures`", (0, 1_000), EJECTION.failures),
        pause: time(context, fields.optional("pause_ms"), "`pause_ms`", 3_600_000, EJECTION.pause),
        most_percent: percent(
            context,
            fields.optional("most_percent"),
            "`most_percent`",
            EJECTION.most_percent,
        ),
    };
    fields.finish();
    ejection
}

pub(super) fn health(context: Context<'_>, node: &Node, what: &str, protocol: Protocol) -> Option<Health> {
    let what = format!("`health` of {what}");
    let mut fields = Fields::of(context, node, &*what);
    let path = match (fields.optional("path"), protocol) {
        (Some(n), Protocol::Http1 | Protocol::Http2 | Protocol::Auto) => {
            let path = reader::text(context, n, &format!("the path of {what}"))?;
            if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
                let problem = format!("the path of {what} is {path:?}");
                context.faults.report(n.place, problem, "write a path, such as /healthz");
            }
            Some(path.to_owned())
        }
        (None, Protocol::Grpc) => None,
        (Some(n), Protocol::Grpc) => {
            let problem = format!("{what} has a path, but gRPC health checks use `grpc.health.v1.Health`");
            context.faults.report(n.place, problem, "remove it");
            None
        }
        (None, Protocol::Http1 | Protocol::Http2 | Protocol::Auto) => {
            context.faults.report(
                node.place,
                format!("{what} has no `path`"),
                "give the path that a healthy endpoint answers with 200: `path: /healthz`",
            );
            None
        }
    };
    let health = Health {
        path,
        interval: time(context, fields.optional("interval_ms"), "`interval_ms`", 600_000, INTERVAL),
        timeout: time(context, fields.optional("timeout_ms"), "`timeout_ms`", 60_000, TIMEOUT),
        unhealthy: count(context, fields.optional("unhealthy"), "`unhealthy`", (1, 100), UNHEALTHY),
        healthy: count(context, fields.optional("healthy"), "`healthy`", (1, 100), HEALTHY),
    };
    fields.finish();
    if health.timeout > health.interval {
        let problem = format!("{what} waits longer for an answer than until the next check");
        context.faults.report(node.place, problem, "raise `interval_ms`, or lower `timeout_ms`");
    }
    Some(health)
}
