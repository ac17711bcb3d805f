//! Leases of one listener, as one worker serves by them.

use std::sync::Arc;

use header_rules::Candidate;
use lease::{Hearing, Hit, Leases, Now, Slots, Taken};

use crate::asking::Spending;
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
    /// Serves out of `slots` on `shelf`, and counts in `spending` and `served`.
    pub(crate) fn new((shelf, slots): (Shelf, Slots), spending: Spending, served: Tally) -> Self {
        Self { leases: Leases::new(slots), shelf, spending, served }
    }

    /// Takes one use of a lease for `candidate`; `None` when it has to be checked.
    pub(crate) fn take(&mut self, candidate: &Candidate<'_>, now: Now) -> Option<Taken> {
        self.leases.take(&mut self.shelf, candidate.class, candidate.offer, now)
    }

    /// Serves the request at hand, of the route at `route`, by a lease; `false` when it has to be checked. On an error
    /// nothing is certain about its headers.
    pub(crate) fn serve(&mut self, taken: &Taken, route: usize) -> Result<bool, HostError> {
        let Some(hit) = taken.hit() else { return Ok(false) };
        let Hit { request_id, reason, subject, session, tenant, headers } = hit;
        // Routes with leases do not look at who the caller is, so the one that was chosen stays.
        for (name, value) in headers {
            host::set_request_header(name, value)?;
        }
        host::note(&LEASE_OF, request_id)?;
        host::note(&REASON, reason)?;
        host::note(&SUBJECT, subject)?;
        host::note(&SESSION, session)?;
        host::note(&TENANT, tenant)?;
        // Last: without it, the request is checked and every header is written over.
        host::note(&DECISION, b"lease")?;
        self.spending.count(route);
        self.served.count()?;
        Ok(true)
    }

    /// Goes by what was heard last.
    pub(crate) fn hear(&mut self, hearing: Arc<Hearing>) {
        self.leases.hearing = hearing;
    }

    /// Looks under another key from now on.
    #[cfg(target_family = "wasm")]
    pub(crate) fn set_key(&mut self, key: [u64; 2]) {
        self.leases.set_key(key);
    }

    /// Tells what was counted since the last time.
    #[cfg(target_family = "wasm")]
    pub(crate) fn tell(&mut self) -> Result<(), HostError> {
        self.served.tell()
    }
}
