//! The guard of one listener on one worker.

use std::sync::Arc;

use header_rules::{GuardVerdict, Reason, Refusal, RequestId, RequestIds, Rules};
use lease::Now;

use crate::counters::Counters;
use crate::host::{self, Action, HostError};
use crate::leasing::Leasing;

/// The rules of one listener, with the worker's own source of request ids and its own access to leases.
pub(crate) struct Guard {
    rules: Arc<Rules>,
    refuses_http_1_0: bool,
    ids: RequestIds,
    counters: Counters,
    leasing: Option<Leasing>,
}

impl Guard {
    /// A guard with `rules`. Without `leasing`, every request is checked.
    pub(crate) fn new(
        rules: Arc<Rules>,
        refuses_http_1_0: bool,
        counters: Counters,
        leasing: Option<Leasing>,
    ) -> Result<Self, HostError> {
        Ok(Self { rules, refuses_http_1_0, ids: RequestIds::new(host::random()?), counters, leasing })
    }

    /// Judges the current request and applies the verdict through the host. On an error the state of the request is unknown,
    /// and it must not continue. `now` is called only when the time matters.
    pub(crate) fn request_headers(
        &mut self,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Action, HostError> {
        let headers = host::request_headers()?;
        match self.rules.judge(&headers) {
            GuardVerdict::Forward(edits) if self.refuses_http_1_0 && host::is_http_1_0()? => {
                self.refuse(Refusal { reason: Reason::OldVersion, request_id: edits.request_id }, now)
            }
            GuardVerdict::Forward(edits) => {
                for removal in &edits.removals {
                    host::remove_request_header(removal.name)?;
                    self.counters.stripped(removal.rule, removal.lines)?;
                }
                if !edits.removals.is_empty() {
                    // Routes may match any header: the chosen route may depend on a forged one.
                    host::choose_route_anew()?;
                }
                let mint = edits.request_id == RequestId::Mint;
                let lease = self.leasing.as_mut().zip(edits.lease);
                if mint || lease.is_some() {
                    let now = now()?;
                    if mint {
                        self.counters.minted()?;
                        host::set_request_header(
                            self.rules.request_id_header(),
                            &self.ids.mint(now.wall_ms),
                        )?;
                    }
                    if let Some((leasing, candidate)) = lease
                        && let Some(taken) = leasing.take(&candidate, now)
                    {
                        leasing.serve(&taken, candidate.route)?;
                    }
                }
                Ok(Action::Continue)
            }
            GuardVerdict::Refuse(refusal) => self.refuse(refusal, now),
        }
    }

    /// Answers the current request with a refusal.
    fn refuse(
        &mut self,
        refusal: Refusal,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Action, HostError> {
        let Refusal { reason, request_id } = refusal;
        if request_id == RequestId::Mint {
            self.counters.minted()?;
            host::set_request_header(self.rules.request_id_header(), &self.ids.mint(now()?.wall_ms))?;
        }
        self.counters.refused(reason)?;
        // Envoy removes `Upgrade` and `Connection` from an answer unless the request has them, too.
        for (name, value) in reason.headers() {
            host::set_request_header(name.as_bytes(), value.as_bytes())?;
        }
        let details = format!("edge_guard_{}", reason.code());
        host::answer(reason.status(), &details, reason.body(), reason.headers())?;
        Ok(Action::Pause)
    }

    /// Serves the current request by a lease before anything else happens to it, and returns its route. `None` when it takes
    /// the usual path, for example because its headers have to be edited first. `may` selects the routes by position.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn early(
        &mut self,
        headers: &[u8],
        may: impl Fn(usize) -> bool,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Option<usize>, HostError> {
        let Some(leasing) = &mut self.leasing else { return Ok(None) };
        let GuardVerdict::Forward(edits) = self.rules.judge(headers) else { return Ok(None) };
        let Some(candidate) =
            edits.lease.filter(|candidate| edits.removals.is_empty() && may(candidate.route))
        else {
            return Ok(None);
        };
        if self.refuses_http_1_0 && host::is_http_1_0()? {
            return Ok(None);
        }
        let now = now()?;
        let Some(taken) = leasing.take(&candidate, now) else { return Ok(None) };
        host::keep_order(headers)?;
        if edits.request_id == RequestId::Mint {
            self.counters.minted()?;
            host::set_request_header(self.rules.request_id_header(), &self.ids.mint(now.wall_ms))?;
        }
        let served = leasing.serve(&taken, candidate.route)?;
        Ok(served.then_some(candidate.route))
    }

    /// The leases; `None` when every request is checked.
    pub(crate) const fn leasing(&mut self) -> Option<&mut Leasing> {
        self.leasing.as_mut()
    }

    /// Reports the counts since the last call.
    #[cfg(target_family = "wasm")]
    pub(crate) fn report(&mut self) -> Result<(), HostError> {
        self.counters.report()?;
        self.leasing.as_mut().map_or(Ok(()), Leasing::report)
    }
}
