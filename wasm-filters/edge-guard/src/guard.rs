//! One listener's guard.

use std::fmt;

use header_rules::config::{Exposure, GuardConfig};
use header_rules::{REQUEST_ID, RequestId, RequestIds, Rules, Verdict};

use crate::clock::Clock;
use crate::counters::Counters;
use crate::host::{self, Action, HostError};
use crate::leasing::Leasing;
use crate::plugin::Fault;

/// How often is told what was counted, and asked what ended. With an authorizer that is at most 250 ms behind and an
/// answer within 150 ms, what ended is dead within 600 ms, and a lost answer or two fit into a second.
const TICK_MS: u32 = 200;

/// The rules of one listener, with the worker's own source of request ids.
pub(crate) struct Guard {
    rules: Rules,
    ids: RequestIds,
    clock: Clock,
    counters: Counters,
    revision: String,
    exposure: Exposure,
    leasing: Option<Leasing>,
}

impl Guard {
    /// A guard with `config`.
    pub(crate) fn configure(config: GuardConfig) -> Result<Self, Fault> {
        let rules = Rules::compile(&config).map_err(Fault::Config)?;
        let leases = config.leases.as_ref();
        host::leases::tick_every(TICK_MS)?;
        Ok(Self {
            ids: RequestIds::new(host::random()?),
            clock: Clock::read()?,
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
                    self.counters.stripped(removal.rule, removal.lines)?;
                }
                let mint = edits.request_id == RequestId::Mint;
                let lease = self.leasing.as_mut().zip(edits.lease);
                if mint || lease.is_some() {
                    let now = self.clock.now()?;
                    if mint {
                        self.counters.minted();
                        host::set_request_header(REQUEST_ID.as_bytes(), &self.ids.mint(now.wall_ms))?;
                    }
                    if let Some((leasing, candidate)) = lease {
                        leasing.serve(&candidate, now)?;
                    }
                }
                Ok(Action::Continue)
            }
            Verdict::Refuse(refusal) => {
                let reason = refusal.reason;
                if refusal.request_id == RequestId::Mint {
                    self.counters.minted();
                    let id = self.ids.mint(self.clock.now()?.wall_ms);
                    host::set_request_header(REQUEST_ID.as_bytes(), &id)?;
                }
                self.counters.refused(reason)?;
                host::answer(reason.status(), &format!("edge_guard_{}", reason.code()), reason.body())?;
                Ok(Action::Pause)
            }
        }
    }

    /// Tells what was counted, and asks what ended.
    pub(crate) fn tick(&mut self) -> Result<(), HostError> {
        self.clock = Clock::read()?;
        self.counters.tell()?;
        let asked_ms = self.clock.last().monotonic_ms;
        self.leasing.as_mut().map_or(Ok(()), |leasing| leasing.tick(asked_ms))
    }

    /// Takes in the answer to a call.
    pub(crate) fn answered(&mut self, token: u32, size: usize) -> Result<(), HostError> {
        let now = self.clock.now()?;
        self.leasing.as_mut().map_or(Ok(()), |leasing| leasing.answered(token, size, now))
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
