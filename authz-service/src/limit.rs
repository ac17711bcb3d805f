//! Rate limits: on permitted requests by caller, and on attempts by address.
//!
//! Each limit is a token bucket in the form of GCRA ([`gcra`]): `burst` requests at once, then `rate` in each
//! period, evenly. Unlike with fixed windows, a period boundary never lets twice as many through.
//!
//! * With Redis, one script checks all limits of a request in one round trip ([`shared`]), so that every
//!   replica counts the same.
//! * Without Redis, and while it does not answer within [`shared::PATIENCE`], each replica counts on its own
//!   ([`local`]) with its share of the limit.
//! * A request is charged to all of its limits or to none.
//! * A caller over a limit is remembered until the moment at which the limit allows one more request. Until
//!   then Redis is not queried for that caller, and an address over its limit is refused before the rest of
//!   its request is read.
//!
//! Order: exhausted addresses → caller → policy → limits. A request that is refused before the limits is
//! charged only to those by address: guessing credentials is limited, and no caller can use up another
//! caller's quota.
//!
//! A lease charges its uses in advance ([`charge::in_advance`]): they count as used from the grant on, so the
//! bound below holds whatever happens to the lease. Unused requests of a lease are lost to its owner, who may
//! be refused that much sooner. Because a lease takes no more than half of the remaining quota, the other
//! half stays for the owner's other requests.
//!
//! The bound: in any time t, whatever Redis does and however often it comes and goes, a limit lets at most
//! 2 × (burst + rate × t) through over all replicas, because the shared and the local counters each hold
//! their own bound all the time. (A burst smaller than the number of replicas counts as one request each.)

pub mod answer;
pub mod charge;
pub mod gcra;
pub mod local;
pub mod quotas;
pub mod shared;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use clock::UnixTime;
use edge_config::edge::{Mode, Per};
use identity::{SubjectId, TenantId};
use prometheus::IntCounter;
use quick_cache::sync::Cache;

use crate::check::CheckInput;
use crate::id_key;
use crate::limit::answer::{Exceeded, Reported};
use crate::limit::charge::{Charged, Counted, Key, Of, Wider};
use crate::limit::local::Local;
use crate::limit::quotas::{Payer, tier_of};
use crate::limit::shared::Shared;
use crate::network::Network;
use crate::shadow::{Shadow, Shadows};
use crate::snapshot::Route;
use crate::who::{Caller, Who};

/// The stable code of a refusal by a limit.
pub const RATE_LIMITED: &str = "rate_limited";

/// How many callers over a limit are remembered. Forgetting one costs a query, but never admits its request.
const REMEMBERED: usize = 10_000;

/// Counters about the counting itself.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Requests that Redis counted.
    pub shared: IntCounter,
    /// Requests that this replica counted by itself.
    pub local: IntCounter,
    /// Requests of a caller or address known to be over a limit.
    pub remembered: IntCounter,
    /// Times that Redis did not answer in time, or not correctly.
    pub failures: IntCounter,
    /// Requests that shared a counter with others, because there was no room for more counters.
    pub overflows: IntCounter,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    at: UnixTime,
    until: UnixTime,
}

/// The result of charging a permitted request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many more requests were charged in advance.
    pub taken: u64,
    /// What is left of each limit that announces it, in the order of the route.
    pub announced: Vec<Reported>,
}

/// Applies limits.
#[derive(Debug)]
pub struct Limits {
    local: Local,
    shared: Option<Shared>,
    /// The keys with a counter of their own in Redis: as many as a replica keeps itself.
    in_redis: Local,
    replicas: u32,
    refused: Cache<Key, Refused>,
    counters: Counters,
}

impl Limits {
    /// Limits that count in `shared`, or in this process alone. `replicas` divide the limits that they cannot
    /// count together.
    #[must_use]
    pub fn new(shared: Option<Shared>, replicas: u32, counters: Counters) -> Self {
        let room = || Local::new(local::ADDRESSES, local::PROVED, counters.overflows.clone());
        let (local, in_redis) = (room(), room());
        Self { local, shared, in_redis, replicas: replicas.max(1), refused: Cache::new(REMEMBERED), counters }
    }

    /// The number of counters in this replica.
    #[must_use]
    pub fn len(&self) -> usize {
        self.local.len()
    }

