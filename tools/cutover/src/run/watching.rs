//! A changed edge file takes effect in a running edge.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Plan;
use super::programs::surroundings;
use crate::out;
use crate::watch::{Outcome, Watch};

/// Follows the edge file until it is dropped.
pub(super) struct Watching(Arc<AtomicBool>);

impl Drop for Watching {
    fn drop(&mut self) {
        // The thread sees it at its next look; whatever it is doing until then leaves everything whole.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts to follow the edge file of `plan`.
pub(super) fn start(plan: &Plan) -> Watching {
    let stop = Arc::new(AtomicBool::new(false));
    let watch = Watch {
        file: plan.edge_file.clone(),
        paths: plan.paths.clone(),
        envoy: plan.envoy.clone(),
        authorizers: vec![plan.addresses.authorizer_admin.address],
    };
    let (home, stopped) = (plan.home.clone(), Arc::clone(&stop));
    std::thread::spawn(move || {
        let environment = |name: &str| surroundings(&home, name, &|name| std::env::var(name).ok());
        let told = |outcome: &Outcome| {
            out::line!("{}: {outcome}", watch.file.display());
        };
        watch.run(&environment, false, &stopped, &told);
    });
    Watching(stop)
}
