//! One listener's guard.

use std::fmt;

use header_rules::config::{Exposure, GuardConfig};
use header_rules::{ConfigError, REQUEST_ID, RequestId, RequestIds, Rules, Verdict};

use crate::counters::Counters;
use crate::host::{self, Action, HostError};
use crate::leasing::Leasing;

/// The rules of one listener, with the worker's own source of request ids.
pub(crate) struct Guard {
    rules: Rules,
    ids: RequestIds,
    counters: Counters,
    revision: String,
    exposure: Exposure,
    leasing: Option<Leasing>,
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
    /// A guard with `config`.
    pub(crate) fn configure(config: GuardConfig) -> Result<Self, Fault> {
        let rules = Rules::compile(&config).map_err(Fault::Config)?;
        let leases = config.leases.as_ref();
        Ok(Self {
            ids: RequestIds::new(host::random()?),
            counters: Counters::define(rules.reserved_rules())?,
            rules,
            leasing: leases.map(|leases| Leasing::configure(leases, &config.revision)).transpose()?,
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
                if let (Some(leasing), Some(candidate)) = (&mut self.leasing, &edits.lease) {
                    leasing.serve(candidate)?;
                }
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

    /// Keeps what was granted with the request at hand, which the guard has let through before.
    pub(crate) fn keep(&mut self) -> Result<(), HostError> {
        let Some(leasing) = &mut self.leasing else { return Ok(()) };
        let headers = host::request_headers()?;
        match self.rules.lease(&headers) {
            Some(candidate) => leasing.keep(&candidate),
            None => Ok(()),
        }
    }

    /// Asks what ended.
    pub(crate) fn tick(&mut self) -> Result<(), HostError> {
        self.leasing.as_mut().map_or(Ok(()), Leasing::tick)
    }

    /// Takes in the answer to a call.
    pub(crate) fn answered(&mut self, token: u32, size: usize) -> Result<(), HostError> {
        self.leasing.as_mut().map_or(Ok(()), |leasing| leasing.answered(token, size))
    }

    fn settle(&mut self, request_id: RequestId) -> Result<(), HostError> {
        match request_id {
            RequestId::Keep => Ok(()),
            RequestId::Mint => {
                let id = self.ids.mint(host::now_ms()?);
                host::set_request_header(REQUEST_ID.as_bytes(), &id)?;
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