    /// Whether this replica has no counters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses an address that is known to be over a limit, before any other check.
    ///
    /// # Errors
    /// The limits that were exceeded.
    pub fn before(&self, route: &Route, input: &CheckInput<'_>, now: UnixTime) -> Result<(), Exceeded> {
        if route.limits.is_empty() {
            return Ok(());
        }
        self.known(&by_address(route, input), now)
    }

    /// Charges a permitted request to all of its limits, and takes up to `payer.more` requests in advance: all of
    /// them when there are no limits.
    ///
    /// # Errors
    /// The limits that were exceeded.
    pub async fn charge(
        &self,
        route: &Route,
        input: &CheckInput<'_>,
        payer: Payer<'_>,
        now: UnixTime,
        shadows: &mut Shadows,
    ) -> Result<Spent, Exceeded> {
        if route.limits.is_empty() {
            return Ok(Spent { taken: payer.more, announced: Vec::new() });
        }
        let counted: Vec<Counted<'_>> = route
            .limits
            .iter()
            .filter_map(|rule| {
                let (of, wider) = key_of(rule.per, route, input, payer.who)?;
                Some(Counted::new(rule, tier_of(rule, payer), of, wider))
            })
            .collect();
        self.weigh(counted, payer.more, now, shadows).await
    }

    /// Charges an already refused request to the limits by address.
    ///
    /// # Errors
    /// The limits that were exceeded.
    pub async fn charge_refused(
        &self,
        route: &Route,
        input: &CheckInput<'_>,
        now: UnixTime,
        shadows: &mut Shadows,
    ) -> Result<(), Exceeded> {
        if route.limits.is_empty() {
            return Ok(());
        }
        self.weigh(by_address(route, input), 0, now, shadows).await.map(|_| ())
    }

    async fn weigh(
        &self,
        counted: Vec<Counted<'_>>,
        more: u64,
        now: UnixTime,
        shadows: &mut Shadows,
    ) -> Result<Spent, Exceeded> {
        if counted.is_empty() {
            return Ok(Spent { taken: more, announced: Vec::new() });
        }
        self.known(&counted, now)?;
        let Charged { waits, buckets, taken } = match &self.shared {
            Some(shared) => match self.together(shared, &counted, more, now).await {
                Some(charged) => {
                    self.counters.shared.inc();
                    charged
                }
                None => self.alone(&counted, self.replicas, more, now),
            },
            None => self.alone(&counted, 1, more, now),
        };
        let (mut over, mut announced) = (Vec::new(), Vec::new());
        for ((one, wait), bucket) in counted.into_iter().zip(waits).zip(buckets) {
            if one.rule.announces {
                announced.push(match wait {
                    0 => Reported::left(&one, bucket),
                    _ => Reported::exceeded(&one, wait),
                });
            }
            if wait == 0 {
                continue;
            }
            match one.rule.mode {
                Mode::Enforce => {
                    let until = now.plus(Duration::from_micros(wait));
                    over.push(Reported::exceeded(&one, wait));
                    self.refused.insert(one.key, Refused { at: now, until });
                }
                Mode::Shadow => {
                    shadows.would_refuse(Shadow::Limit(Arc::clone(&one.rule.name)), RATE_LIMITED);
                }
            }
        }
        refuse(over)?;
        Ok(Spent { taken, announced })
    }

