//! What ended, as one listener hears of it: the question, its answer, and what leases served meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use header_rules::config::LeaseRules;
use lease::{Feed, FeedRequest, Hearing, Ledger, Now, Pace};

/// Milliseconds that a reply may take. Less than the time between two ticks, because the next poll is better than a late
/// reply.
pub(crate) const TIMEOUT_MS: u32 = 150;
/// Twice a full answer.
pub(crate) const MAX_ANSWER_BYTES: usize = 131_072;
/// The authorizer's cluster, as `cutover render` calls it.
pub(crate) const CLUSTER: &str = "authorizer";

/// What leases served, for whoever serves and whoever tells.
#[derive(Clone, Debug)]
pub(crate) struct Spending(Arc<Mutex<Ledger>>);

impl Spending {
    pub(crate) fn new(rules: &LeaseRules) -> Self {
        let routes = rules.routes.iter().map(|route| (route.route.clone(), route.policy.clone())).collect();
        Self(Arc::new(Mutex::new(Ledger::new(routes))))
    }

    /// Counts one request of a route, by its position.
    pub(crate) fn count(&self, route: usize) {
        self.ledger().count(route);
    }

    /// A counter is whole between any two steps, whoever died holding it.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks, what is out, and what was heard.
#[derive(Debug)]
pub(crate) struct Asking {
    listener: String,
    revision: String,
    spending: Spending,
    hearing: Arc<Hearing>,
    /// The question that is out: its token and when it was asked, by the monotonic clock.
    asked: Option<(u64, u64)>,
    pace: Pace,
}

/// What an answer was.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Good: go by this from now on.
    Heard(Arc<Hearing>),
    /// None that anybody could use.
    Lost,
    /// To another question than the one that is out.
    Stale,
}

impl Asking {
    pub(crate) fn new(listener: &str, revision: &str, spending: Spending) -> Self {
        Self {
            listener: listener.to_owned(),
            revision: revision.to_owned(),
            spending,
            hearing: Arc::default(),
            asked: None,
            pace: Pace::default(),
        }
    }

    /// The body of the next poll, at the tick of `now_ms` by the monotonic clock. `None` when it is not time to poll, or
    /// when there is nothing that could be sent: names of an edge file have no line breaks, and if one had, no lease
    /// would count. A poll without a reply within [`TIMEOUT_MS`] is given up.
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

    /// The question was sent as `token`, `asked_ms` by the monotonic clock.
    pub(crate) fn sent(&mut self, token: u64, asked_ms: u64) {
        self.asked = Some((token, asked_ms));
    }

    /// Takes in the answer to `token`: what a good one said, `None` otherwise.
    pub(crate) fn answered(&mut self, token: u64, body: Option<&[u8]>, now: Now) -> Answer {
        let Some((_, asked_ms)) = self.asked.take_if(|(asked, _)| *asked == token) else {
            return Answer::Stale;
        };
        let feed = body.and_then(|body| Feed::decode(std::str::from_utf8(body).ok()?).ok());
        let Some(feed) = feed else {
            self.spending.ledger().lost();
            return Answer::Lost;
        };
        self.spending.ledger().answered();
        self.pace.heard(&self.revision, &feed);
        Arc::make_mut(&mut self.hearing).heard(&self.revision, asked_ms, &feed, now);
        Answer::Heard(Arc::clone(&self.hearing))
    }
}
