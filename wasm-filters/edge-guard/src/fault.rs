//! Why a plugin could not be configured.

use std::fmt;

use header_rules::ConfigError;

use crate::host::HostError;

pub(crate) enum Fault {
    /// The text is not the JSON of a [`PluginConfig`](header_rules::config::PluginConfig).
    Json(serde_json::Error),
    /// The configuration is invalid.
    Config(ConfigError),
    /// The host lacks a needed call.
    Host(HostError),
    /// A keeper of a listener without leases and open streams.
    NothingToKeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::NothingToKeep => f.write_str(
                "no route of this listener has leases or streams that end, so a keeper is useless",
            ),
        }
    }
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}