    /// Counts in Redis. Keys beyond the room share the counters around them there too.
    async fn together(
        &self,
        shared: &Shared,
        counted: &[Counted<'_>],
        more: u64,
        now: UnixTime,
    ) -> Option<Charged> {
        let counted: Vec<Counted<'_>> = counted.iter().map(|one| self.with_room(one, now)).collect();
        Box::pin(shared.charge(&counted, more, &self.counters.failures)).await
    }

    fn with_room<'r>(&self, one: &Counted<'r>, now: UnixTime) -> Counted<'r> {
        let Counted { rule, tier, key: _, wider } = one;
        Counted { rule, tier, key: self.in_redis.key_elsewhere(one, now), wider: wider.clone() }
    }

    fn alone(&self, counted: &[Counted<'_>], replicas: u32, more: u64, now: UnixTime) -> Charged {
        self.counters.local.inc();
        self.local.charge(counted, replicas, more, now)
    }

    /// Refuses callers known to be over a limit.
    fn known(&self, counted: &[Counted<'_>], now: UnixTime) -> Result<(), Exceeded> {
        let mut over = Vec::new();
        for one in counted.iter().filter(|one| one.rule.mode == Mode::Enforce) {
            let Some(Refused { at, until }) = self.refused.get(&one.key) else { continue };
            // Ignore a refusal dated in the future: the clock was stepped back.
            if at <= now && now < until {
                let wait = u64::try_from(until.since(now).as_micros()).unwrap_or(u64::MAX);
                over.push(Reported::exceeded(one, wait));
            }
        }
        if !over.is_empty() {
            self.counters.remembered.inc();
        }
        refuse(over)
    }
}

fn refuse(over: Vec<Reported>) -> Result<(), Exceeded> {
    if over.is_empty() {
        return Ok(());
    }
    Err(Exceeded::new(over))
}

fn by_address<'r>(route: &'r Route, input: &CheckInput<'_>) -> Vec<Counted<'r>> {
    let rules = route.limits.iter().filter(|rule| rule.per == Per::Address);
    rules
        .map(|rule| {
            let (of, wider) = address(input.client);
            Counted::new(rule, &rule.base, of, wider)
        })
        .collect()
}

/// The counter of a limit by `per` for a request. A caller without the attribute that is counted by is not
/// counted: the edge file is refused when its policy admits no caller with that attribute.
fn key_of(per: Per, route: &Route, input: &CheckInput<'_>, who: &Who) -> Option<(Of, Wider)> {
    let alone = |of: Of| Some((of, Wider::Owners(Vec::new())));
    match (per, who) {
        (Per::Address, _) => Some(address(input.client)),
        (Per::Route, _) => alone(Of::Name(Arc::clone(&route.name))),
        (Per::Subject, Who::Caller(Caller::Person(person))) => {
            within(of_subject(&person.subject), of_tenant(person.tenant.as_ref()))
        }
        (Per::Tenant, Who::Caller(Caller::Person(person))) => {
            of_tenant(person.tenant.as_ref()).and_then(alone)
        }
        (Per::Session, Who::Caller(Caller::Person(person))) => {
            let subject = of_subject(&person.subject);
            // Without a session all requests of the person count as one.
            let of = person
                .session
                .as_ref()
                .map_or(subject.clone(), |session| Of::Id(id_key::of_session(session)));
            within(of, std::iter::once(subject).chain(of_tenant(person.tenant.as_ref())))
        }
        (Per::Service, Who::Caller(Caller::Service(service))) => {
            alone(Of::Name(Arc::from(service.name.as_str())))
        }
        (Per::Tenant, Who::Caller(Caller::Service(service))) => {
            of_tenant(service.tenant.as_ref()).and_then(alone)
        }
        // All keys of a client share its quota: changing a key does not double it.
        (Per::Subject | Per::ApiKey, Who::Caller(Caller::Client(client))) => {
            let tenant = of_tenant(client.tenant.as_ref());
            let of = tenant.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            within(Of::Name(Arc::from(format!("{of}/{}", client.name))), tenant)
        }
        (Per::Tenant, Who::Caller(Caller::Client(client))) => {
            of_tenant(client.tenant.as_ref()).and_then(alone)
        }
        (Per::Subject | Per::Session, Who::Anyone | Who::Caller(Caller::Service(_)))
        | (Per::Tenant, Who::Anyone)
        | (Per::Session, Who::Caller(Caller::Client(_)))
        | (Per::Service, Who::Anyone | Who::Caller(Caller::Person(_)) | Who::Caller(Caller::Client(_)))
        | (Per::ApiKey, Who::Anyone | Who::Caller(Caller::Person(_)) | Who::Caller(Caller::Service(_))) => {
            None
        }
    }
}

fn within(of: Of, owners: impl IntoIterator<Item = Of>) -> Option<(Of, Wider)> {
    Some((of, Wider::Owners(owners.into_iter().collect())))
}

fn of_subject(subject: &SubjectId) -> Of {
    Of::Id(id_key::of_subject(subject))
}

fn of_tenant(tenant: Option<&TenantId>) -> Option<Of> {
    tenant.map(|tenant| Of::Id(id_key::of_tenant(tenant)))
}

/// An address as limits count it, and the networks around it. For IPv6 the first 64 bits count, because a
/// client with one address there has them all.
fn address(client: Option<IpAddr>) -> (Of, Wider) {
    match client.map(Network::all_of) {
        None => (Of::Unknown, Wider::Owners(Vec::new())),
        Some([finest, wider @ ..]) => (Of::Address(finest.first()), Wider::Networks(wider)),
    }
}

#[cfg(test)]
mod tests;
