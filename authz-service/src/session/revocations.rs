//! The list of what was revoked: JSON lines that the auth service appends and this service follows, or, with a
//! `REDIS_URL`, what Redis holds and pushes.
//!
//! `{"sid": UUID, "from": SECONDS, "until": SECONDS}` ends the session at `from`. After `until` every token of
//! that session has expired beyond the leeway, so the entry is dropped. `{"sub": …, "before": …, "until": …}` ends
//! every token of a person that was issued before `before`, `{"tid": …}` every one for a tenant ([`validity`]).
//!
//! | what happens | then |
//! |---|---|
//! | a line is appended | in force after at most 200 ms, for leases too once the edge has asked what ended |
//! | the file is replaced, truncated or removed | what was read stays in force until its `until`; the new file is read from its beginning |
//! | there is no file | nobody was revoked yet: the auth service makes the file with its first revocation |
//! | the file cannot be read, or that takes longer than [`HANGS`](crate::source::HANGS) | every session is 503 `revocations_unavailable` after [`UNREADABLE_LIMIT`] |
//! | more than [`MAX_SESSIONS`] are revoked at once | every session is 503 `revocations_unavailable` until entries expire |
//! | a line makes no sense | it is counted, logged and skipped: one bad line must not sign everybody out |
//! | Redis: the subscription is silent for [`UNTRUSTED_AFTER`] | every session is 503 `revocations_unavailable` until it is back and was read whole |
//! | Redis: keys vanish (`FLUSHALL`) | what was read stays in force until its `until` |

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::lease::Tag;
use arc_swap::ArcSwap;
use clock::{Clock, UnixTime};
use identity::{Person, SessionId, SubjectId, TenantId};
use prometheus::IntCounter;
use tokio::time::Instant;
use validity::revocation::{Revocation, SessionEnd, SubjectEnd, TenantEnd};

use crate::ended::{Ended as Lately, FRESH, session_tag, subject_tag, tenant_tag};
use crate::failure::Failure;
use crate::source::channel::Channel;
use crate::source::{Hanging, Health, Looked, Source, Trouble};

/// How long an unreadable file is overlooked: a few polls. A revocation must hold within a second, so little
/// more can be waited for.
pub const UNREADABLE_LIMIT: Duration = Duration::from_secs(1);

/// How long the last sign of life from Redis is relied on: five missing ones are no accident, and a revocation that
/// is written meanwhile is late by no more.
pub const UNTRUSTED_AFTER: Duration = Duration::from_secs(5);

/// How many revoked sessions are held: some 40 MB. A session is listed for no longer than its access token
/// lives, so this is half a million sign-outs within four hours.
pub const MAX_SESSIONS: usize = 500_000;

/// A longer line is not one of ours.
const MAX_LINE_BYTES: usize = 1_024;

/// How much of the file is read at once.
const CHUNK_BYTES: usize = 65_536;

/// Polls between two sweeps of expired entries: some 20 s.
const POLLS_PER_SWEEP: u32 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Revoked {
    from: u64,
    until: u64,
}

/// Tokens that were issued before a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    before: u64,
    until: u64,
}

/// Persons and tenants all of whose sessions were ended.
#[derive(Debug, Default)]
struct Wholesale {
    subjects: HashMap<SubjectId, Ended>,
    tenants: HashMap<TenantId, Ended>,
}

impl Wholesale {
    fn len(&self) -> usize {
        self.subjects.len() + self.tenants.len()
    }
}

/// Which sessions were ended.
#[derive(Debug, Default)]
pub struct Revocations {
    sessions: RwLock<HashMap<SessionId, Revoked>>,
    wholesale: RwLock<Wholesale>,
    /// Absent when a file is followed.
    channel: Option<Arc<Channel>>,
    lately: Arc<Lately>,
    looked: Looked,
    trouble: ArcSwap<Option<Trouble>>,
    overflowed: AtomicBool,
    loaded: AtomicBool,
}

impl Revocations {
    /// A list that is kept by what comes through `channel`.
    #[must_use]
    pub fn pushed(channel: Arc<Channel>) -> Self {
        Self { channel: Some(channel), ..Self::default() }
    }

    /// The same, noting what ends in `lately`.
    #[must_use]
    pub fn noting(self, lately: &Arc<Lately>) -> Self {
        Self { lately: Arc::clone(lately), ..self }
    }

    /// Whether the session of `person`, whose token was issued at second `issued`, is over at `now`: by itself, or
    /// with all of the person's or of the tenant's.
    ///
    /// # Errors
    /// [`Failure::RevocationsUnavailable`] when the list is not to be relied on.
    pub fn ends(&self, person: &Person, issued: u64, now: UnixTime) -> Result<bool, Failure> {
        if self.is_revoked(person.session, now)? {
            return Ok(true);
        }
        let wholesale = self.wholesale.read().unwrap_or_else(PoisonError::into_inner);
        let ended = |ended: Option<&Ended>| ended.is_some_and(|ended| issued < ended.before);
        Ok(ended(wholesale.subjects.get(&person.subject)) || ended(wholesale.tenants.get(&person.tenant)))
    }

