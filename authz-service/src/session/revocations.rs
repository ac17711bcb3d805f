//! The list of revocations: JSON lines that the auth service appends and this service follows, or, with a
//! `REDIS_URL`, the entries that Redis holds and pushes.
//!
//! `{"sid": ID, "from": SECONDS, "until": SECONDS}` ends the session at `from`. After `until` every token of
//! that session has expired beyond the leeway, so the entry is dropped. `{"sub": …, "before": …, "until": …}` ends
//! every token of a person that was issued before `before`, `{"tid": …}` every one for a tenant ([`validity`]).
//!
//! | what happens | then |
//! |---|---|
//! | a line is appended | in force after at most 200 ms, for leases too with the next feed request of the edge |
//! | the file is replaced, truncated or removed | known entries stay in force until its `until`; the new file is read from its beginning |
//! | there is no file | nothing was revoked yet: the auth service creates the file with its first revocation |
//! | the file cannot be read, or that takes longer than [`HANGS`](crate::source::HANGS) | every session is 503 `revocations_unavailable` after [`UNREADABLE_LIMIT`] |
//! | more are revoked at once than there is [room](ROOM) for | the others go into a [filter]: only a session that may be in it is 503 `revocations_unavailable`; all others are served, and the replica stays ready. Once entries have expired, everything is read again |
//! | a line is malformed | it is counted, logged and skipped: one bad line must not sign all people out |
//! | Redis: the subscription is silent for [`UNTRUSTED_AFTER`] | every session is 503 `revocations_unavailable` until it is back and everything was read again |
//! | Redis: keys vanish (`FLUSHALL`) | known entries stay in force until its `until` |

mod beyond;
mod file;
mod filter;
mod health;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::lease::{Kind, Tag};
use arc_swap::ArcSwap;
use clock::UnixTime;
use identity::{Person, SessionId};
use parking_lot::RwLock;
use tokio::time::Instant;
use uuid::Uuid;
use validity::revocation::{Revocation, SessionEnd, SubjectEnd, TenantEnd};

use crate::ended::{Ended as Lately, FRESH, session_tag, subject_tag, tenant_tag};
use crate::failure::Failure;
use crate::id_key;
use crate::source::channel::Channel;
use crate::source::last_seen::LastSeen;
use crate::source::trouble::Trouble;

pub use file::RevocationFile;

use beyond::Beyond;

/// How long an unreadable file is tolerated: a few polls. A revocation must take effect within a second, so
/// there is little more time.
pub const UNREADABLE_LIMIT: Duration = Duration::from_secs(1);

/// How long the last sign of life from Redis is trusted: five missing ones are not an accident, and they
/// bound the delay of a revocation that is written meanwhile.
pub const UNTRUSTED_AFTER: Duration = Duration::from_secs(5);

/// How many revoked sessions are held, unless the setting differs: about 40 MB. A session is listed for no
/// longer than its access token lives, so this is half a million sign-outs within four hours. As many persons
/// and tenants are held beside them.
pub const ROOM: usize = 500_000;

/// The share of the room that must be free before the overflow is read again: an eighth, so that a list that
/// stays full is not read again for every entry that expires.
const FREE_SHARE: usize = 8;

/// The shortest time between two such readings, however much room there is. It bounds the work of a list that
/// fills as fast as it empties.
const AGAIN_AFTER: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Revoked {
    from: u64,
    until: u64,
}

/// The tokens that were issued before a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    before: u64,
    until: u64,
}

/// Persons and tenants whose sessions were all ended.
#[derive(Debug, Default)]
struct Wholesale {
    subjects: HashMap<Uuid, Ended>,
    tenants: HashMap<Uuid, Ended>,
}

impl Wholesale {
    fn len(&self) -> usize {
        self.subjects.len() + self.tenants.len()
    }
}

/// The list of ended sessions.
#[derive(Debug)]
pub struct Revocations {
    /// How many sessions are held, and how many persons and tenants.
    room: usize,
    sessions: RwLock<HashMap<Uuid, Revoked>>,
    wholesale: RwLock<Wholesale>,
    /// Absent when a file is followed.
    channel: Option<Arc<Channel>>,
    lately: Arc<Lately>,
    seen: LastSeen,
    trouble: ArcSwap<Option<Trouble>>,
    loaded: AtomicBool,
    beyond: Beyond,
    /// The second in which everything was last read again for lack of room.
    again_at: AtomicU64,
}

impl Default for Revocations {
    /// An empty list that follows a file.
    fn default() -> Self {
        Self {
            room: ROOM,
            sessions: RwLock::default(),
            wholesale: RwLock::default(),
            channel: None,
            lately: Arc::default(),
            seen: LastSeen::default(),
            trouble: ArcSwap::default(),
            loaded: AtomicBool::new(false),
            beyond: Beyond::default(),
            again_at: AtomicU64::new(0),
        }
    }
}

