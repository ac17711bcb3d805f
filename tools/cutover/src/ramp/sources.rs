//! Where the gates get what they judge.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use edge_config::Environment;
use edge_config::edge::WHOLE;
use serde_json::Value;

use super::gate::{Gate, OnRoute, Seen};
use super::log::Log;
use super::{Arguments, IN_FORCE_WITHIN};
use crate::admin::{self, envoy::Stats};
use crate::render;
use crate::status::Sample;

/// The counters as they were when a step came into force.
pub(super) struct Sources {
    envoy: SocketAddr,
    route: String,
    new: String,
    others: Vec<String>,
    before: Stats,
    comparator: Option<(SocketAddr, Option<(u64, u64)>)>,
    log: Log,
    /// Whether other routes go to the same backends, whose counters then say too little about this one.
    shared: bool,
    /// Whether the new backend has everything.
    moved: bool,
}

const FILTER: &str = "(^cluster.backend-.*upstream_(rq|cx)_|version_text)";

impl Sources {
    /// Waits until Envoy has the file as it is now, with `percent` for the new backend, and remembers every counter.
    pub(super) fn begin(
        arguments: &Arguments,
        percent: u8,
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
                    "Envoy did not take revision {} within {} s; does `cutover run` or `cutover render --watch` follow the file?",
                    edge.revision,
                    IN_FORCE_WITHIN.as_secs()
                ));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        let route = edge.routes.iter().find(|route| route.name == arguments.route);
        let others = route.into_iter().flat_map(|route| route.destination.backends());
        let others: Vec<String> = others.filter(|name| *name != arguments.to).map(str::to_owned).collect();
        let ours = |backend: &str| backend == arguments.to || others.iter().any(|other| other == backend);
        let elsewhere = edge.routes.iter().filter(|route| route.name != arguments.route);
        let shared = elsewhere.flat_map(|route| route.destination.backends()).any(ours);
        let asked = |gate: fn(&Gate) -> bool| arguments.gates.iter().any(gate);
        let comparator = asked(|gate| matches!(gate, Gate::DiffAtMost(_)))
            .then(|| (arguments.comparator_admin, report(arguments.comparator_admin, &arguments.route)));
        Ok(Self {
            envoy: edge.admin,
            log: Log::from_now(log, arguments.route.clone()),
            route: arguments.route.clone(),
            new: arguments.to.clone(),
            others,
            before,
            comparator,
            shared,
            moved: percent == WHOLE,
        })
    }

    /// What happened since.
    pub(super) fn look(&mut self) -> Result<Seen, String> {
        let now = Stats::ask(self.envoy, FILTER).map_err(|e| format!("Envoy does not answer ({e})"))?;
        let since = |backend: &str| Sample::of(&now, backend).since(&Sample::of(&self.before, backend));
        let together = |of: &dyn Fn(&str) -> Sample| {
            self.others.iter().map(|other| of(other)).fold(Sample::default(), |all, one| Sample {
                requests: all.requests + one.requests,
                errors: all.errors + one.errors,
                p95_ms: all.p95_ms.into_iter().chain(one.p95_ms).reduce(f64::max),
                ..all
            })
        };
        let (new, old) = (since(&self.new), together(&since));
        let told = self.log.read_on().is_ok();
        let on_route = match (told, self.shared) {
            (true, _) => {
                OnRoute::Told { new: self.log.of(&self.new), old: together(&|name| self.log.of(name)) }
            }
            (false, true) => OnRoute::Unknown,
            (false, false) => OnRoute::Alone,
        };
        let shadow = self.comparator.as_ref().and_then(|(address, before)| {
            let ((compared, different), now) = ((*before)?, report(*address, &self.route)?);
            // A comparator that began anew counts from nothing.
            let grown = |now: u64, then: u64| if now < then { now } else { now - then };
            Some((grown(now.0, compared), grown(now.1, different)))
        });
        let agreement = told.then(|| self.log.agreement());
        Ok(Seen { new, old, moved: self.moved, on_route, shadow, agreement })
    }
}

/// Compared and different answers of a route, from the comparator.
fn report(address: SocketAddr, route: &str) -> Option<(u64, u64)> {
    let (status, body) = admin::get(address, &format!("/report?route={route}")).ok()?;
    let told: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
    let of = told.get("routes")?.get(route)?;
    Some((of.get("compared")?.as_u64()?, of.get("different")?.as_u64()?))
}
