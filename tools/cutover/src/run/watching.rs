//! Puts a changed edge file into force in a running edge.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edge_config::Edge;

use super::programs::{self, surroundings};
use super::supervisor::Adder;
use super::{Plan, ports};
use crate::watch::{Outcome, Watch};
use crate::{admin, out};

/// Follows the edge file until it is dropped.
pub(super) struct Watching(Arc<AtomicBool>);

impl Drop for Watching {
    fn drop(&mut self) {
        // The thread reads it at its next poll. Until then each of its steps leaves a whole configuration.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts to follow the edge file of `plan`.
pub(super) fn start(plan: &Arc<Plan>, adder: Adder) -> Watching {
    let stop = Arc::new(AtomicBool::new(false));
    let comparing = AtomicBool::new(plan.addresses.comparator.is_some());
    let of = Arc::clone(plan);
    let watch = Watch {
        file: plan.edge_file.clone(),
        paths: plan.paths.clone(),
        envoy: plan.envoy.clone(),
        authorizers: vec![plan.addresses.authorizer_admin.address],
        prepare: Box::new(move |edge| compare(&of, &adder, edge, &comparing)),
    };
    let begun_with = plan.edge.revision.0.clone();
    let (of, stopped) = (Arc::clone(plan), Arc::clone(&stop));
    std::thread::spawn(move || {
        let set = |name: &str| std::env::var(name).ok();
        let environment = |name: &str| surroundings(&of.home, &of.beside, name, &set);
        let report = |outcome: &Outcome| {
            out::line!("{}: {outcome}", watch.file.display());
        };
        watch.run(&environment, Some(&begun_with), &stopped, &report);
    });
    Watching(stop)
}

/// Starts the comparator when the first route gets a shadow. It keeps running when the last shadow is removed: copies may
/// be in progress, and its report is still useful.
fn compare(plan: &Plan, adder: &Adder, edge: &Edge, comparing: &AtomicBool) -> Result<(), String> {
    /// It only reads the edge file and listens, which takes a busy machine a second.
    const READY_WITHIN: Duration = Duration::from_secs(10);
    let Some(addresses) = programs::comparator_addresses(edge) else { return Ok(()) };
    if comparing.load(Ordering::Relaxed) {
        return Ok(());
    }
    ports::free(addresses.iter())?;
    adder.add(programs::comparator(plan)?)?;
    // From here on the supervisor keeps it running, and it uses its ports.
    comparing.store(true, Ordering::Relaxed);
    let [_, report] = addresses;
    let until = Instant::now() + READY_WITHIN;
    while !admin::get(report.address, "/healthz").is_ok_and(|(status, _)| status == 200) {
        if Instant::now() >= until {
            return Err(format!(
                "the comparator does not answer at {} within {} s; its log is {}",
                report.address,
                READY_WITHIN.as_secs(),
                plan.home.join("logs/comparator.log").display()
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
