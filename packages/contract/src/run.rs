//! Sends the requests of a set: safe ones side by side, every other one alone and in its place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_secs(1);

/// How a set is sent.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The most requests at one time.
    pub concurrency: usize,
    /// The longest wait for one answer.
    pub patience: Duration,
}

/// Runs `work` for every item and returns the results in the order of the items. An item that is not `safe` may change what
/// the others read: it waits for all before it, and all after it wait for it. `progress` receives the number of finished
/// items about once a second.
pub async fn in_order<T, R, F>(
    items: Vec<T>,
    concurrency: usize,
    safe: impl Fn(&T) -> bool,
    work: impl Fn(T) -> F,
    mut progress: impl FnMut(usize),
) -> Vec<R>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(concurrency.max(1)));
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let mut under_way: JoinSet<(usize, R)> = JoinSet::new();
    let (mut done, mut reported) = (0_usize, Instant::now());
    let mut keep = |finished: Result<(usize, R), tokio::task::JoinError>, results: &mut Vec<Option<R>>| {
        if let Ok((index, result)) = finished
            && let Some(place) = results.get_mut(index)
        {
            *place = Some(result);
        }
        done += 1;
        if reported.elapsed() >= PROGRESS {
            reported = Instant::now();
            progress(done);
        }
    };
    for (index, item) in items.into_iter().enumerate() {
        let is_safe = safe(&item);
        if !is_safe {
            while let Some(finished) = under_way.join_next().await {
                keep(finished, &mut results);
            }
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let working = work(item);
        under_way.spawn(async move {
            let result = working.await;
            drop(slot);
            (index, result)
        });
        while let Some(finished) = under_way.try_join_next() {
            keep(finished, &mut results);
        }
        if !is_safe {
            while let Some(finished) = under_way.join_next().await {
                keep(finished, &mut results);
            }
        }
    }
    while let Some(finished) = under_way.join_next().await {
        keep(finished, &mut results);
    }
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_request_that_changes_something_runs_alone_and_in_its_place() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&log);
        let work = move |number: i32| {
            let log = Arc::clone(&shared);
            async move {
                log.lock().unwrap().push(format!("+{number}"));
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                log.lock().unwrap().push(format!("-{number}"));
                number * 2
            }
        };
        // The third one is not safe.
        let results = runtime.block_on(in_order(vec![1, 2, 3, 4, 5], 2, |n| *n != 3, work, |_| {}));
        assert_eq!(results, [2, 4, 6, 8, 10]);
        let log = log.lock().unwrap();
        let at = |what: &str| log.iter().position(|one| one == what).unwrap();
        assert!(at("+2") < at("-1"), "safe ones run side by side: {log:?}");
        assert_eq!((at("+3"), at("-3")), (4, 5), "{log:?}");
    }
}
