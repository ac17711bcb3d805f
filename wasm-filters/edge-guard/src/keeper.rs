//! The filter behind the authorizer: keeps what was granted, where every worker's guard finds it.

use header_rules::Rules;
use header_rules::config::GuardConfig;
use lease::{FIELD, Grant, Slots};

use crate::clock::Clock;
use crate::host::leases as host;
use crate::host::{self as envoy, HostError, Level};
use crate::plugin::Fault;
use crate::slots::{self, Shared};

pub(crate) struct Keeper {
    /// The guard's own: a lease is kept under what the guard will look for.
    rules: Rules,
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
        Ok(Self {
            rules: Rules::compile(config).map_err(Fault::Config)?,
            slots: slots::open(leases.slots)?,
            revision: config.revision.clone(),
            routes: leases.routes.iter().map(|route| (route.route.clone(), route.policy.clone())).collect(),
            kept: envoy::counter("cutover_guard_leases_kept")?,
        })
    }

    /// Keeps what the authorizer granted with the request at hand. Whatever goes wrong, the request was allowed
    /// already, and the next one is checked.
    pub(crate) fn keep(&mut self) -> Result<(), HostError> {
        let path = format!("metadata\0filter_metadata\0envoy.filters.http.ext_authz\0{FIELD}");
        let Some(text) = host::property(&path)? else { return Ok(()) };
        let headers = envoy::request_headers()?;
        let Some(candidate) = self.rules.lease(&headers) else { return Ok(()) };
        let grant = match std::str::from_utf8(&text).ok().map(Grant::decode) {
            Some(Ok(grant)) => grant,
            Some(Err(error)) => {
                envoy::log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
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
            envoy::log(Level::Error, &format!("edge-guard: a lease of route {} is not kept", grant.route));
            return Ok(());
        }
        self.slots.set_key(slots::key()?);
        self.slots.keep(&mut Shared, candidate.class, candidate.offer, &grant, Clock::read()?.last());
        envoy::add(self.kept, 1)
    }
}
