//! What this machine is.
//!
//! `cutover render` gives guard and keeper of each listener and revision a machine of their own. So nobody has to ask to
//! which plugin a stream belongs: being told would be one more call into the module for every request, and each
//! takes about a microsecond.

use std::cell::RefCell;
use std::fmt;

use header_rules::ConfigError;
use header_rules::config::PluginConfig;

use crate::guard::Guard;
use crate::host::{self, Action, HostError, Level};
use crate::keeper::Keeper;

/// What the plugin of this machine does.
enum Role {
    Guard(Box<Guard>),
    Keeper(Box<Keeper>),
}

/// Why a plugin could not be configured.
pub(crate) enum Fault {
    /// Not the JSON of a [`PluginConfig`].
    Json(serde_json::Error),
    /// The JSON makes no sense.
    Config(ConfigError),
    /// The host lacks something that is needed.
    Host(HostError),
    /// A keeper without anything to keep.
    NothingToKeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::NothingToKeep => {
                f.write_str("no route of this listener has leases, so there is nothing to keep")
            }
        }
    }
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

thread_local! {
    /// The plugin that was configured last, and its id. When a listener is replaced by one of the same revision, Envoy
    /// configures the same rules in the same machine once more; requests of the old listener may be judged by either.
    static PLUGIN: RefCell<Option<(u32, Role)>> = const { RefCell::new(None) };
}

/// Reads the configuration of a plugin. On `false` Envoy refuses it and keeps what it has.
pub(crate) fn configure(plugin_id: u32) -> bool {
    let configured = host::plugin_configuration()
        .map_err(Fault::Host)
        .and_then(|config| serde_json::from_slice(&config).map_err(Fault::Json))
        .and_then(|config| match config {
            PluginConfig::Guard(config) => {
                Guard::configure(*config).map(|guard| Role::Guard(Box::new(guard)))
            }
            PluginConfig::Keeper(config) => {
                Keeper::configure(&config).map(|keeper| Role::Keeper(Box::new(keeper)))
            }
        });
    match configured {
        Ok(role) => {
            if let Role::Guard(guard) = &role {
                host::log(Level::Info, &format!("edge-guard: {guard}"));
            }
            PLUGIN.with_borrow_mut(|plugin| *plugin = Some((plugin_id, role)));
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

/// Judges the request at hand and carries the verdict out, or keeps what was granted with it.
pub(crate) fn request_headers() -> Action {
    let judged = PLUGIN.with_borrow_mut(|plugin| match plugin {
        Some((_, Role::Guard(guard))) => Some(guard.request_headers()),
        Some((_, Role::Keeper(keeper))) => {
            if let Err(error) = keeper.keep() {
                host::log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
            }
            Some(Ok(Action::Continue))
        }
        None => None,
    });
    match judged {
        Some(Ok(action)) => action,
        Some(Err(error)) => fail(&error.to_string()),
        None => fail("a stream before any configuration"),
    }
}

/// Time to tell what was counted, and to ask what ended.
pub(crate) fn tick(plugin_id: u32) {
    told(plugin_id, "asking what ended", Guard::tick);
}

/// The answer to a call of a plugin.
pub(crate) fn answered(plugin_id: u32, token: u32, size: usize) {
    told(plugin_id, "hearing what ended", |guard| guard.answered(token, size));
}

/// What goes wrong here is not heard, and after a moment without hearing no lease counts.
fn told(plugin_id: u32, what: &str, act: impl FnOnce(&mut Guard) -> Result<(), HostError>) {
    let done = PLUGIN.with_borrow_mut(|plugin| match plugin {
        Some((id, Role::Guard(guard))) if *id == plugin_id => Some(act(guard)),
        Some((_, Role::Guard(_) | Role::Keeper(_))) | None => None,
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