impl Revocations {
    /// A list that is filled through `channel`.
    #[must_use]
    pub fn pushed(channel: Arc<Channel>) -> Self {
        Self { channel: Some(channel), ..Self::default() }
    }

    /// The same list, which notes ended sessions in `lately`.
    #[must_use]
    pub fn noting(self, lately: &Arc<Lately>) -> Self {
        Self { lately: Arc::clone(lately), ..self }
    }

    /// The same list with room for `room` sessions, and as many persons and tenants.
    #[must_use]
    pub fn holding(self, room: usize) -> Self {
        Self { room, ..self }
    }

    /// Whether the session of `person`, whose token was issued at second `issued`, has ended at `now`: by
    /// itself, or with all of the person's or of the tenant's.
    ///
    /// # Errors
    /// [`Failure::RevocationsUnavailable`] when the list is not up to date, or when this session may be one
    /// for which the list had no room.
    pub fn ends(&self, person: &Person, issued: u64, now: UnixTime) -> Result<bool, Failure> {
        if !self.is_reliable(now) {
            return Err(Failure::RevocationsUnavailable);
        }
        let session = person.session.as_ref().map(id_key::of_session);
        let known = session.and_then(|session| self.known(session, now));
        if known == Some(true) {
            return Ok(true);
        }
        let subject = id_key::of_subject(&person.subject);
        let tenant = person.tenant.as_ref().map(id_key::of_tenant);
        let wholesale = self.wholesale.read();
        let is_before = |ended: &Ended| issued < ended.before;
        let of_subject = wholesale.subjects.get(&subject).map(is_before);
        let of_tenant = tenant.and_then(|tenant| wholesale.tenants.get(&tenant)).map(is_before);
        drop(wholesale);
        if of_subject == Some(true) || of_tenant == Some(true) {
            return Ok(true);
        }
        // A listed id is known in full. Any other may have found no room.
        let is_unknown = (known.is_none() && session.is_some_and(|session| self.is_beyond(session)))
            || (of_subject.is_none() && self.beyond.may_hold((Kind::Subject, subject)))
            || (of_tenant.is_none()
                && tenant.is_some_and(|tenant| self.beyond.may_hold((Kind::Tenant, tenant))));
        if is_unknown { Err(Failure::RevocationsUnavailable) } else { Ok(false) }
    }

    /// Whether `session` is listed: ended, or about to end. It should be trusted for this request only.
    #[must_use]
    pub fn is_listed(&self, session: &SessionId) -> bool {
        let session = id_key::of_session(session);
        let is_listed = self.sessions.read().contains_key(&session);
        is_listed || self.is_beyond(session)
    }

    fn is_beyond(&self, session: Uuid) -> bool {
        self.beyond.may_hold((Kind::Session, session))
    }

    /// Whether the listed `session` has ended at `now`; `None` when it is not listed.
    fn known(&self, session: Uuid, now: UnixTime) -> Option<bool> {
        let sessions = self.sessions.read();
        sessions.get(&session).map(|revoked| now.seconds() >= revoked.from)
    }

