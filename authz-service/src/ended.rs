//! Records recent invalidations: bounded, and exact about how far back the record reaches.
//!
//! The stores of sessions, tenants and keys write here when their own answer changes; the feed reports it to
//! the edge, so that no lease outlives the facts that it depends on.

use std::collections::HashMap;
use std::time::Duration;

use identity::{Client, SessionId, SubjectId, TenantId};
use lease::{Kind, MAX_ENDED, Tag, WINDOW_MS};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// The greatest age of the last poll of revocations and tenants. The edge honours leases for 600 ms after it
/// requested the last good feed; together that is the second within which everything ends. Files are polled,
/// and Redis is pinged, four times as often.
pub const FRESH: Duration = Duration::from_millis(400);

/// How long a tag is named.
const WINDOW: Duration = Duration::from_millis(WINDOW_MS);

/// Recent invalidations. At most [`MAX_ENDED`] tags: about 200 KB.
///
/// Times are the process's own, so that a stepped clock loses nothing.
#[derive(Debug)]
pub struct Ended(Mutex<History>);

#[derive(Debug)]
struct History {
    /// Every invalidation from here on is in `tags`, if it is within the window.
    since: Instant,
    /// When each tag was last invalidated.
    tags: HashMap<Tag, Instant>,
}

/// The known invalidations of the window before a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lately {
    /// How far back nothing is missing; at most the window.
    pub reach: Duration,
    /// The invalidated tags, sorted, without duplicates.
    pub tags: Vec<Tag>,
}

impl Ended {
    /// A history that begins at `now`.
    #[must_use]
    pub fn since(now: Instant) -> Self {
        Self(Mutex::new(History { since: now, tags: HashMap::new() }))
    }

    /// Notes that `tags` became invalid at `now`. Call it *after* decisions have changed: a decision that
    /// fell between the two would otherwise be named too early.
    ///
    /// When more become invalid within the window than can be named, all are forgotten and the history begins
    /// at `now`, which ends every older lease.
    pub fn note(&self, tags: impl IntoIterator<Item = Tag>, now: Instant) {
        let mut history = self.lock();
        for tag in tags {
            if history.tags.len() >= MAX_ENDED && !history.tags.contains_key(&tag) {
                history.forget(now);
                if history.tags.len() >= MAX_ENDED {
                    tracing::warn!(MAX_ENDED, "too many invalidations at once; every lease ends");
                    history.tags.clear();
                    history.since = now;
                }
            }
            history.tags.insert(tag, now);
        }
    }

    /// Notes that an invalidation before `now` may have been missed. Known tags stay.
    pub fn restart(&self, now: Instant) {
        let mut history = self.lock();
        history.since = history.since.max(now);
    }

    /// The invalidations known at `now`.
    #[must_use]
    pub fn lately(&self, now: Instant) -> Lately {
        let mut history = self.lock();
        history.forget(now);
        let mut tags: Vec<Tag> = history.tags.keys().copied().collect();
        tags.sort_unstable();
        Lately { reach: now.saturating_duration_since(history.since).min(WINDOW), tags }
    }

    /// A panic during a write loses one tag: the history continues with the others.
    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock()
    }
}

impl Default for Ended {
    /// A history that begins now.
    fn default() -> Self {
        Self::since(Instant::now())
    }
}

impl History {
    fn forget(&mut self, now: Instant) {
        self.tags.retain(|_, at| now.saturating_duration_since(*at) < WINDOW);
    }
}

/// The tag of a session in leases.
#[must_use]
pub fn session_tag(session: &SessionId) -> Tag {
    session.with_text(|text| Tag::of(Kind::Session, text.as_bytes()))
}

/// The tag of a person in leases.
#[must_use]
pub fn subject_tag(subject: &SubjectId) -> Tag {
    subject.with_text(|text| Tag::of(Kind::Subject, text.as_bytes()))
}

/// The tag of a tenant in leases.
#[must_use]
pub fn tenant_tag(tenant: &TenantId) -> Tag {
    tenant.with_text(|text| Tag::of(Kind::Tenant, text.as_bytes()))
}

/// The tag of the list of API keys: it was replaced, and a stream of any key may have to end.
#[must_use]
pub fn api_keys_tag() -> Tag {
    // No key of a token has this tag: between issuer and `kid` there is a zero byte.
    Tag::of(Kind::Key, b"the API keys")
}

/// The tag of a client, for the streams that it holds. It never ends.
#[must_use]
pub fn client_tag(client: &Client) -> Tag {
    Tag::of(Kind::Subject, client.name.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_tag_is_named_for_the_whole_window_and_longer_when_it_ends_again() {
        let start = Instant::now();
        let ended = Ended::since(start);
        ended.note([Tag(2), Tag(1)], start + seconds(1));
        ended.note([Tag(2)], start + seconds(5));
        let at = |after| ended.lately(start + seconds(after)).tags;
        assert_eq!(at(5), [Tag(1), Tag(2)]);
        assert_eq!(at(30), [Tag(1), Tag(2)]);
        assert_eq!(at(31), [Tag(2)]);
        assert_eq!(at(35), []);
    }

    #[test]
    fn how_far_back_it_reaches_is_never_overstated() {
        let start = Instant::now();
        let ended = Ended::since(start);
        let reach = |after| ended.lately(start + seconds(after)).reach;
        assert_eq!(reach(0), seconds(0));
        assert_eq!(reach(7), seconds(7));
        assert_eq!(reach(100), WINDOW);
        ended.note([Tag(1)], start + seconds(100));
        ended.restart(start + seconds(101));
        assert_eq!(reach(103), seconds(2));
        ended.restart(start + seconds(50));
        assert_eq!(reach(103), seconds(2), "an older beginning widens nothing");
        assert_eq!(ended.lately(start + seconds(103)).tags, [Tag(1)], "what is known stays known");
    }

    #[test]
    fn too_much_at_once_ends_every_older_lease_and_takes_no_more_room() {
        let start = Instant::now();
        let ended = Ended::since(start);
        let later = start + seconds(60);
        let many = u64::try_from(MAX_ENDED).unwrap();
        ended.note((0..many).map(Tag), later);
        assert_eq!(ended.lately(later).reach, WINDOW, "as many as can be named are named");
        ended.note([Tag(0)], later);
        assert_eq!(ended.lately(later).tags.len(), MAX_ENDED, "again, not one more");
        ended.note([Tag(many)], later + seconds(1));
        let lately = ended.lately(later + seconds(3));
        assert_eq!(lately, Lately { reach: seconds(2), tags: vec![Tag(many)] });
        ended.note((0..many * 20).map(Tag), later + seconds(4));
        assert!(ended.lately(later + seconds(4)).tags.len() <= MAX_ENDED);
        // Named tags that are past the window make room by themselves.
        let calm = Ended::since(start);
        calm.note((0..many).map(Tag), start);
        calm.note([Tag(many)], start + seconds(31));
        assert_eq!(calm.lately(start + seconds(31)), Lately { reach: WINDOW, tags: vec![Tag(many)] });
    }
}
