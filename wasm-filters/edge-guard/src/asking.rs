//! What ended, as one listener hears of it: the question, its answer, and what leases served meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use header_rules::config::LeaseRules;
use lease::{Feed, FeedRequest, Hearing, Ledger, Now, Pace};

/// How often is asked. With an authorizer that is at most 250 ms behind and an answer within [`TIMEOUT_MS`], what
/// ended is dead within 600 ms, and a lost answer or two fit into a second.
pub(crate) const EVERY_MS: u32 = 200;
/// The next question is better than a late answer.
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

    /// The body of the next question; one that was not answered yet is given up. `None` when it is not time to ask, or
    /// when there is nothing that could be sent: names of an edge file have no line breaks, and if one had, no lease
    /// would count.
    pub(crate) fn question(&mut self) -> Option<String> {
        if !self.pace.is_due() {
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