    /// Whether every revocation until [`FRESH`] before this moment is listed: `now` by the wall clock, `at`
    /// by the machine's own.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime, at: Instant) -> bool {
        let is_recent = match &self.channel {
            Some(channel) => channel.is_alive(at, FRESH),
            None => self.seen.is_within(FRESH, at),
        };
        is_recent && self.is_reliable(now)
    }

    /// Whether `session` itself has ended at `now`.
    ///
    /// # Errors
    /// As [`ends`](Self::ends).
    pub fn is_revoked(&self, session: &SessionId, now: UnixTime) -> Result<bool, Failure> {
        let session = id_key::of_session(session);
        if !self.is_reliable(now) {
            return Err(Failure::RevocationsUnavailable);
        }
        match self.known(session, now) {
            Some(is_over) => Ok(is_over),
            None if self.is_beyond(session) => Err(Failure::RevocationsUnavailable),
            None => Ok(false),
        }
    }

    fn is_reliable(&self, now: UnixTime) -> bool {
        let trouble = self.trouble.load();
        let unreadable =
            trouble.as_ref().as_ref().is_some_and(|t| t.lasts_longer_than(UNREADABLE_LIMIT, now));
        let silent =
            self.channel.as_ref().is_some_and(|channel| !channel.is_alive(Instant::now(), UNTRUSTED_AFTER));
        self.loaded.load(Ordering::Acquire) && !unreadable && !silent
    }

    /// How many sessions are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.read().len()
    }

    /// How many persons and tenants are listed.
    #[must_use]
    pub fn wholesale_len(&self) -> usize {
        self.wholesale.read().len()
    }

    /// How many entries found no room.
    #[must_use]
    pub fn beyond_room(&self) -> usize {
        self.beyond.len()
    }

    /// Whether no session is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds `revocations`, without those that are irrelevant at `now`, and ends the leases that they concern.
    /// Entries without room go into the filter.
    pub fn add(&self, revocations: Vec<Revocation>, now: UnixTime) {
        let news = self.keep(revocations, now);
        self.lately.note(news, Instant::now());
    }

    /// Adds `revocations` that were added before and may have found no room: the leases on them ended then.
    pub fn add_again(&self, revocations: Vec<Revocation>, now: UnixTime) {
        let _known = self.keep(revocations, now);
    }

    /// Adds `revocations` and returns the lease tags of those that were not known before.
    fn keep(&self, revocations: Vec<Revocation>, now: UnixTime) -> Vec<Tag> {
        let before = now.seconds();
        let current = revocations.into_iter().filter(|revocation| revocation.until() >= before);
        let keep = |revocation| match revocation {
            Revocation::Session(end) => self.add_session(end),
            Revocation::Subject(SubjectEnd { sub, before, until }) => {
                let new = Ended { before, until };
                let key = id_key::of_subject(&sub);
                let is_news = self.add_wholesale(|all| &mut all.subjects, (Kind::Subject, key), new);
                is_news.then(|| subject_tag(&sub))
            }
            Revocation::Tenant(TenantEnd { tid, before, until }) => {
                let new = Ended { before, until };
                let key = id_key::of_tenant(&tid);
                let is_news = self.add_wholesale(|all| &mut all.tenants, (Kind::Tenant, key), new);
                is_news.then(|| tenant_tag(&tid))
            }
        };
        current.filter_map(keep).collect()
    }

    /// The session's lease tag, when its end is new, or earlier than the known one.
    fn add_session(&self, end: SessionEnd) -> Option<Tag> {
        let SessionEnd { sid, from, until } = end;
        let key = id_key::of_session(&sid);
        let mut sessions = self.sessions.write();
        if sessions.len() >= self.room && !sessions.contains_key(&key) {
            drop(sessions);
            self.beyond.put((Kind::Session, key), until, self.room);
            return Some(session_tag(&sid));
        }
        let known = sessions.insert(key, Revoked { from, until });
        if let (Some(before), Some(revoked)) = (known, sessions.get_mut(&key)) {
            // Two lines for one session: the wider range counts.
            revoked.from = from.min(before.from);
            revoked.until = until.max(before.until);
        }
        known.is_none_or(|known| from < known.from).then(|| session_tag(&sid))
    }

    fn add_wholesale(
        &self,
        kind: impl Fn(&mut Wholesale) -> &mut HashMap<Uuid, Ended>,
        entry: (Kind, Uuid),
        new: Ended,
    ) -> bool {
        let (_, id) = entry;
        let mut wholesale = self.wholesale.write();
        if wholesale.len() >= self.room && !kind(&mut wholesale).contains_key(&id) {
            drop(wholesale);
            self.beyond.put(entry, new.until, self.room);
            return true;
        }
        let ended = kind(&mut wholesale).entry(id).or_default();
        let is_news = new.before > ended.before;
        ended.before = ended.before.max(new.before);
        ended.until = ended.until.max(new.until);
        is_news
    }

    /// Notes that everything in Redis was read. Known entries stay in force until their end, so that a Redis
    /// that lost its keys revives no session.
    pub fn whole_is_read(&self) {
        self.end_again();
        self.loaded.store(true, Ordering::Release);
    }

    /// Whether some entries found no room, and there is some now.
    #[must_use]
    pub fn has_room_again(&self, now: UnixTime) -> bool {
        if self.beyond_room() == 0 {
            return false;
        }
        self.sweep(now);
        let most = self.room.saturating_sub((self.room / FREE_SHARE).max(1));
        let since = now.since(UnixTime::from_seconds(self.again_at.load(Ordering::Acquire)));
        self.beyond_room() > 0 && self.len() <= most && self.wholesale_len() <= most && since >= AGAIN_AFTER
    }

    /// Begins to read everything again, so that the overflow gets room. Until [the end of
    /// that](Self::end_again) it is refused as before.
    pub fn begin_again(&self, now: UnixTime) {
        self.sweep(now);
        self.again_at.store(now.seconds(), Ordering::Release);
        self.beyond.begin_again();
    }

    /// Notes that everything was read again.
    pub fn end_again(&self) {
        self.beyond.end_again();
    }

    /// Drops entries that no unexpired token can need.
    pub fn sweep(&self, now: UnixTime) {
        let mut sessions = self.sessions.write();
        sessions.retain(|_, revoked| revoked.until >= now.seconds());
        drop(sessions);
        let mut wholesale = self.wholesale.write();
        wholesale.subjects.retain(|_, ended| ended.until >= now.seconds());
        wholesale.tenants.retain(|_, ended| ended.until >= now.seconds());
        drop(wholesale);
        self.beyond.sweep(now.seconds());
    }
}

#[cfg(test)]
mod tests;
