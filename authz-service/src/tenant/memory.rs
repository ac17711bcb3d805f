//! What this replica remembers of tenants: the layer that nearly every decision is answered from.
//!
//! | what is remembered | bound | for how long |
//! |---|---|---|
//! | states of tenants that were asked for | [`MAX_KNOWN`] | `memory_seconds`, and not past what Redis says |
//! | states that were pushed | [`MAX_KNOWN`] | `memory_seconds` |
//! | ids that no tenant has | [`MAX_UNKNOWN`], apart from the others | `negative_seconds` |
//! | that a tenant was there, which keeps a place for the next question | [`MAX_KNOWN`] | until it is not |
//!
//! A state counts while the push channel vouches for it, or while it is younger than `untrusted_after_seconds`.
//! Of two states the one with the larger version is the newer, so a change that was pushed while a question was
//! under way wins. All requests that miss the same tenant wait for one question. Faults are never remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use identity::TenantId;
use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use uuid::Uuid;
use validity::tenant::{Change, Record, Standing};

use crate::ended::{Ended, FRESH, tenant_tag};
use crate::failure::Failure;
use crate::source::channel::{Channel, Stretch};
use crate::tenant::change::{OnChange, TenantChange};
use crate::tenant::source::{Answer, Known, LookupCounts, SourceFault, TenantSource};

/// Tenants whose state is remembered: some 20 MB.
pub const MAX_KNOWN: u64 = 100_000;

/// Ids without a tenant that are remembered. Apart from the known ones, so that a flood of them pushes nobody out.
pub const MAX_UNKNOWN: u64 = 10_000;

/// Questions that may be open at once, one for each tenant. More would wait at the source, not here.
const MAX_OPEN: usize = 256;

/// Questions beside these that are about tenants that were there lately, and about no others: an issuer that signs for
/// invented tenants takes none of them.
const KEPT_OPEN: usize = 128;

/// The first wait before the source is asked again whether it is there; each is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// No wait is longer: a source that has come up is found within a second.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// For how long what counts.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A state.
    pub memory: Duration,
    /// That there is no such tenant.
    pub negative: Duration,
    /// Anything without a word from the push channel.
    pub untrusted_after: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    record: Record,
    /// When it was asked for, not when the answer came.
    asked: Instant,
    until: Instant,
    stretch: Stretch,
}

/// Why there is nothing to remember about a tenant.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Nothing {
    #[error("no such tenant")]
    Absent,
    #[error(transparent)]
    Fault(SourceFault),
}

/// The memory of one replica.
#[derive(Debug)]
pub struct Memory {
    known: Cache<TenantId, Entry>,
    unknown: Cache<TenantId, Instant>,
    told: quick_cache::sync::Cache<TenantId, Entry>,
    source: Arc<dyn TenantSource>,
    channel: Arc<Channel>,
    open: Semaphore,
    kept_open: Semaphore,
    /// Tenants that were there when they were asked about last.
    there: quick_cache::sync::Cache<TenantId, ()>,
    lifetimes: Lifetimes,
    /// Absent when no changes are pushed.
    ended: Option<Arc<Ended>>,
    counts: LookupCounts,
    answered: AtomicBool,
    on_change: OnChange,
}

impl Memory {
    /// The same, told about changes, which it notes in `ended`.
    #[must_use]
    pub fn told_of_changes(self, ended: &Arc<Ended>) -> Self {
        Self { ended: Some(Arc::clone(ended)), ..self }
    }

