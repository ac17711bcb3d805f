//! Turns a copy into an outcome: queries both backends, and the reference once more where they differ.

mod ask;

use std::sync::Arc;
use std::time::Duration;

use backend_connection::Connector;
use clock::Clock;
use edge_config::Edge;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::compare::{Difference, compare, unanswered};
use crate::copy::Copy;
use crate::edge_file::EdgeFile;
use crate::judge::Open;
use crate::ledger::{Dropped, Ledger, Outcome, Period, Sample};
use crate::overlooked::Overlooked;
use crate::redact::{Redactor, Secrets};
use crate::wire::ReadError;
use ask::ask;

/// The most waiting copies. At 100 a second they cover the last two and a half seconds. More would compare outdated
/// answers, and hold more credentials in memory.
pub const QUEUE: usize = 256;

/// The most comparisons at one time: each queries two backends, and a busy backend must not receive more queries.
const WORKERS: usize = 8;

/// The longest wait of a copy. After a longer one its identity may expire before the last answer (60 s), and the data that
/// it requests has changed.
const OLDEST: Duration = Duration::from_secs(10);

/// The pause before the reference is queried again: a little more than a second, the unit of most clocks in answers.
const PAUSE: Duration = Duration::from_millis(1100);

/// How often the reference is queried again: once would miss a random choice between two values half of the time.
const LOOKS: usize = 2;

/// How long comparisons may continue after the stop: less than the supervisor's limit of 10 s.
const DRAIN: Duration = Duration::from_secs(3);

/// The shared state of all comparisons.
#[derive(Debug)]
pub struct Worker {
    /// The edge in force.
    pub edge_file: EdgeFile,
    /// The counts.
    pub ledger: Arc<Ledger>,
    /// Connects to the backends.
    pub connector: Connector,
    /// Removes credentials from samples.
    pub redactor: Redactor,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Compares copies until the sender is dropped. Then it drops the waiting copies and gives those in progress a little time.
pub async fn run(worker: Arc<Worker>, mut copies: mpsc::Receiver<Copy>, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(WORKERS));
    let mut under_way = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        // A slot first: a copy without a worker stays in the queue, where it is counted and bounded.
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            Some((slot, copies.recv().await?))
        };
        let next = tokio::select! {
            next = next => next,
            () = &mut stop => None,
        };
        let Some((slot, copy)) = next else { break };
        while under_way.try_join_next().is_some() {}
        let worker = Arc::clone(&worker);
        under_way.spawn(async move {
            worker.one(&copy).await;
            drop(slot);
        });
    }
    copies.close();
    while let Ok(copy) = copies.try_recv() {
        worker.ledger.dropped(&copy.route, copy.period, Dropped::Stopping);
    }
    let rest = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, rest).await.is_err() {
        tracing::warn!("comparisons were still in progress {DRAIN:?} after the stop; they are aborted");
    }
}

impl Worker {
    async fn one(&self, copy: &Copy) {
        let edge = self.edge_file.current();
        // Another version of a backend begins another period, and this copy is its first.
        let mut period = copy.period;
        match self.compared(copy, &edge, &mut period).await {
            Ok(outcome) => self.ledger.compared(&copy.route, period, outcome),
            Err(why) => self.ledger.dropped(&copy.route, period, why),
        }
    }

