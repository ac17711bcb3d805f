//! Serves requests of one listener by leases, on one worker.

use std::sync::Arc;

use header_rules::Candidate;
use lease::{FeedState, Hit, Leases, Now, Slots, Taken};

use crate::feed_client::Spending;
use crate::host::{self, HostError, Shelf, Tally};
use crate::note::{DECISION, LEASE_OF, REASON, SESSION, SUBJECT, TENANT};

pub(crate) struct Leasing {
    leases: Leases,
    shelf: Shelf,
    spending: Spending,
    /// `cutover_guard_leased`. Requests that a lease served.
    served: Tally,
}

impl Leasing {
    /// Serves from `slots` on `shelf`, and counts in `spending` and `served`.
    pub(crate) fn new((shelf, slots): (Shelf, Slots), spending: Spending, served: Tally) -> Self {
        Self { leases: Leases::new(slots), shelf, spending, served }
    }

    /// Takes one use of a lease for `candidate`; `None` when it has to be checked.
    pub(crate) fn take(&mut self, candidate: &Candidate<'_>, now: Now) -> Option<Taken> {
        self.leases.take(&mut self.shelf, candidate.class, candidate.offer, now)
    }

    /// Serves the current request, of the route at `route`, by a lease; `false` when it has to be checked. On an error the
    /// state of its headers is unknown.
    pub(crate) fn serve(&mut self, taken: &Taken, route: usize) -> Result<bool, HostError> {
        let Some(hit) = taken.hit() else { return Ok(false) };
        let Hit { request_id, reason, subject, session, tenant, headers } = hit;
        // Routes with leases do not depend on the caller, so the chosen one stays.
        for (name, value) in headers {
            host::set_request_header(name, value)?;
        }
        host::note(&LEASE_OF, request_id)?;
        host::note(&REASON, reason)?;
        host::note(&SUBJECT, subject)?;
        host::note(&SESSION, session)?;
        host::note(&TENANT, tenant)?;
        // Last: without it, the request is checked and every header is overwritten.
        host::note(&DECISION, b"lease")?;
        self.spending.count(route);
        self.served.count()?;
        Ok(true)
    }

    /// Uses the last good answer of the feed.
    pub(crate) fn receive(&mut self, feed: Arc<FeedState>) {
        self.leases.feed = feed;
    }

    /// Uses another key for lookups from now on.
    #[cfg(target_family = "wasm")]
    pub(crate) fn set_key(&mut self, key: [u64; 2]) {
        self.leases.set_key(key);
    }

    /// Reports the counts since the last call.
    #[cfg(target_family = "wasm")]
    pub(crate) fn report(&mut self) -> Result<(), HostError> {
        self.served.report()
    }
}