    /// Whether every change that was pushed until [`FRESH`] before `now` has arrived. Without a channel there is
    /// nothing to arrive, and each state counts for its stated time.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.ended.is_none() || self.channel.is_alive(now, FRESH)
    }

    /// A memory before `source` that `channel` vouches for.
    #[must_use]
    pub fn new(
        source: Arc<dyn TenantSource>,
        channel: Arc<Channel>,
        lifetimes: Lifetimes,
        counts: LookupCounts,
    ) -> Self {
        Self {
            // Entries carry their own end; this one only frees their memory.
            known: Cache::builder().max_capacity(MAX_KNOWN).time_to_live(lifetimes.memory).build(),
            unknown: Cache::builder().max_capacity(MAX_UNKNOWN).time_to_live(lifetimes.negative).build(),
            told: quick_cache::sync::Cache::new(usize::try_from(MAX_KNOWN).unwrap_or(usize::MAX)),
            source,
            channel,
            open: Semaphore::new(MAX_OPEN),
            kept_open: Semaphore::new(KEPT_OPEN),
            there: quick_cache::sync::Cache::new(usize::try_from(MAX_KNOWN).unwrap_or(usize::MAX)),
            lifetimes,
            ended: None,
            counts,
            answered: AtomicBool::new(false),
            on_change: OnChange::default(),
        }
    }

    /// Calls `on_change` for each tenant that changes, as far as this replica knew it before.
    #[must_use]
    pub fn listening(self, on_change: OnChange) -> Self {
        Self { on_change, ..self }
    }

    /// Whether the source has answered at least once. A replica that nobody ever told anything is not ready.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Asks about nobody, again and again, until the source has answered once: a replica that is not ready gets no
    /// requests that would ask for it.
    pub async fn begin(&self) {
        let mut wait = FIRST_WAIT;
        while !self.has_answered() {
            match self.source.look_up(TenantId(Uuid::nil())).await {
                Ok(_) => self.answered.store(true, Ordering::Relaxed),
                Err(fault) => {
                    tracing::warn!(code = SourceFault::code(fault), "tenants cannot be looked up yet");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// The state of `tenant`, or `None` when there is no such tenant.
    ///
    /// # Errors
    /// [`Failure::TenantsUnavailable`] when nothing that counts is remembered and the source has no answer.
    pub async fn standing(&self, tenant: TenantId) -> Result<Option<Standing>, Failure> {
        Ok(self.look(tenant).await?.map(|known| known.standing))
    }

    /// The same, and how long it counts when no change is pushed.
    ///
    /// # Errors
    /// As [`standing`](Self::standing).
    pub async fn look(&self, tenant: TenantId) -> Result<Option<Known>, Failure> {
        let now = Instant::now();
        let remembered = newer(self.known.get(&tenant).await, self.told(tenant, now));
        if let Some(entry) = remembered.filter(|entry| self.counts_at(entry, now)) {
            self.counts.hit.inc();
            return Ok(Some(self.known(&entry)));
        }
        if remembered.is_none()
            && let Some(asked) = self.unknown.get(&tenant).await
            && now.saturating_duration_since(asked) < self.lifetimes.negative
        {
            self.counts.hit.inc();
            return Ok(None);
        }
        // What does not count any more makes room, unless somebody has replaced it meanwhile.
        self.known
            .entry(tenant)
            .and_compute_with(async |entry| match entry {
                Some(entry) if !self.counts_at(entry.value(), Instant::now()) => Op::Remove,
                Some(_) | None => Op::Nop,
            })
            .await;
        let asked = self.known.try_get_with(tenant, self.ask(tenant, remembered)).await;
        match asked.map_err(|nothing| *nothing) {
            // A change may have been pushed while the question was under way.
            Ok(entry) => Ok(newer(Some(entry), self.told(tenant, now)).map(|entry| self.known(&entry))),
            Err(Nothing::Absent) => Ok(None),
            Err(Nothing::Fault(_)) => Err(Failure::TenantsUnavailable),
        }
    }

    /// A change was pushed.
    pub async fn change(&self, change: &Change) {
        let now = Instant::now();
        let told = self.told(change.tenant, now);
        let before = newer(self.known.get(&change.tenant).await, told).map(|entry| entry.record);
        if told.is_none_or(|told| told.record.version <= change.version) {
            let until = now + self.lifetimes.memory;
            let entry = Entry { record: change.record(), asked: now, until, stretch: self.channel.stretch() };
            self.told.insert(change.tenant, entry);
        }
        if let Some(ended) = &self.ended {
            ended.note([tenant_tag(change.tenant)], now);
        }
        // What was learned by asking, or pushed twice, was told then.
        if before.is_none_or(|before| before.version < change.version) {
            self.report(change.tenant, before.map(|before| before.standing), Some(change.status));
        }
        tracing::info!(
            code = "tenant_changed",
            tenant = %change.tenant,
            status = ?change.status,
            version = change.version,
            "a tenant changed"
        );
    }

    /// How many tenants are remembered, and how many ids without one.
    pub async fn sizes(&self) -> (u64, u64) {
        self.known.run_pending_tasks().await;
        self.unknown.run_pending_tasks().await;
        (self.known.entry_count(), self.unknown.entry_count())
    }

    /// The same, without waiting for what was just added or dropped.
    #[must_use]
    pub fn rough_sizes(&self) -> (u64, u64) {
        (self.known.entry_count(), self.unknown.entry_count())
    }

    /// What `entry` says. A change that is pushed within the channel's present stretch would be heard of; what was
    /// learnt before it counts for as long as without a channel.
    fn known(&self, entry: &Entry) -> Known {
        let told_of_changes = self.ended.is_some() && entry.stretch == self.channel.stretch();
        let alone = entry.asked + self.lifetimes.untrusted_after;
        let until = if told_of_changes { entry.until } else { entry.until.min(alone) };
        Known { standing: entry.record.standing, until: Some(until) }
    }

    fn report(&self, tenant: TenantId, from: Option<Standing>, to: Option<Standing>) {
        // One that is gone and one that never was look alike to whoever reads the audit.
        let word = |standing: Option<Standing>| match standing {
            Some(Standing::Active) => Some("active"),
            Some(Standing::Suspended) => Some("suspended"),
            Some(Standing::Deleted) | None => None,
        };
        let (from, to) = (word(from), word(to));
        if from != to {
            self.on_change.call(TenantChange { tenant, from, to });
        }
    }

    fn told(&self, tenant: TenantId, now: Instant) -> Option<Entry> {
        self.told.get(&tenant).filter(|told| now < told.until)
    }

    fn counts_at(&self, entry: &Entry, now: Instant) -> bool {
        let limit = self.lifetimes.untrusted_after;
        now < entry.until
            && (now.saturating_duration_since(entry.asked) < limit
                || self.channel.vouches(entry.stretch, now, limit))
    }

    /// `before` is what was remembered until now, whether or not it still counts.
    async fn ask(&self, tenant: TenantId, before: Option<Entry>) -> Result<Entry, Nothing> {
        // Both before the question: what is pushed while it is under way is newer than its answer.
        let (asked, stretch) = (Instant::now(), self.channel.stretch());
        let fault = |fault| {
            self.counts.failed.inc();
            tracing::warn!(%tenant, code = SourceFault::code(fault), "the state of a tenant is not to be had");
            Nothing::Fault(fault)
        };
        let kept = self.there.get(&tenant).and_then(|()| self.kept_open.try_acquire().ok());
        let _open = match kept {
            Some(open) => open,
            None => self.open.try_acquire().map_err(|_| fault(SourceFault::Busy))?,
        };
        let Answer { record, good_for } = self.source.look_up(tenant).await.map_err(fault)?;
        self.counts.miss.inc();
        self.answered.store(true, Ordering::Relaxed);
        if let Some(Entry { record: known, .. }) = before
            && record.is_none_or(|record| record.version > known.version)
        {
            self.report(tenant, Some(known.standing), record.map(|record| record.standing));
        }
        let Some(record) = record else {
            self.there.remove(&tenant);
            self.unknown.insert(tenant, asked).await;
            return Err(Nothing::Absent);
        };
        self.there.insert(tenant, ());
        let life = good_for.unwrap_or(self.lifetimes.memory).min(self.lifetimes.memory);
        Ok(Entry { record, asked, until: asked + life, stretch })
    }
}

fn newer(one: Option<Entry>, other: Option<Entry>) -> Option<Entry> {
    match (one, other) {
        (Some(one), Some(other)) if other.record.version > one.record.version => Some(other),
        (Some(one), Some(other)) if other.record.version == one.record.version && other.until > one.until => {
            Some(other)
        }
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

#[cfg(test)]
mod tests;
