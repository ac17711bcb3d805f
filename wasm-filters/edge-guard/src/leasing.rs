//! Leases of one listener, as this worker carries them between Envoy and [`lease`].

use header_rules::Candidate;
use header_rules::config::LeaseRules;
use lease::{FIELD, Feed, FeedRequest, Grant, Hit, Leases, Ledger, Now, PATH, Store};

use crate::host::leases as host;
use crate::host::{self as envoy, HostError, Level};

/// How often is asked what ended. With an authorizer that is at most 250 ms behind and an answer within 150 ms, what
/// ended is dead within 600 ms, and a lost answer or two fit into a second.
const TICK_MS: u32 = 200;
/// The next question is better than a late answer.
const TIMEOUT_MS: u32 = 150;
/// Twice a full answer.
const MAX_ANSWER_BYTES: usize = 131_072;
/// The authorizer's cluster, as `cutover render` calls it.
const CLUSTER: &str = "authorizer";

/// Filter state that makes Envoy pass over the authorizer; its value is what the access log calls the decision.
const MARK: (&str, &[u8]) = ("cutover.decision", b"lease");

pub(crate) struct Leasing {
    leases: Leases,
    ledger: Ledger,
    listener: String,
    revision: String,
    /// The question that is out: its token and when it was asked, by the monotonic clock.
    asked: Option<(u32, u64)>,
    counters: Counters,
}

struct Counters {
    /// `cutover_guard_leased`. Requests that a lease served.
    served: u32,
    /// `cutover_guard_leases_kept`. Grants that were kept.
    kept: u32,
    /// `cutover_guard_feed_lost`. Questions without a good answer.
    lost: u32,
}

/// Envoy's shared data, which every worker with the same `vm_id` sees.
struct Shared;

impl Store for Shared {
    fn read(&mut self, slot: u32) -> Option<(Vec<u8>, u32)> {
        host::shared(&slot.to_le_bytes()).ok().flatten()
    }

    fn write(&mut self, slot: u32, bytes: &[u8], version: Option<u32>) -> bool {
        host::share(&slot.to_le_bytes(), bytes, version.unwrap_or(0)).unwrap_or(false)
    }
}

const KEY: &[u8] = b"key";

/// The key that slots are picked under: the first worker makes it, the others take it. Two that start in the same
/// moment may differ until the next tick; that costs checks, no more.
fn key(mint: bool) -> Result<[u64; 2], HostError> {
    if let Some((bytes, _)) = host::shared(KEY)?
        && let ([a, b], []) = bytes.as_chunks::<8>()
    {
        return Ok([u64::from_le_bytes(*a), u64::from_le_bytes(*b)]);
    }
    if mint {
        host::share(KEY, &envoy::random::<16>()?, 0)?;
    }
    if mint { key(false) } else { Ok([0; 2]) }
}

fn now() -> Result<Now, HostError> {
    Ok(Now { wall_ms: envoy::now_ms()?, monotonic_ms: host::monotonic_ms()? })
}

impl Leasing {
    pub(crate) fn configure(rules: &LeaseRules, revision: &str) -> Result<Self, HostError> {
        host::tick_every(TICK_MS)?;
        let routes = rules.routes.iter().map(|route| (route.route.clone(), route.policy.clone())).collect();
        Ok(Self {
            leases: Leases::new(rules.slots, key(true)?),
            ledger: Ledger::new(routes),
            listener: rules.listener.clone(),
            revision: revision.to_owned(),
            asked: None,
            counters: Counters {
                served: envoy::counter("cutover_guard_leased")?,
                kept: envoy::counter("cutover_guard_leases_kept")?,
                lost: envoy::counter("cutover_guard_feed_lost")?,
            },
        })
    }

    /// Serves the request at hand if there is a lease for it. On an error nothing is certain about its headers.
    pub(crate) fn serve(&mut self, candidate: &Candidate<'_>) -> Result<(), HostError> {
        let Some(hit) = self.leases.take(&mut Shared, candidate.class, candidate.offer, now()?) else {
            return Ok(());
        };
        let Hit { request_id, reason, subject, session, tenant, headers } = hit;
        for (name, value) in headers {
            envoy::set_request_header(name, value)?;
        }
        host::set_state("cutover.lease_of", request_id)?;
        host::set_state("cutover.reason", reason)?;
        host::set_state("cutover.subject", subject)?;
        host::set_state("cutover.session", session)?;
        host::set_state("cutover.tenant", tenant)?;
        // Last: without the mark, the request is checked and every header is written over.
        host::set_state(MARK.0, MARK.1)?;
        self.ledger.count(candidate.route);
        envoy::add(self.counters.served, 1)
    }

    /// Keeps what the authorizer granted with the request at hand. Whatever goes wrong, the request was allowed
    /// already, and the next one is checked.
    pub(crate) fn keep(&mut self, candidate: &Candidate<'_>) -> Result<(), HostError> {
        let path = format!("metadata\0filter_metadata\0envoy.filters.http.ext_authz\0{FIELD}");
        let Some(text) = host::property(&path)? else { return Ok(()) };
        let grant = match std::str::from_utf8(&text).ok().map(Grant::decode) {
            Some(Ok(grant)) => grant,
            Some(Err(error)) => {
                envoy::log(Level::Error, &format!("edge-guard: a lease is not kept: {error}"));
                return Ok(());
            }
            None => return Ok(()),
        };
        // Envoy chose the route that was decided about, the guard's table the one that is looked up: were they two,
        // nothing may be kept.
        if self.ledger.names(candidate.route) != Some((&grant.route, &grant.policy)) {
            envoy::log(Level::Error, &format!("edge-guard: a lease of route {} is not kept", grant.route));
            return Ok(());
        }
        self.leases.keep(&mut Shared, candidate.class, candidate.offer, &grant, now()?);
        envoy::add(self.counters.kept, 1)
    }

    /// Asks what ended.
    pub(crate) fn tick(&mut self) -> Result<(), HostError> {
        self.leases.set_key(key(false)?);
        let question = FeedRequest {
            listener: self.listener.clone(),
            revision: self.revision.clone(),
            spent: self.ledger.report(),
        };
        self.asked = None;
        // Names of an edge file have no line breaks; if one had, nothing would be asked and no lease would count.
        let Ok(body) = question.encode() else { return Ok(()) };
        let asked_ms = host::monotonic_ms()?;
        let token = host::post(CLUSTER, PATH, body.as_bytes(), TIMEOUT_MS)?;
        self.asked = Some((token, asked_ms));
        Ok(())
    }

    /// Takes in an answer.
    pub(crate) fn answered(&mut self, token: u32, size: usize) -> Result<(), HostError> {
        let Some((_, asked_ms)) = self.asked.take_if(|(asked, _)| *asked == token) else { return Ok(()) };
        let feed = (host::answered_status() == b"200")
            .then(|| host::answered_body(size, MAX_ANSWER_BYTES))
            .flatten()
            .and_then(|body| Feed::decode(std::str::from_utf8(&body).ok()?).ok());
        match feed {
            Some(feed) => {
                self.ledger.answered();
                self.leases.hearing.heard(&self.revision, asked_ms, &feed, now()?);
                Ok(())
            }
            None => {
                self.ledger.lost();
                envoy::add(self.counters.lost, 1)
            }
        }
    }
}
