//! The feeds to the edge: recent invalidations with the revision whose leases are valid, and the standing of open streams.

pub mod http;

use std::time::Duration;

use ::lease::{Ended as EndedTags, Feed, FeedRequest, Spent, StreamsReply, StreamsRequest};
use clock::UnixTime;
use tokio::time::Instant;

use crate::authorizer::Authorizer;
use crate::ended::{FRESH, Lately};
use crate::observe::metrics::Metrics;

/// A report with more requests of one route is invalid: a worker reports five times a second.
pub const MOST_USES: u64 = 10_000_000;

/// Why there is no feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// An invalidation may have been missed.
    #[error("no news of revocations or tenants for too long")]
    Stale,
    /// The report counts more requests than a worker can have served.
    #[error("more than {MOST_USES} requests of one route in one report")]
    TooMany,
}

/// Answers `request` at the moment that is `now` by the wall clock and `at` by the machine's own, and counts
/// the requests that leases served. Without an answer nothing is counted: the edge reports it again.
///
/// # Errors
/// [`Unanswered`].
pub fn answer(
    authorizer: &Authorizer,
    metrics: &Metrics,
    request: &FeedRequest,
    now: UnixTime,
    at: Instant,
) -> Result<Feed, Unanswered> {
    let FeedRequest { listener: _, revision, spent } = request;
    if spent.iter().any(|spent| spent.uses > MOST_USES) {
        return Err(Unanswered::TooMany);
    }
    if !authorizer.is_fresh(now, at) {
        return Err(Unanswered::Stale);
    }
    for Spent { route, policy, uses } in spent {
        metrics.leased(&authorizer.snapshots, revision, route, policy, *uses);
    }
    Ok(feed(authorizer, at))
}

/// The standing of the streams in `request`, with the same invalidations.
///
/// # Errors
/// [`Unanswered::Stale`].
pub async fn about_streams(
    authorizer: &Authorizer,
    request: &StreamsRequest,
    now: UnixTime,
    at: Instant,
) -> Result<StreamsReply, Unanswered> {
    if !authorizer.is_fresh(now, at) {
        return Err(Unanswered::Stale);
    }
    // First: an end that comes while the streams are judged is listed with the next poll.
    let feed = of_ended(authorizer, at);
    let standings = authorizer.judges().judge(&request.facts, now).await;
    Ok(StreamsReply { standings, feed })
}

fn feed(authorizer: &Authorizer, at: Instant) -> Feed {
    // Only the newest, although requests of older revisions are still decided: Envoy applies new routes
    // before a new guard, and until then the old guard would serve leases under rules that are no longer in
    // force.
    let revisions = vec![authorizer.snapshots.newest().revision.clone()];
    if !authorizer.leases.on {
        return Feed { revisions, reach_ms: 0, ended: EndedTags::All };
    }
    Feed { revisions, ..of_ended(authorizer, at) }
}

/// What ended lately, whether leases are granted or not.
fn of_ended(authorizer: &Authorizer, at: Instant) -> Feed {
    let Lately { reach, tags } = authorizer.leases.ended.lately(at);
    let reach = certain(reach, authorizer.snapshots.patience());
    let reach_ms = u64::try_from(reach.as_millis()).unwrap_or(u64::MAX);
    Feed { revisions: Vec::new(), reach_ms, ended: EndedTags::Tags(tags) }
}

/// How far back the edge may trust a history that reaches back for `reach`. A decision from before its
/// beginning may depend on a fact [`FRESH`] older, and may have been in transit for as long as Envoy waits. A
/// whole window needs no such margin, because leases end before it does.
fn certain(reach: Duration, patience: Duration) -> Duration {
    let window = Duration::from_millis(::lease::WINDOW_MS);
    if reach >= window { window } else { reach.saturating_sub(patience + FRESH) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_just_began_vouches_for_nothing() {
        let patience = Duration::from_millis(200);
        let of = |millis| certain(Duration::from_millis(millis), patience).as_millis();
        assert_eq!([0, 600, 601, 10_600, 29_999, 30_000].map(of), [0, 0, 1, 10_000, 29_399, 30_000]);
    }
}
