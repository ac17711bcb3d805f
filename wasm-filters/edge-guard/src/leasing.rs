//! Leases of one listener, as this worker carries them between Envoy and [`lease`].

use header_rules::Candidate;
use header_rules::config::LeaseRules;
use lease::{Feed, FeedRequest, Hit, Leases, Ledger, Now, PATH};

use crate::counters::Tally;
use crate::host::leases as host;
use crate::host::{self as envoy, HostError};
use crate::slots::{self, Shared};

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
    /// `cutover_guard_leased`. Requests that a lease served.
    served: Tally,
    /// `cutover_guard_feed_lost`. Questions without a good answer.
    lost: u32,
}

impl Leasing {
    pub(crate) fn configure(rules: &LeaseRules, revision: &str) -> Result<Self, HostError> {
        let routes = rules.routes.iter().map(|route| (route.route.clone(), route.policy.clone())).collect();
        Ok(Self {
            leases: Leases::new(slots::open(rules.slots)?),
            ledger: Ledger::new(routes),
            listener: rules.listener.clone(),
            revision: revision.to_owned(),
            asked: None,
            served: Tally::define("cutover_guard_leased")?,
            lost: envoy::counter("cutover_guard_feed_lost")?,
        })
    }

    /// Serves the request at hand if there is a lease for it. On an error nothing is certain about its headers.
    pub(crate) fn serve(&mut self, candidate: &Candidate<'_>, now: Now) -> Result<(), HostError> {
        let Some(hit) = self.leases.take(&mut Shared, candidate.class, candidate.offer, now) else {
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
        self.served.count();
        Ok(())
    }

    /// Asks what ended, at `asked_ms` by the monotonic clock.
    pub(crate) fn tick(&mut self, asked_ms: u64) -> Result<(), HostError> {
        self.served.tell()?;
        self.leases.set_key(slots::key()?);
        let question = FeedRequest {
            listener: self.listener.clone(),
            revision: self.revision.clone(),
            spent: self.ledger.report(),
        };
        self.asked = None;
        // Names of an edge file have no line breaks; if one had, nothing would be asked and no lease would count.
        let Ok(body) = question.encode() else { return Ok(()) };
        let token = host::post(CLUSTER, PATH, body.as_bytes(), TIMEOUT_MS)?;
        self.asked = Some((token, asked_ms));
        Ok(())
    }

    /// Takes in an answer.
    pub(crate) fn answered(&mut self, token: u32, size: usize, now: Now) -> Result<(), HostError> {
        let Some((_, asked_ms)) = self.asked.take_if(|(asked, _)| *asked == token) else { return Ok(()) };
        let feed = (host::answered_status() == b"200")
            .then(|| host::answered_body(size, MAX_ANSWER_BYTES))
            .flatten()
            .and_then(|body| Feed::decode(std::str::from_utf8(&body).ok()?).ok());
        match feed {
            Some(feed) => {
                self.ledger.answered();
                self.leases.hearing.heard(&self.revision, asked_ms, &feed, now);
                Ok(())
            }
            None => {
                self.ledger.lost();
                envoy::add(self.lost, 1)
            }
        }
    }
}
