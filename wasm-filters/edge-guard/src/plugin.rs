//! Which guard a stream belongs to.
//!
//! Envoy runs one module for all plugins that name the same `vm_id`, code and VM configuration: two listeners, or
//! one listener before and after a change, may meet here. Each has its own guard.

use std::cell::RefCell;

use header_rules::config::PluginConfig;

use crate::guard::{Fault, Guard};
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
    /// The plugins that keep, by id; as many as guards at the most.
    keepers: Vec<u32>,
    /// The stream that was created last and its plugin. Envoy creates a stream's context and hands over its headers
    /// in one go, so no other stream comes between.
    newest: Option<(u32, u32)>,
}

thread_local! {
    static PLUGINS: RefCell<Plugins> = const { RefCell::new(Plugins { guards: Vec::new(), keepers: Vec::new(), newest: None }) };
}

/// Reads the configuration of a plugin. On `false` Envoy refuses it and keeps what it has.
pub(crate) fn configure(plugin_id: u32) -> bool {
    let configured = host::plugin_configuration()
        .map_err(Fault::Host)
        .and_then(|config| serde_json::from_slice(&config).map_err(Fault::Json))
        .and_then(|config| match config {
            PluginConfig::Guard(config) => Guard::configure(*config).map(Some),
            PluginConfig::Keeper { .. } => Ok(None),
        });
    match configured {
        Ok(None) => {
            PLUGINS.with_borrow_mut(|plugins| {
                plugins.keepers.retain(|id| *id != plugin_id);
                if plugins.keepers.len() == MAX_GUARDS {
                    plugins.keepers.remove(0);
                }
                plugins.keepers.push(plugin_id);
            });
            true
        }
        Ok(Some(guard)) => {
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
        if let Some((_, guard)) = plugins.guards.iter_mut().find(|(id, _)| Some(*id) == plugin) {
            return Some(guard.request_headers());
        }
        let keeps = plugin.is_some_and(|plugin| plugins.keepers.contains(&plugin));
        keeps.then(|| {
            // The machine belongs to one listener and one revision, so any guard in it has the rules.
            let kept = plugins.guards.last_mut().map_or(Ok(()), |(_, guard)| guard.keep());
            if let Err(error) = kept {
                host::log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
            }
            Ok(Action::Continue)
        })
    });
    match judged {
        Some(Ok(action)) => action,
        Some(Err(error)) => fail(&error.to_string()),
        None => fail("a stream of no configured plugin"),
    }
}

/// Time to ask what ended.
pub(crate) fn tick(plugin_id: u32) {
    told(plugin_id, "asking what ended", Guard::tick);
}

/// The answer to a call of a plugin.
pub(crate) fn answered(plugin_id: u32, token: u32, size: usize) {
    told(plugin_id, "hearing what ended", |guard| guard.answered(token, size));
}

/// What goes wrong here is not heard, and after a moment without hearing no lease counts.
fn told(plugin_id: u32, what: &str, act: impl FnOnce(&mut Guard) -> Result<(), HostError>) {
    let done = PLUGINS.with_borrow_mut(|plugins| {
        plugins.guards.iter_mut().find(|(id, _)| *id == plugin_id).map(|(_, guard)| act(guard))
    });
    if let Some(Err(error)) = done {
        host::log(Level::Debug, &format!("edge-guard: {what}: {error}"));
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
