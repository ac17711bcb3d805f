//! Collects the observations that the gates judge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use edge_config::Environment;
use edge_config::edge::{GrpcErrors, Percent, WHOLE};
use serde_json::Value;

use super::gate::{Gate, Seen};
use super::log::Log;
use super::{Arguments, IN_FORCE_WITHIN};
use crate::admin::{self, envoy::Stats};
use crate::render;
use crate::status::Sample;

/// The sources, with the counters at the moment when a step came into force.
pub(super) struct Sources {
    envoy: SocketAddr,
    route: String,
    new: String,
    others: Vec<String>,
    before: Stats,
    comparator: Option<(SocketAddr, Option<Compared>)>,
    log: Log,
    /// The gRPC statuses that are failures of the new backend.
    errors: GrpcErrors,
    least: u64,
    /// Whether the new backend has all requests.
    moved: bool,
}

const FILTER: &str = "(^cluster.backend-.*upstream_(rq|cx)_|^cutover.grpc_answers|version_text)";

/// The comparator's counts for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compared {
    /// When the counts began.
    since_ms: u64,
    compared: u64,
    different: u64,
}

impl Compared {
    /// The counts since `before`. A restarted report counts from zero.
    fn since(self, before: Self) -> (u64, u64) {
        if self.since_ms != before.since_ms || self.compared < before.compared {
            return (self.compared, self.different);
        }
        (self.compared - before.compared, self.different.saturating_sub(before.different))
    }
}

impl Sources {
    /// Waits until Envoy has the present file, with `percent` for the new backend, and remembers every counter.
    pub(super) fn begin(
        arguments: &Arguments,
        percent: Percent,
        log: PathBuf,
        environment: Environment<'_>,
    ) -> Result<Self, String> {
        let edge = render::load(&arguments.edge, environment)?;
        let unreachable = |e: std::io::Error| format!("Envoy at {} does not answer ({e})", edge.admin);
        let until = Instant::now() + IN_FORCE_WITHIN;
        let before = loop {
            let stats = Stats::ask(edge.admin, FILTER).map_err(unreachable)?;
            let subscriptions = edge.listeners.keys().map(|name| format!("http.edge-{name}.rds.{name}"));
            let mut all =
                subscriptions.chain(["cluster_manager.cds".to_owned(), "listener_manager.lds".to_owned()]);
            if all.all(|s| stats.text(&format!("{s}.version_text")) == Some(edge.revision.0.as_str())) {
                break stats;
            }
            if Instant::now() >= until {
                return Err(format!(
                    "Envoy did not accept revision {} within {} s; does `cutover run` or `cutover render --watch` follow the file?",
                    edge.revision,
                    IN_FORCE_WITHIN.as_secs()
                ));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        let route = edge.routes.iter().find(|route| route.name == arguments.route);
        let others = route.into_iter().flat_map(|route| &route.destination.shares);
        let others = others.map(|share| share.backend.as_str());
        let others: BTreeSet<&str> = others.filter(|name| *name != arguments.to).collect();
        let kinds = route.into_iter().flat_map(|route| &route.destination.kinds);
        let kinds = kinds.map(|of| of.kind.as_str().to_owned()).collect();
        let others: Vec<String> = others.into_iter().map(str::to_owned).collect();
        let errors: BTreeMap<String, GrpcErrors> =
            edge.backends.iter().map(|(name, backend)| (name.clone(), backend.grpc_errors.clone())).collect();
        let asked = |gate: fn(&Gate) -> bool| arguments.gates.iter().any(gate);
        let comparator = asked(|gate| matches!(gate, Gate::DiffAtMost(_)))
            .then(|| (arguments.comparator_admin, report(arguments.comparator_admin, &arguments.route)));
        Ok(Self {
            envoy: edge.admin,
            errors: errors.get(&arguments.to).cloned().unwrap_or_default(),
            least: arguments.least,
            log: Log::from_now(log, arguments.route.clone(), arguments.to.clone(), kinds, errors)?,
            route: arguments.route.clone(),
            new: arguments.to.clone(),
            others,
            before,
            comparator,
            moved: percent == WHOLE,
        })
    }

    /// The observations since then, and the number of answers of the new backend: by the log on the route, and by
    /// Envoy's counters.
    pub(super) fn look(&mut self) -> Result<(Seen, (u64, u64)), String> {
        let now = Stats::ask(self.envoy, FILTER)
            .map_err(|e| format!("Envoy at {} does not answer ({e}); is the edge running?", self.envoy))?;
        let of = |stats: &Stats| Sample::of(stats, &self.new, &self.errors);
        let counted = of(&now).since(&of(&self.before));
        let unreadable = self.log.read_on().err().map(|error| {
            format!(
                "the access log {} cannot be read ({error}); give its path with --access-log",
                self.log.path().display()
            )
        });
        let shadow = self
            .comparator
            .as_ref()
            .and_then(|(address, before)| Some(report(*address, &self.route)?.since((*before)?)));
        let seen = Seen {
            unreadable,
            new: self.log.of(&self.new, self.least).unwrap_or_default(),
            old: self.others.iter().filter_map(|other| self.log.of(other, self.least)).collect(),
            everywhere: self.log.everywhere(self.least),
            counters: (counted.requests, counted.failures()),
            moved: self.moved,
            shadow,
            agreement: self.log.agreement(),
        };
        Ok((seen, (self.log.answers(), counted.requests)))
    }
}

/// What the comparator says of a route.
fn report(address: SocketAddr, route: &str) -> Option<Compared> {
    let (status, body) = admin::get(address, &format!("/report?route={route}")).ok()?;
    let report: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
    let of = report.get("routes")?.get(route)?;
    let number = |name: &str| of.get(name)?.as_u64();
    Some(Compared {
        since_ms: number("since_ms").unwrap_or_default(),
        compared: number("compared")?,
        different: number("different")?,
    })
}

#[cfg(test)]
mod tests {
    use super::Compared;

    #[test]
    fn a_restarted_report_counts_from_zero() {
        let report = |since_ms, compared, different| Compared { since_ms, compared, different };
        assert_eq!(report(1, 50, 3).since(report(1, 20, 2)), (30, 1));
        assert_eq!(report(2, 50, 3).since(report(1, 20, 2)), (50, 3));
        assert_eq!(report(1, 5, 0).since(report(1, 20, 2)), (5, 0));
    }
}
