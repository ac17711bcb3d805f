//! Where the gates get what they judge.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use edge_config::Environment;
use serde_json::Value;

use super::gate::{Gate, Seen};
use super::{Arguments, IN_FORCE_WITHIN};
use crate::admin::{self, envoy::Stats};
use crate::render;
use crate::status::Sample;

/// Envoy writes less than 4 KB for a request of usual size, and headers end at 60 KB.
const MAX_LINE_BYTES: u64 = 262_144;

/// The counters as they were when a step came into force.
pub(super) struct Sources {
    envoy: SocketAddr,
    route: String,
    new: String,
    others: Vec<String>,
    before: Stats,
    comparator: Option<(SocketAddr, Option<(u64, u64)>)>,
    log: Option<(PathBuf, u64)>,
}

const FILTER: &str = "(^cluster.backend-.*upstream_(rq|cx)_|version_text)";

impl Sources {
    /// Waits until Envoy has the file as it is now, and remembers every counter.
    pub(super) fn begin(
        arguments: &Arguments,
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
        let others = others.filter(|name| *name != arguments.to).map(str::to_owned).collect();
        let asked = |gate: fn(&Gate) -> bool| arguments.gates.iter().any(gate);
        let comparator = asked(|gate| matches!(gate, Gate::DiffAtMost(_)))
            .then(|| (arguments.comparator_admin, report(arguments.comparator_admin, &arguments.route)));
        let log = asked(|gate| matches!(gate, Gate::Agreement)).then(|| {
            let from = std::fs::metadata(&log).map_or(0, |data| data.len());
            (log, from)
        });
        Ok(Self {
            envoy: edge.admin,
            route: arguments.route.clone(),
            new: arguments.to.clone(),
            others,
            before,
            comparator,
            log,
        })
    }

    /// What happened since.
    pub(super) fn look(&self) -> Result<Seen, String> {
        let now = Stats::ask(self.envoy, FILTER).map_err(|e| format!("Envoy does not answer ({e})"))?;
        let since = |backend: &str| Sample::of(&now, backend).since(&Sample::of(&self.before, backend));
        let mut old = Sample::default();
        for other in &self.others {
            let sample = since(other);
            old.requests += sample.requests;
            old.errors += sample.errors;
            old.p95_ms = old.p95_ms.into_iter().chain(sample.p95_ms).reduce(f64::max);
        }
        let shadow = self.comparator.as_ref().and_then(|(address, before)| {
            let ((compared, different), now) = ((*before)?, report(*address, &self.route)?);
            // A comparator that began anew counts from nothing.
            let grown = |now: u64, then: u64| if now < then { now } else { now - then };
            Some((grown(now.0, compared), grown(now.1, different)))
        });
        let agreement = self.log.as_ref().and_then(|(log, from)| agreement(log, *from, &self.route));
        Ok(Seen { new: since(&self.new), old, shadow, agreement })
    }
}

/// Compared and different answers of a route, from the comparator.
fn report(address: SocketAddr, route: &str) -> Option<(u64, u64)> {
    let (status, body) = admin::get(address, &format!("/report?route={route}")).ok()?;
    let told: Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
    let of = told.get("routes")?.get(route)?;
    Some((of.get("compared")?.as_u64()?, of.get("different")?.as_u64()?))
}

/// How many requests of `route` the edge let pass since the log had `from` bytes, and how many of them a backend
/// refused.
fn agreement(log: &Path, from: u64, route: &str) -> Option<(u64, u64)> {
    let mut file = File::open(log).ok()?;
    // A log that was turned over is read from its beginning.
    let from = if file.metadata().ok()?.len() < from { 0 } else { from };
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut input = BufReader::new(file);
    let (mut allowed, mut refused) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).ok()? == 0 {
            return Some((allowed, refused));
        }
        let Ok(told) = serde_json::from_slice::<Value>(&line) else { continue };
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        if text("route") == Some(route) && text("decision") == Some("allow") && text("upstream").is_some() {
            allowed += 1;
            refused += u64::from(matches!(told.get("status").and_then(Value::as_u64), Some(401 | 403)));
        }
    }
}
