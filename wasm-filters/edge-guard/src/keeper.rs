//! The filter after the authorizer: stores granted leases where every worker's guard finds them, and has the open streams.

use header_rules::Rules;
use header_rules::config::{GuardConfig, LeaseRules};
use lease::{Grant, Now, STREAM_FIELD, Slots};

use crate::fault::Fault;
use crate::host::{self, HostError, Level, Shelf};
use crate::streams::{Beginning, Streams};

/// What an allow leaves behind on one listener.
pub(crate) struct Keeper {
    grants: Option<Grants>,
    streams: Option<Streams>,
}

/// The store of granted leases.
struct Grants {
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
        let grants = config.leases.as_ref().map(|leases| Grants::configure(config, leases)).transpose()?;
        let streams = config.streams.map(Streams::configure).transpose()?;
        if grants.is_none() && streams.is_none() {
            return Err(Fault::NothingToKeep);
        }
        Ok(Self { grants, streams })
    }

    /// The open streams; `None` when nothing ends those of this listener.
    pub(crate) const fn streams(&self) -> Option<&Streams> {
        self.streams.as_ref()
    }

    /// Stores the lease that the authorizer granted with the current request. On any error the request is already allowed,
    /// and the next one is checked.
    pub(crate) fn keep(&self, now: impl Fn() -> Result<Now, HostError>) {
        let kept = self.grants.as_ref().map_or(Ok(()), |grants| grants.keep(now));
        if let Err(error) = kept {
            host::log(Level::Error, &format!("edge-guard: a lease is not stored: {error}"));
        }
    }
}

impl Keeper {
    /// Begins the current request as `stream`, if the authorizer said what ends it. On an error it must not continue.
    pub(crate) fn begin(
        &self,
        stream: u64,
        now_ms: impl Fn() -> Result<u64, HostError>,
    ) -> Result<Beginning, HostError> {
        let Some(text) = host::decided(STREAM_FIELD)? else { return Ok(Beginning::Free) };
        match &self.streams {
            Some(streams) => streams.begin(stream, &text, now_ms()?),
            // Envoy has the new routes a moment before the new keeper.
            None => {
                host::answer(503, "edge_guard_streams_unready", "Not ready for streams", &[])?;
                Ok(Beginning::Refused)
            }
        }
    }
}

impl Grants {
    fn configure(config: &GuardConfig, leases: &LeaseRules) -> Result<Self, Fault> {
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

    fn keep(&self, now: impl Fn() -> Result<Now, HostError>) -> Result<(), HostError> {
        let Some(text) = host::decided(lease::FIELD)? else { return Ok(()) };
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
