//! Sessions that only another program can judge: the legacy backend's check, an issuer's introspection
//! endpoint.
//!
//! However many requests carry one session at the same moment, that program receives one query; its answer,
//! yes or no, is used again for a while. The memory is bounded, with yes and no apart ([`MAX_FOUND`],
//! [`MAX_REFUSED`]): made-up sessions evict no real one. It holds fingerprints, never a token. The number of
//! queries in flight is bounded too, and [`places`](super::places) decides which requests may make one.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use moka::future::Cache;
use prometheus::IntCounter;

use crate::credential::places::{Bounds, Fingerprint, Places};
use crate::failure::Failure;

/// How many confirmed sessions are remembered: the sessions that are busy within the lifetime. One takes about
/// 200 bytes; one with long texts counts as [several](Found::weight).
const MAX_FOUND: u64 = 20_000;

/// How many refusals are remembered. Evicting one costs another query from the strangers' places.
const MAX_REFUSED: u64 = 10_000;

/// How many queries are in flight at once. Half of them are reserved for sessions that were confirmed before.
/// Of the others one address has a quarter, and one provider leaves a quarter to the rest of the world.
pub const BOUNDS: Bounds =
    Bounds { all: 64, strangers: 32, of_network: [8, 16, 24], of_person: 8, waiting: 256 };

/// A confirmed session.
pub trait Found: Clone + Send + Sync + 'static {
    /// The fingerprint of the person's id.
    fn person(&self) -> Fingerprint;

    /// How many entries it takes in the memory.
    fn weight(&self) -> u32 {
        1
    }
}

/// A completed query: a session, or a refusal.
pub type Answer<A, R> = Result<A, R>;

/// Counts queries by outcome. Remembered answers cause no query.
#[derive(Clone, Debug)]
pub struct Questions {
    /// A person was found.
    pub found: IntCounter,
    /// The session was refused.
    pub refused: IntCounter,
    /// There was no answer, or an invalid one.
    pub unavailable: IntCounter,
    /// All places were taken: no query was made.
    pub crowded: IntCounter,
}

impl Questions {
    /// Counts one query that ended in `outcome`.
    pub fn count<A, R>(&self, outcome: &Result<Answer<A, R>, Failure>) {
        match outcome {
            Ok(Ok(_)) => &self.found,
            Ok(Err(_)) => &self.refused,
            Err(_) => &self.unavailable,
        }
        .inc();
    }
}

/// How long answers are used again.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A confirmed session; zero queries each time.
    pub found: Duration,
    /// A refusal; zero queries each time.
    pub refused: Duration,
}

/// Why no session was found.
#[derive(Clone, Copy, Debug)]
enum Nothing<R> {
    Refused(R),
    Unknown(Failure),
}

/// The caller of a query, and how long it can wait.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The fingerprint of its session.
    pub session: Fingerprint,
    /// Its address.
    pub client: Option<IpAddr>,
    /// The one time limit for the wait and the query: Envoy does not wait for the sum of two.
    pub patience: Duration,
}

/// Queries one program about sessions, and remembers its answers.
pub struct Queried<A, R> {
    found: Cache<Fingerprint, A>,
    refused: Cache<Fingerprint, R>,
    lifetimes: Lifetimes,
    places: Places,
    questions: Questions,
    unavailable: Failure,
}

impl<A, R> fmt::Debug for Queried<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queried").field("lifetimes", &self.lifetimes).finish_non_exhaustive()
    }
}

impl<A, R> Queried<A, R>
where
    A: Found,
    R: Copy + fmt::Debug + Send + Sync + 'static,
{
    /// Remembers answers for `lifetimes`, counts queries in `questions`, and fails with `unavailable`.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, questions: Questions, unavailable: Failure) -> Self {
        // A memory whose entries live for no time would not join simultaneous requests.
        let at_least = |lifetime: Duration| lifetime.max(Duration::from_millis(1));
        Self {
            found: Cache::builder()
                .max_capacity(MAX_FOUND)
                .weigher(|_, found: &A| found.weight())
                .time_to_live(at_least(lifetimes.found))
                .build(),
            refused: Cache::builder()
                .max_capacity(MAX_REFUSED)
                .time_to_live(at_least(lifetimes.refused))
                .build(),
            lifetimes,
            places: Places::new(BOUNDS),
            questions,
            unavailable,
        }
    }

    /// The answer about the session of `asker`: a remembered one that `still_counts`, or that of `query`, which
    /// receives the time that is left for it.
    ///
    /// # Errors
    /// The failure of `query`, or the one for callers without a place.
    pub async fn answer<F>(
        &self,
        asker: Asker,
        still_counts: impl Fn(&A) -> bool,
        query: impl FnOnce(Duration) -> F,
    ) -> Result<Answer<A, R>, Failure>
    where
        F: Future<Output = Result<Answer<A, R>, Failure>>,
    {
        let session = asker.session;
        if let Some(fault) = self.refused.get(&session).await {
            return Ok(Err(fault));
        }
        if let Some(found) = self.found.get(&session).await {
            if still_counts(&found) {
                return Ok(Ok(found));
            }
            self.found.invalidate(&session).await;
        }
        let found = self.found.try_get_with(session, self.counted(asker, query)).await;
        if self.lifetimes.found.is_zero() {
            self.found.invalidate(&session).await;
        }
        match found {
            Ok(found) => Ok(Ok(found)),
            Err(nothing) => match *nothing {
                Nothing::Refused(fault) => Ok(Err(fault)),
                Nothing::Unknown(failure) => Err(failure),
            },
        }
    }

    async fn counted<F>(&self, asker: Asker, query: impl FnOnce(Duration) -> F) -> Result<A, Nothing<R>>
    where
        F: Future<Output = Result<Answer<A, R>, Failure>>,
    {
        let Asker { session, client, patience } = asker;
        let asked = Instant::now();
        let Some(_place) = self.places.take(session, client, patience).await else {
            self.questions.crowded.inc();
            return Err(Nothing::Unknown(self.unavailable));
        };
        let outcome = query(patience.saturating_sub(asked.elapsed())).await;
        self.questions.count(&outcome);
        match outcome {
            Ok(Ok(found)) => {
                self.places.prove(session, found.person());
                Ok(found)
            }
            Ok(Err(fault)) => {
                self.places.disprove(&session);
                if !self.lifetimes.refused.is_zero() {
                    self.refused.insert(session, fault).await;
                }
                Err(Nothing::Refused(fault))
            }
            Err(failure) => Err(Nothing::Unknown(failure)),
        }
    }
}