    /// Whether `session` is listed: over, or about to be. Nobody should count on it for longer than this request.
    #[must_use]
    pub fn is_listed(&self, session: SessionId) -> bool {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }

    /// Whether everything that was revoked until [`FRESH`] before this moment is listed: `now` by the wall clock, `at`
    /// by the machine's own.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime, at: Instant) -> bool {
        let heard = match &self.channel {
            Some(channel) => channel.is_alive(at, FRESH),
            None => self.looked.is_within(FRESH, at),
        };
        heard && self.is_reliable(now)
    }

    /// Whether `session` is over at `now`.
    ///
    /// # Errors
    /// [`Failure::RevocationsUnavailable`] when the list is not to be relied on.
    pub fn is_revoked(&self, session: SessionId, now: UnixTime) -> Result<bool, Failure> {
        if !self.is_reliable(now) {
            return Err(Failure::RevocationsUnavailable);
        }
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        Ok(sessions.get(&session).is_some_and(|revoked| now.seconds() >= revoked.from))
    }

    fn is_reliable(&self, now: UnixTime) -> bool {
        let trouble = self.trouble.load();
        let unreadable =
            trouble.as_ref().as_ref().is_some_and(|t| t.lasts_longer_than(UNREADABLE_LIMIT, now));
        let silent =
            self.channel.as_ref().is_some_and(|channel| !channel.is_alive(Instant::now(), UNTRUSTED_AFTER));
        self.loaded.load(Ordering::Acquire)
            && !unreadable
            && !silent
            && !self.overflowed.load(Ordering::Acquire)
    }

    /// How many sessions are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many persons and tenants are listed.
    #[must_use]
    pub fn wholesale_len(&self) -> usize {
        self.wholesale.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the list is, for `/readyz`.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let mut detail = format!("{} sessions", self.len());
        let wholesale = self.wholesale_len();
        if wholesale > 0 {
            detail.push_str(&format!(", {wholesale} persons and tenants"));
        }
        if let Some(channel) = &self.channel {
            detail.push_str(&format!("; {}", channel.health().detail));
        }
        if let Some(trouble) = self.trouble.load().as_ref() {
            detail.push_str(&format!(
                "; unreadable since {} ({})",
                trouble.since().seconds(),
                trouble.what()
            ));
        }
        if self.overflowed.load(Ordering::Acquire) {
            detail.push_str("; more than can be held");
        }
        // Every replica loses Redis at once, and what needs no session goes on without it: a lost subscription ends no
        // replica's readiness, a file that this machine cannot read does.
        let ready = match &self.channel {
            Some(_) => self.loaded.load(Ordering::Acquire) && !self.overflowed.load(Ordering::Acquire),
            None => self.is_reliable(now),
        };
        Health { ready, detail }
    }

    /// Adds `revocations`, without those that are needless at `now`. What does not fit refuses everybody.
    pub fn add(&self, revocations: Vec<Revocation>, now: UnixTime) {
        let before = now.seconds();
        let current = revocations.into_iter().filter(|revocation| revocation.until() >= before);
        let news: Vec<Tag> = current
            .filter_map(|revocation| match revocation {
                Revocation::Session(end) => self.add_session(end),
                Revocation::Subject(SubjectEnd { sub, before, until }) => {
                    let is_news = self.add_wholesale(|all| &mut all.subjects, sub, Ended { before, until });
                    is_news.then(|| subject_tag(sub))
                }
                Revocation::Tenant(TenantEnd { tid, before, until }) => {
                    let is_news = self.add_wholesale(|all| &mut all.tenants, tid, Ended { before, until });
                    is_news.then(|| tenant_tag(tid))
                }
            })
            .collect();
        self.lately.note(news, Instant::now());
    }

    /// What a lease on the session carries, when this is the first word of its end, or it ends sooner than was known.
    fn add_session(&self, end: SessionEnd) -> Option<Tag> {
        let SessionEnd { sid, from, until } = end;
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= MAX_SESSIONS && !sessions.contains_key(&sid) {
            self.overflow();
            return None;
        }
        let known = sessions.insert(sid, Revoked { from, until });
        if let (Some(before), Some(revoked)) = (known, sessions.get_mut(&sid)) {
            // Two lines for one session: the wider of both.
            revoked.from = from.min(before.from);
            revoked.until = until.max(before.until);
        }
        known.is_none_or(|known| from < known.from).then(|| session_tag(sid))
    }

    fn add_wholesale<K: std::hash::Hash + Eq>(
        &self,
        kind: impl Fn(&mut Wholesale) -> &mut HashMap<K, Ended>,
        id: K,
        new: Ended,
    ) -> bool {
        let mut wholesale = self.wholesale.write().unwrap_or_else(PoisonError::into_inner);
        if wholesale.len() >= MAX_SESSIONS && !kind(&mut wholesale).contains_key(&id) {
            self.overflow();
            return false;
        }
        let ended = kind(&mut wholesale).entry(id).or_default();
        let is_news = new.before > ended.before;
        ended.before = ended.before.max(new.before);
        ended.until = ended.until.max(new.until);
        is_news
    }

    fn overflow(&self) {
        if !self.overflowed.swap(true, Ordering::AcqRel) {
            tracing::error!(MAX_SESSIONS, "more is revoked than can be held; sessions are refused");
        }
    }

    /// Everything that Redis holds was read. What was known before stays in force until its end, so that nothing
    /// comes back to life with a Redis that lost its keys.
    pub fn replace_source(&self, revocations: Vec<Revocation>, now: UnixTime) {
        self.sweep(now);
        self.overflowed.store(false, Ordering::Release);
        self.add(revocations, now);
        self.loaded.store(true, Ordering::Release);
    }

    /// Whether something was passed over for want of room, and there is room now.
    #[must_use]
    pub fn has_room_again(&self, now: UnixTime) -> bool {
        if !self.overflowed.load(Ordering::Acquire) {
            return false;
        }
        self.sweep(now);
        self.len() < MAX_SESSIONS && self.wholesale_len() < MAX_SESSIONS
    }

    /// Drops what no token can need any more.
    pub fn sweep(&self, now: UnixTime) {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, revoked| revoked.until >= now.seconds());
        drop(sessions);
        let mut wholesale = self.wholesale.write().unwrap_or_else(PoisonError::into_inner);
        wholesale.subjects.retain(|_, ended| ended.until >= now.seconds());
        wholesale.tenants.retain(|_, ended| ended.until >= now.seconds());
    }
}

