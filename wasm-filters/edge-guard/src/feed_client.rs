//! Polls the feed of invalidations for one listener: the request, its answer, and the counts of leased requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use header_rules::config::LeaseRules;
use lease::{Feed, FeedRequest, FeedState, Ledger, Now, Pace};

/// The milliseconds that a reply may take. Less than the time between two ticks, because the next poll is better than a
/// late reply.
pub(crate) const TIMEOUT_MS: u32 = 150;
/// The longest answer: twice a full one.
pub(crate) const MAX_ANSWER_BYTES: usize = 131_072;
/// The authorizer's cluster, as named by `cutover render`.
pub(crate) const CLUSTER: &str = "authorizer";

/// The counts of leased requests, shared by the parts that serve and report them.
#[derive(Clone, Debug)]
pub(crate) struct Spending(Arc<Mutex<Ledger>>);

impl Spending {
    pub(crate) fn new(rules: &LeaseRules) -> Self {
        let routes = rules.routes.iter().map(|route| (route.route.clone(), route.policy.clone())).collect();
        Self(Arc::new(Mutex::new(Ledger::new(routes))))
    }

    /// Counts one request of a route, by the route's position.
    pub(crate) fn count(&self, route: usize) {
        self.ledger().count(route);
    }

    /// A counter is consistent between any two steps, even after a panic of its holder.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of the polls: the one in progress, and the last good answer.
#[derive(Debug)]
pub(crate) struct FeedClient {
    listener: String,
    revision: String,
    spending: Spending,
    feed: Arc<FeedState>,
    /// The poll in progress: its token and its time, by the monotonic clock.
    asked: Option<(u64, u64)>,
    pace: Pace,
}

/// The kind of an answer.
#[derive(Debug)]
pub(crate) enum FeedReply {
    /// Good: use this from now on.
    Good(Arc<FeedState>),
    /// Unusable.
    Lost,
    /// To another poll than the one in progress.
    Stale,
}

impl FeedClient {
    pub(crate) fn new(listener: &str, revision: &str, spending: Spending) -> Self {
        Self {
            listener: listener.to_owned(),
            revision: revision.to_owned(),
            spending,
            feed: Arc::default(),
            asked: None,
            pace: Pace::default(),
        }
    }

    /// The body of the next poll, at the tick of `now_ms` by the monotonic clock. `None` when it is not time to poll, or
    /// when it cannot be sent: names of an edge file have no line breaks, and if one had, no lease would be valid. A poll
    /// without a reply within [`TIMEOUT_MS`] is given up.
    pub(crate) fn question(&mut self, now_ms: u64) -> Option<String> {
        let in_flight =
            self.asked.is_some_and(|(_, asked_ms)| now_ms.saturating_sub(asked_ms) < u64::from(TIMEOUT_MS));
        if !self.pace.is_due() || in_flight {
            return None;
        }
        self.asked = None;
        let question = FeedRequest {
            listener: self.listener.clone(),
            revision: self.revision.clone(),
            spent: self.spending.ledger().report(),
        };
        question.encode().ok()
    }

    /// Milliseconds until the next tick.
    pub(crate) const fn next_tick_ms(&self) -> u32 {
        self.pace.next_ms()
    }

    /// Notes that the poll was sent as `token` at `asked_ms` by the monotonic clock.
    pub(crate) fn sent(&mut self, token: u64, asked_ms: u64) {
        self.asked = Some((token, asked_ms));
    }

    /// Reads the answer to `token`; returns the content of a good one, `None` otherwise.
    pub(crate) fn answered(&mut self, token: u64, body: Option<&[u8]>, now: Now) -> FeedReply {
        let Some((_, asked_ms)) = self.asked.take_if(|(asked, _)| *asked == token) else {
            return FeedReply::Stale;
        };
        let feed = body.and_then(|body| Feed::decode(std::str::from_utf8(body).ok()?).ok());
        let Some(feed) = feed else {
            self.spending.ledger().lost();
            return FeedReply::Lost;
        };
        self.spending.ledger().answered();
        self.pace.receive(&self.revision, &feed);
        Arc::make_mut(&mut self.feed).receive(&self.revision, asked_ms, &feed, now);
        FeedReply::Good(Arc::clone(&self.feed))
    }
}
