//! Which guard a stream belongs to.
//!
//! Envoy runs one module for all plugins that name the same `vm_id`, code and VM configuration: two listeners, or
//! one listener before and after a change, may meet here. Each has its own guard.

use std::cell::RefCell;

use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};

/// How many guards are kept. Two listeners with their last seven configurations: an older one belongs to a
/// listener that was drained long ago. Envoy would tell when it drops one, but also when any stream ends, and
/// being told that costs every request two per cent of its time. A `vm_id` of its own for each revision makes the
/// question moot, as the whole module goes with the revision.
const MAX_GUARDS: usize = 16;

/// The state of this module. A module runs on one worker and is never entered twice at a time.
struct Plugins {
    /// By plugin id, the oldest first. One or two as a rule, so that searching is faster than hashing.
    guards: Vec<(u32, Guard)>,
    /// The stream that was created last and its plugin. Envoy creates a stream's context and hands over its headers
    /// in one go, so no other stream comes between.
    newest: Option<(u32, u32)>,
}

thread_local! {
    static PLUGINS: RefCell<Plugins> = const { RefCell::new(Plugins { guards: Vec::new(), newest: None }) };
}

/// Reads the configuration of a plugin. On `false` Envoy refuses it and keeps what it has.
pub(crate) fn configure(plugin_id: u32) -> bool {
    match Guard::configure() {
        Ok(guard) => {
            host::log(Level::Info, &format!("edge-guard: {guard}"));
            PLUGINS.with_borrow_mut(|plugins| {
                plugins.guards.retain(|(id, _)| *id != plugin_id);
                if plugins.guards.len() == MAX_GUARDS {
                    plugins.guards.remove(0);
                }
                plugins.guards.push((plugin_id, guard));
            });
            true
        }
        Err(error) => {
            host::log(
                Level::Error,
                &format!("edge-guard: wrong plugin configuration: {error}. Render it with `cutover render`."),
            );
            false
        }
    }
}

/// Notes to which plugin a stream belongs.
pub(crate) fn stream_begins(stream_id: u32, plugin_id: u32) {
    PLUGINS.with_borrow_mut(|plugins| plugins.newest = Some((stream_id, plugin_id)));
}

/// Judges the request of a stream and carries the verdict out.
pub(crate) fn request_headers(stream_id: u32) -> Action {
    let judged = PLUGINS.with_borrow_mut(|plugins| {
        let plugin = plugins.newest.filter(|(newest, _)| *newest == stream_id).map(|(_, plugin)| plugin);
        let guard = plugins.guards.iter_mut().find(|(id, _)| Some(*id) == plugin);
        guard.map(|(_, guard)| guard.request_headers())
    });
    match judged {
        Some(Ok(action)) => action,
        Some(Err(error)) => fail(&error.to_string()),
        None => fail("a stream of no configured plugin"),
    }
}

/// Ends a request that could not be edited: letting it go on might let a forged header through.
fn fail(error: &str) -> Action {
    host::log(Level::Error, &format!("edge-guard: {error}"));
    let answered: Result<(), HostError> = host::answer(500, "edge_guard_failed", "Internal server error");
    if answered.is_err() {
        host::trap();
    }
    Action::Pause
}