/// Follows the file.
#[derive(Debug)]
pub struct RevocationFile {
    path: PathBuf,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
    bad_lines: IntCounter,
    /// Device and inode of the file that was read, and how far.
    at: Option<(u64, u64)>,
    offset: u64,
    /// The beginning of a line whose end is not written yet.
    partial: Vec<u8>,
    polls: u32,
}

impl RevocationFile {
    /// Follows `path` into `revocations`, counting lines that make no sense.
    #[must_use]
    pub fn new(
        path: &Path,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
        bad_lines: IntCounter,
    ) -> Self {
        let path = path.to_owned();
        Self { path, revocations, clock, bad_lines, at: None, offset: 0, partial: Vec::new(), polls: 0 }
    }

    fn restart(&mut self) {
        self.offset = 0;
        self.partial.clear();
    }

    fn follow(&mut self, now: UnixTime) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.at = None;
                self.restart();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let this = (metadata.dev(), metadata.ino());
        if self.at != Some(this) || metadata.len() < self.offset {
            self.restart();
            self.at = Some(this);
        }
        if metadata.len() == self.offset {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = file.read(&mut chunk)?;
            let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else { return Ok(()) };
            self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            self.take(read, now);
        }
    }

    fn take(&mut self, mut bytes: &[u8], now: UnixTime) {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            bytes = rest.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                lines.extend(self.parse(line));
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                lines.extend(self.parse(&whole));
            }
        }
        // Beyond the limit only the fact that the line is too long matters.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
        self.revocations.add(lines, now);
    }

    fn parse(&self, line: &[u8]) -> Option<Revocation> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let parsed = (line.len() <= MAX_LINE_BYTES).then(|| serde_json::from_slice::<Revocation>(line));
        if let Some(Ok(line)) = parsed {
            return Some(line);
        }
        self.bad_lines.inc();
        tracing::error!(file = %self.path.display(), bytes = line.len(), "a revocation makes no sense; skipped");
        None
    }
}

impl Source for RevocationFile {
    fn name(&self) -> &'static str {
        "revocations"
    }

    fn poll(&mut self) {
        let (now, began) = (self.clock.now(), Instant::now());
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_PER_SWEEP) {
            self.revocations.sweep(now);
        }
        // Read everything again once there is room, because lines were passed over.
        if self.revocations.has_room_again(now) {
            self.revocations.overflowed.store(false, Ordering::Release);
            self.restart();
        }
        match self.follow(now) {
            Ok(()) => {
                if self.revocations.trouble.load().is_some() {
                    self.revocations.trouble.store(Arc::new(None));
                }
                self.revocations.loaded.store(true, Ordering::Release);
                self.revocations.looked.note(began);
            }
            Err(error) => note(&self.revocations, &self.path, &error.to_string(), now),
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (path, revocations) = (self.path.clone(), Arc::clone(&self.revocations));
        let clock = Arc::clone(&self.clock);
        Some(Box::new(move |what| note(&revocations, &path, what, clock.now())))
    }
}

fn note(revocations: &Revocations, path: &Path, what: &str, now: UnixTime) {
    if Trouble::note(&revocations.trouble, what.to_owned(), now) {
        tracing::error!(file = %path.display(), what, "revocations cannot be read");
    }
}

#[cfg(test)]
mod tests;
