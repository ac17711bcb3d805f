//! The filter after the authorizer: stores granted leases where every worker's guard finds them.

use header_rules::Rules;
use header_rules::config::GuardConfig;
use lease::{Grant, Now, Slots};

use crate::fault::Fault;
use crate::host::{self, HostError, Level, Shelf};

pub(crate) struct Keeper {
    /// The guard's own rules: a lease is stored under the key that the guard will look up.
    rules: Rules,
    shelf: Shelf,
    slots: Slots,
    revision: String,
    /// By position, the names of a route and of its policy.
    routes: Vec<(String, String)>,
    /// `cutover_guard_leases_kept`. Stored grants.
    kept: u32,
}

impl Keeper {
    pub(crate) fn configure(config: &GuardConfig) -> Result<Self, Fault> {
        let leases = config.leases.as_ref().ok_or(Fault::NothingToKeep)?;
        let (shelf, slots) = Shelf::open(leases, &config.listener, &config.revision)?;
        Ok(Self {
            rules: Rules::compile(config).map_err(Fault::Config)?,
            shelf,
            slots,
            revision: config.revision.clone(),
            routes: leases.routes.iter().map(|route| (route.route.clone(), route.policy.clone())).collect(),
            kept: host::counter("cutover_guard_leases_kept")?,
        })
    }

    /// Stores the lease that the authorizer granted with the current request. On any error the request is already allowed,
    /// and the next one is checked.
    pub(crate) fn keep(&self, now: impl Fn() -> Result<Now, HostError>) -> Result<(), HostError> {
        let Some(text) = host::granted()? else { return Ok(()) };
        let headers = host::request_headers()?;
        let Some(candidate) = self.rules.lease(&headers) else { return Ok(()) };
        let grant = match std::str::from_utf8(&text).ok().map(Grant::decode) {
            Some(Ok(grant)) => grant,
            Some(Err(error)) => {
                host::log(Level::Error, &format!("edge-guard: a lease is not stored: {error}"));
                return Ok(());
            }
            None => return Ok(()),
        };
        // Envoy chose the route of the decision, and the guard's table the one of the lookup: if the two differ, nothing may
        // be stored. They differ for a moment when Envoy has new routes but not yet the new guard, or the reverse: a decision
        // by the rules of one must not stay valid under the rules of the other.
        if grant.revision != self.revision {
            return Ok(());
        }
        let looked_up = self.routes.get(candidate.route);
        if !looked_up.is_some_and(|(route, policy)| *route == grant.route && *policy == grant.policy) {
            host::log(Level::Error, &format!("edge-guard: a lease of route {} is not kept", grant.route));
            return Ok(());
        }
        let mut shelf = self.shelf.clone();
        let slots = shelf.under_its_key(self.slots)?;
        slots.keep(&mut shelf, candidate.class, candidate.offer, &grant, now()?);
        host::add(self.kept, 1)
    }
}
