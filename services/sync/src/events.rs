//! Progress as server-sent events. A reader that was cut off sends the number of its last event (`Last-Event-ID`) and gets
//! the following ones, from whichever replica.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::error::Error;
use crate::jobs::{JobEvent, JobName, Jobs};

/// How many readers there may be. A job has one or two.
const MAX_READERS: usize = 64;

/// How often a reader looks for events of another replica.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a silent stream gets a comment, so that nothing on the way takes it for dead: less than the minute after which
/// balancers commonly do.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The readers of this process.
#[derive(Clone, Debug)]
pub struct Readers(Arc<Semaphore>);

impl Default for Readers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_READERS)))
    }
}

struct Reading {
    jobs: Jobs,
    job: JobName,
    after: i64,
    waiting: std::vec::IntoIter<JobEvent>,
    changes: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

impl Readers {
    /// Answers with the events of `job` after the event `after`, and goes on until the reader or the service ends.
    ///
    /// # Errors
    /// [`Error::Full`] for too many readers.
    pub fn read(&self, jobs: Jobs, job: JobName, after: i64) -> Result<Response, Error> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| Error::Full)?;
        let changes = jobs.changes();
        let reading = Reading { jobs, job, after, waiting: Vec::new().into_iter(), changes, _place: place };
        let events = stream::unfold(reading, |mut reading| async move {
            let event = reading.next().await?;
            let line = Event::default().id(event.number.to_string()).event(event.name).data(event.data);
            Some((Ok::<_, Infallible>(line), reading))
        });
        Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
    }
}

impl Reading {
    /// The next event; nothing when the database fails, so that the reader connects again.
    async fn next(&mut self) -> Option<JobEvent> {
        loop {
            if let Some(event) = self.waiting.next() {
                self.after = event.number;
                return Some(event);
            }
            // Marked before the look: an event that comes meanwhile leads to another look.
            self.changes.mark_unchanged();
            match self.jobs.events(&self.job, self.after).await {
                Ok(events) if events.is_empty() => {
                    // Either a change or the time: both lead to a look.
                    let _ = tokio::time::timeout(LOOK_EVERY, self.changes.changed()).await;
                }
                Ok(events) => self.waiting = events.into_iter(),
                Err(error) => {
                    tracing::warn!(%error, "a reader of events is cut off");
                    return None;
                }
            }
        }
    }
}
