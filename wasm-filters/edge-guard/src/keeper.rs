//! The filter behind the authorizer: keeps what was granted, where every worker's guard finds it.

use header_rules::Rules;
use header_rules::config::GuardConfig;
use lease::{Grant, Now, Slots};

use crate::fault::Fault;
use crate::host::{self, HostError, Level, Shelf};

pub(crate) struct Keeper {
    /// The guard's own: a lease is kept under what the guard will look for.
    rules: Rules,
    shelf: Shelf,
    slots: Slots,
    revision: String,
    /// By position: a route's name and its policy's.
    routes: Vec<(String, String)>,
    /// `cutover_guard_leases_kept`. Grants that were kept.
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

    /// Keeps what the authorizer granted with the request at hand. Whatever goes wrong, the request was allowed
    /// already, and the next one is checked.
    pub(crate) fn keep(&self, now: impl Fn() -> Result<Now, HostError>) -> Result<(), HostError> {
        let Some(text) = host::granted()? else { return Ok(()) };
        let headers = host::request_headers()?;
        let Some(candidate) = self.rules.lease(&headers) else { return Ok(()) };
        let grant = match std::str::from_utf8(&text).ok().map(Grant::decode) {
            Some(Ok(grant)) => grant,
            Some(Err(error)) => {
                host::log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
                return Ok(());
            }
            None => return Ok(()),
        };
        // Envoy chose the route that was decided about, the guard's table the one that is looked up: were they two,
        // nothing may be kept. For a moment they are, when Envoy has taken new routes and not yet the new guard, or
        // the other way round: a decision by the rules of one must not outlive it under the rules of the other.
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