    async fn compared(&self, copy: &Copy, edge: &Edge, period: &mut Period) -> Result<Outcome, Dropped> {
        if copy.received.elapsed() > OLDEST {
            return Err(Dropped::TooOld);
        }
        let route = edge.routes.iter().find(|route| route.name == copy.route);
        // It existed when the copy arrived: the edge file has changed since.
        let names = route.and_then(|route| Some((route.reference()?, route.shadow.as_deref()?)));
        let (reference_name, shadow_name) = names.ok_or(Dropped::TooOld)?;
        let overlooked = Overlooked::on(edge.comparator.as_ref(), &copy.route);
        let version_header =
            edge.comparator.as_ref().and_then(|comparator| comparator.version_header.as_deref());
        let asked = |name| async move {
            let mut answer = ask(edge, &self.connector, name, copy).await?;
            let version = version_header.and_then(|header| answer.header(header)).map(<[u8]>::to_vec);
            overlooked.strip(&mut answer);
            Ok::<(Answer, Option<Vec<u8>>), ReadError>((answer, version))
        };
        let (reference, shadow) = tokio::join!(asked(reference_name), asked(shadow_name));
        let (reference, reference_version) = reference.map_err(|error| dropped(&error))?;
        let (shadow, shadow_version) = match shadow {
            Ok((shadow, version)) => (Ok(shadow), version),
            Err(error) => (Err(error), None),
        };
        let versions: Vec<(&str, &[u8])> =
            [(reference_name, &reference_version), (shadow_name, &shadow_version)]
                .into_iter()
                .filter_map(|(name, version)| Some((name, version.as_deref()?)))
                .collect();
        *period = self.ledger.answered(&copy.route, *period, &versions, self.clock.now());
        let period = *period;
        let (shadow, comparison) = match shadow {
            Ok(shadow) => {
                let comparison = compare(&reference, &shadow);
                (Some(shadow), comparison)
            }
            Err(error @ (ReadError::Stream | ReadError::TooLarge | ReadError::Unaskable)) => {
                return Err(dropped(&error));
            }
            Err(error) => (None, unanswered(&error.to_string())),
        };
        // A session's id and a signed identity open nothing from outside, but they do not belong into a report.
        let identity = edge.identity.session.iter().chain(&edge.identity.signed).map(|name| &**name);
        let keys = edge.api_keys.iter().flat_map(|keys| keys.own_headers());
        let key_headers: Vec<&str> = keys.chain(identity).collect();
        let secrets = {
            let answers: Vec<&Answer> = [Some(&reference), shadow.as_ref()].into_iter().flatten().collect();
            Secrets::of(&copy.target, &copy.lines, &key_headers, &answers)
        };
        let now = self.clock.now();
        let mut open = self.ledger.noise(&copy.route, period, |noise| {
            Some(Open::new(comparison.differences, overlooked, noise, now))
        });
        for _ in 0..LOOKS {
            let Some(open) = &mut open else { break };
            let now = self.clock.now();
            if !self.ledger.noise(&copy.route, period, |noise| open.needs_a_look(noise, now)) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            self.ledger.asked_again(&copy.route, period);
            let (again, _) = asked(reference_name).await.map_err(|error| dropped(&error))?;
            let lesson = open.look(&reference, shadow.as_ref(), &again);
            let now = self.clock.now();
            let shown: Vec<String> =
                lesson.noise.iter().map(|(_, place)| self.redactor.place(place, &secrets)).collect();
            self.ledger.noise(&copy.route, period, |noise| {
                for (key, shown) in lesson.noise.into_iter().zip(shown) {
                    noise.learn(key, shown, now);
                }
                for key in lesson.agreed {
                    noise.agreed(key, now);
                }
            });
        }
        let open = open.unwrap_or_default();
        if open.differences.is_empty() && open.moved {
            return Err(Dropped::Moved);
        }
        let mut kinds: Vec<_> = open.differences.iter().map(|difference| difference.kind).collect();
        kinds.sort();
        kinds.dedup();
        let sample = self.sample(copy, &edge.request_id.header, &open.differences, &secrets);
        Ok(Outcome { kinds, sample, notes: comparison.notes, noise: open.noise, ignored: open.ignored })
    }

    /// `id_header` is the header with the request id.
    fn sample(
        &self,
        copy: &Copy,
        id_header: &str,
        differences: &[Difference],
        secrets: &Secrets,
    ) -> Option<Sample> {
        (!differences.is_empty()).then(|| Sample {
            at_ms: self.clock.now().millis(),
            request_id: copy.request_id(id_header),
            method: copy.method(),
            target: self.redactor.target(&copy.target, secrets),
            differences: differences.iter().map(|one| self.redactor.difference(one, secrets)).collect(),
        })
    }
}

/// The reason to drop a copy without an answer of the reference.
fn dropped(error: &ReadError) -> Dropped {
    match error {
        ReadError::Stream => Dropped::Stream,
        ReadError::TooLarge => Dropped::TooLarge,
        ReadError::Unaskable => Dropped::Unaskable,
        ReadError::Connection(_) | ReadError::Http2(_) | ReadError::Closed | ReadError::Malformed(_) => {
            Dropped::ReferenceUnanswered
        }
    }
}
