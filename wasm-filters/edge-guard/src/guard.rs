//! One listener's guard.

use std::fmt;

use header_rules::config::{Exposure, GuardConfig};
use header_rules::{ConfigError, REQUEST_ID, RequestId, RequestIds, Rules, Verdict};

use crate::counters::Counters;
use crate::host::{self, Action, HostError};

/// The rules of one listener, with the worker's own source of request ids.
pub(crate) struct Guard {
    rules: Rules,
    ids: RequestIds,
    counters: Counters,
    revision: String,
    exposure: Exposure,
}

/// Why a guard could not be configured.
pub(crate) enum Fault {
    /// Not the JSON of a [`GuardConfig`].
    Json(serde_json::Error),
    /// The JSON makes no sense.
    Config(ConfigError),
    /// The host lacks something that the guard needs.
    Host(HostError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
        }
    }
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl Guard {
    /// A guard with the plugin configuration that the host is handing out.
    pub(crate) fn configure() -> Result<Self, Fault> {
        let config = host::plugin_configuration()?;
        let config: GuardConfig = serde_json::from_slice(&config).map_err(Fault::Json)?;
        let rules = Rules::compile(&config).map_err(Fault::Config)?;
        Ok(Self {
            ids: RequestIds::new(host::random()?),
            counters: Counters::define(rules.reserved_rules())?,
            rules,
            revision: config.revision,
            exposure: config.exposure,
        })
    }

    /// Judges the request at hand and tells the host what to do. On an error nothing is certain about the request,
    /// and it must not go on.
    pub(crate) fn request_headers(&mut self) -> Result<Action, HostError> {
        let headers = host::request_headers()?;
        match self.rules.judge(&headers) {
            Verdict::Forward(edits) => {
                for removal in &edits.removals {
                    host::remove_request_header(removal.name)?;
                    if let Some(rule) = removal.rule {
                        self.counters.stripped(rule, removal.lines)?;
                    }
                }
                self.settle(edits.request_id)?;
                Ok(Action::Continue)
            }
            Verdict::Refuse(refusal) => {
                let reason = refusal.reason;
                self.settle(refusal.request_id)?;
                self.counters.refused(reason)?;
                host::answer(reason.status(), &format!("edge_guard_{}", reason.code()), reason.body())?;
                Ok(Action::Pause)
            }
        }
    }

    fn settle(&mut self, request_id: RequestId) -> Result<(), HostError> {
        match request_id {
            RequestId::Keep => Ok(()),
            RequestId::Mint => {
                let id = self.ids.mint(host::now_ms()?);
                host::set_request_header(REQUEST_ID, &id)?;
                self.counters.minted()
            }
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exposure = match self.exposure {
            Exposure::Public => "public",
            Exposure::Internal => "internal",
        };
        write!(f, "revision {} guards an {exposure} listener", self.revision)
    }
}
