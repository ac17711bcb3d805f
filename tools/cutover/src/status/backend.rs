//! The counters of one backend.

use std::time::Duration;

use edge_config::edge::GrpcErrors;

use crate::admin::envoy::Stats;

/// What Envoy has counted for a backend; times cover Envoy's last five seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Answered requests.
    pub requests: u64,
    /// Answers with 5xx, including those that Envoy gave because the backend did not answer.
    pub errors: u64,
    /// gRPC answers whose status is a failure, under the HTTP status 200.
    pub grpc_errors: u64,
    /// Failed connection attempts.
    pub no_connection: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Requests in progress.
    pub active: u64,
    /// The time within which half of the requests were answered, in milliseconds; absent when there was none.
    pub p50_ms: Option<f64>,
    /// The same for 95 of 100 requests.
    pub p95_ms: Option<f64>,
    /// The same for 99 of 100 requests.
    pub p99_ms: Option<f64>,
}

impl Sample {
    /// Reads the counters of `backend`; `failures` are the gRPC statuses that count as failures.
    #[must_use]
    pub fn of(stats: &Stats, backend: &str, failures: &GrpcErrors) -> Self {
        let name = |what: &str| format!("cluster.backend-{backend}.{what}");
        let count = |what: &str| stats.count(&name(what));
        let times = name("upstream_rq_time");
        let quantile = |which: &str| interval(stats.text(&times)?, which);
        Self {
            requests: count("upstream_rq_completed"),
            errors: count("upstream_rq_5xx"),
            grpc_errors: grpc_errors(stats, backend, failures),
            no_connection: count("upstream_cx_connect_fail"),
            timeouts: count("upstream_rq_timeout") + count("upstream_rq_per_try_timeout"),
            active: count("upstream_rq_active"),
            p50_ms: quantile("P50"),
            p95_ms: quantile("P95"),
            p99_ms: quantile("P99"),
        }
    }

    /// The counts since `earlier`. A restarted Envoy counts from zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let restarted = self.requests < earlier.requests;
        let grown = |now: u64, then: u64| if restarted { now } else { now.saturating_sub(then) };
        Self {
            requests: grown(self.requests, earlier.requests),
            errors: grown(self.errors, earlier.errors),
            grpc_errors: grown(self.grpc_errors, earlier.grpc_errors),
            no_connection: grown(self.no_connection, earlier.no_connection),
            timeouts: grown(self.timeouts, earlier.timeouts),
            ..self.clone()
        }
    }

    /// Requests per second.
    #[must_use]
    pub fn rate(&self, over: Duration) -> f64 {
        number(self.requests) / over.as_secs_f64().max(0.001)
    }

    /// Failures of both kinds, HTTP and gRPC.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.errors.saturating_add(self.grpc_errors).min(self.requests)
    }

    /// Failures in percent; nothing when there was no request.
    #[must_use]
    pub fn error_percent(&self) -> Option<f64> {
        (self.requests > 0).then(|| 100.0 * number(self.failures()) / number(self.requests))
    }
}

/// Envoy's flags for gRPC answers that are not counted here: Envoy gave the answer and already counts it as 5xx, or the
/// client did not wait for it.
const COUNTED_OTHERWISE: [&str; 11] = ["UH", "UF", "UO", "UT", "URX", "NR", "NC", "LR", "DC", "DR", "DPE"];

fn grpc_errors(stats: &Stats, backend: &str, failures: &GrpcErrors) -> u64 {
    let prefix = format!("cutover.grpc_answers.backend.backend-{backend}.grpc_status.");
    let counted = |name: &str| {
        let (status, flags) = name.strip_prefix(&prefix)?.split_once(".flags.")?;
        let is_failure = failures.contains(status.parse().ok()?);
        (is_failure && !flags.split(',').any(|flag| COUNTED_OTHERWISE.contains(&flag))).then_some(())
    };
    stats.iter().filter(|(name, _)| counted(name).is_some()).map(|(name, _)| stats.count(name)).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
fn number(count: u64) -> f64 {
    count as f64
}

/// `P95(12.5,14)` gives the quantile of the last interval, then the one since the start.
fn interval(histogram: &str, which: &str) -> Option<f64> {
    let rest = histogram.split(' ').find_map(|part| part.strip_prefix(which)?.strip_prefix('('))?;
    let value: f64 = rest.split(',').next()?.parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_the_last_interval_are_read() {
        let stats = Stats::parse(
            "cutover.grpc_answers.backend.backend-users.grpc_status.13.flags.-: 3\n\
             cutover.grpc_answers.backend.backend-users.grpc_status.5.flags.-: 7\n\
             cutover.grpc_answers.backend.backend-users.grpc_status.14.flags.UF,URX: 9\n\
             cutover.grpc_answers.backend.backend-users.grpc_status.2.flags.DR: 9\n\
             cluster.backend-users.upstream_rq_completed: 40\ncluster.backend-users.upstream_rq_5xx: 2\n\
             cluster.backend-users.upstream_rq_time: P0(1,1) P50(2.5,3) P95(12.5,14) P99(nan,20) P100(30,30)\n",
        );
        let failures = GrpcErrors::default();
        let sample = Sample::of(&stats, "users", &failures);
        assert_eq!((sample.requests, sample.errors, sample.grpc_errors), (40, 2, 3));
        assert_eq!((sample.p50_ms, sample.p95_ms, sample.p99_ms), (Some(2.5), Some(12.5), None));
        assert_eq!(Sample::of(&stats, "legacy", &failures), Sample::default());
        let earlier = Sample { requests: 20, errors: 1, ..Sample::default() };
        assert_eq!(sample.since(&earlier).error_percent(), Some(20.0));
        let before_a_restart = Sample { requests: 1000, errors: 9, ..Sample::default() };
        assert_eq!(sample.since(&before_a_restart).errors, 2);
        assert_eq!(Sample::default().error_percent(), None);
    }
}
