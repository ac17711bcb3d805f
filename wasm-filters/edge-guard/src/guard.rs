//! One listener's guard, as one worker has it.

use std::sync::Arc;

use header_rules::{REQUEST_ID, RequestId, RequestIds, Rules, Verdict};
use lease::Now;

use crate::counters::Counters;
use crate::host::{self, Action, HostError};
use crate::leasing::Leasing;

/// The rules of one listener, with the worker's own source of request ids and its own leases at hand.
pub(crate) struct Guard {
    rules: Arc<Rules>,
    ids: RequestIds,
    counters: Counters,
    leasing: Option<Leasing>,
}

/// That a lease will serve a request.
#[cfg(not(target_family = "wasm"))]
pub(crate) struct Promise {
    taken: lease::Taken,
    /// Its position among the leased ones.
    pub(crate) route: usize,
    mint: bool,
}

impl Guard {
    /// A guard by `rules`. Without `leasing`, every request is checked.
    pub(crate) fn new(
        rules: Arc<Rules>,
        counters: Counters,
        leasing: Option<Leasing>,
    ) -> Result<Self, HostError> {
        Ok(Self { rules, ids: RequestIds::new(host::random()?), counters, leasing })
    }

    /// Judges the request at hand and tells the host what to do. On an error nothing is certain about the request,
    /// and it must not go on. `now` is asked when it matters what time it is.
    pub(crate) fn request_headers(
        &mut self,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Action, HostError> {
        let headers = host::request_headers()?;
        match self.rules.judge(&headers) {
            Verdict::Forward(edits) => {
                for removal in &edits.removals {
                    host::remove_request_header(removal.name)?;
                    self.counters.stripped(removal.rule, removal.lines)?;
                }
                if !edits.removals.is_empty() {
                    // Routes may look at any header: the one that was chosen may rest on a forged one.
                    host::choose_route_anew()?;
                }
                let mint = edits.request_id == RequestId::Mint;
                let lease = self.leasing.as_mut().zip(edits.lease);
                if mint || lease.is_some() {
                    let now = now()?;
                    if mint {
                        self.counters.minted()?;
                        host::set_request_header(REQUEST_ID.as_bytes(), &self.ids.mint(now.wall_ms))?;
                    }
                    if let Some((leasing, candidate)) = lease
                        && let Some(taken) = leasing.take(&candidate, now)
                    {
                        leasing.serve(&taken, candidate.route)?;
                    }
                }
                Ok(Action::Continue)
            }
            Verdict::Refuse(refusal) => {
                let reason = refusal.reason;
                if refusal.request_id == RequestId::Mint {
                    self.counters.minted()?;
                    let id = self.ids.mint(now()?.wall_ms);
                    host::set_request_header(REQUEST_ID.as_bytes(), &id)?;
                }
                self.counters.refused(reason)?;
                host::answer(reason.status(), &format!("edge_guard_{}", reason.code()), reason.body())?;
                Ok(Action::Pause)
            }
        }
    }

    /// Whether a lease will serve the request at hand, before anything is done about it. One whose headers have to be
    /// edited first goes the long way.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn promise(
        &mut self,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Option<Promise>, HostError> {
        let Some(leasing) = &mut self.leasing else { return Ok(None) };
        let headers = host::request_headers()?;
        let Verdict::Forward(edits) = self.rules.judge(&headers) else { return Ok(None) };
        let Some(candidate) = edits.lease.filter(|_| edits.removals.is_empty()) else { return Ok(None) };
        let taken = leasing.take(&candidate, now()?);
        let mint = edits.request_id == RequestId::Mint;
        Ok(taken.map(|taken| Promise { taken, route: candidate.route, mint }))
    }

    /// Serves the request at hand as promised.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn keep(
        &mut self,
        promise: &Promise,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Action, HostError> {
        if promise.mint {
            self.counters.minted()?;
            host::set_request_header(REQUEST_ID.as_bytes(), &self.ids.mint(now()?.wall_ms))?;
        }
        if let Some(leasing) = &mut self.leasing {
            leasing.serve(&promise.taken, promise.route)?;
        }
        Ok(Action::Continue)
    }

    /// What it does with leases; `None` when every request is checked.
    pub(crate) const fn leasing(&mut self) -> Option<&mut Leasing> {
        self.leasing.as_mut()
    }

    /// Tells what was counted since the last time.
    #[cfg(target_family = "wasm")]
    pub(crate) fn tell(&mut self) -> Result<(), HostError> {
        self.counters.tell()?;
        self.leasing.as_mut().map_or(Ok(()), Leasing::tell)
    }
}
