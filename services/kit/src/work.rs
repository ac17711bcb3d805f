//! What runs beside the routes of a service: workers of an outbox, consumers of events, schedules. It ends after the routes have,
//! and finishes what it has begun.
//!
//! A part that is stopped in the middle loses nothing: its event or row is taken again. But it is taken again only when a
//! lease or a connection has ended, and what lies outside the database may happen twice. So a stop waits for it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long running work has to end: a delivery's limit of 20 seconds (`DELIVER_WITHIN` of the package `events`), and some for
/// its record. A delivery that takes longer by a limit of its own (`Deliver::within`) is dropped then, as by a kill.
pub const STOP_WITHIN: Duration = Duration::from_secs(25);

/// The running work of a service. Clones share it. When the last one is dropped, the work ends, too.
#[derive(Clone, Debug)]
pub struct Work {
    stop: watch::Sender<bool>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Default for Work {
    fn default() -> Self {
        Self { stop: watch::Sender::new(false), tasks: Arc::default() }
    }
}

impl Work {
    /// Runs `part` until it ends. It gets the signal that it has to: `true`, or the end of the channel.
    pub fn run<F>(&self, part: impl FnOnce(watch::Receiver<bool>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.lock().push(tokio::spawn(part(self.stop.subscribe())));
    }

    /// Runs `part` until the stop, at which it is dropped: for work that may end at any moment, such as the deletion of old rows.
    pub fn run_until_stopped(&self, part: impl Future<Output = ()> + Send + 'static) {
        self.run(|mut stop| async move {
            tokio::select! {
                () = part => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Ends the work. What has begun is finished, for at most [`STOP_WITHIN`].
    pub async fn stop(&self) {
        self.stop_within(STOP_WITHIN).await;
    }

    async fn stop_within(&self, patience: Duration) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let all = async {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a part of the work ended early");
                }
            }
        };
        if timeout(patience, all).await.is_err() {
            tracing::warn!(
                "work was still running {patience:?} after the stop; it is done again at the next start"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_what_has_begun_and_for_nothing_else() {
        let (work, is_done) = (Work::default(), Arc::new(AtomicBool::new(false)));
        let (begun, begin) = oneshot::channel();
        let done = Arc::clone(&is_done);
        work.run(|mut stop| async move {
            let _ = begun.send(());
            // The stop comes in the middle.
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::task::yield_now().await;
            done.store(true, Ordering::Relaxed);
        });
        work.run_until_stopped(std::future::pending());
        begin.await.unwrap();
        work.stop().await;
        assert!(is_done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_stop_gives_up_work_that_does_not_end() {
        let work = Work::default();
        work.run(|_| std::future::pending());
        work.stop_within(Duration::from_millis(1)).await;
    }

    #[tokio::test]
    async fn work_ends_with_its_owner() {
        let work = Work::default();
        let (ended, end) = oneshot::channel();
        work.run(|mut stop| async move {
            // The sender is gone.
            let error = stop.wait_for(|stop| *stop).await.is_err();
            let _ = ended.send(error);
        });
        drop(work);
        assert!(end.await.unwrap());
    }
}
