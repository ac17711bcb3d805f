//! Caches tenants in this replica: the layer that answers nearly every decision.
//!
//! | what is remembered | bound | for how long |
//! |---|---|---|
//! | states that were looked up | [`MAX_KNOWN`] | `memory_seconds`, and not past Redis's own end |
//! | states that were pushed | [`MAX_KNOWN`] | `memory_seconds` |
//! | ids that no tenant has | [`MAX_UNKNOWN`], apart from the others | `negative_seconds` |
//! | ids of existing tenants, which reserve a place for the next lookup | [`MAX_KNOWN`] | until a lookup finds no tenant |
//!
//! A state is valid while the push channel vouches for it, or while it is younger than
//! `untrusted_after_seconds`. Of two states the one with the larger version is the newer, so a change that is
//! pushed during a lookup wins. All requests that miss the same tenant share one lookup. Faults are never
//! cached.

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

use crate::backoff::Backoff;
use crate::ended::{Ended, FRESH, tenant_tag};
use crate::failure::Failure;
use crate::id_key;
use crate::source::channel::{Channel, Stretch};
use crate::tenant::change::{OnChange, TenantChange};
use crate::tenant::source::{KnownTenant, LookupCounts, SourceFault, TenantReply, TenantSource};

/// How many tenant states are cached: about 20 MB.
pub const MAX_KNOWN: u64 = 100_000;

/// How many ids without a tenant are cached. They are apart from the known tenants, so that a flood of them
/// evicts none.
pub const MAX_UNKNOWN: u64 = 10_000;

/// How many lookups may be open at once, one for each tenant. More would only wait at the source.
const MAX_OPEN: usize = 256;

/// Further lookups, reserved for tenants that recently existed: an issuer that signs for invented tenants
/// takes none of them.
const KEPT_OPEN: usize = 128;

/// The first wait before the source is tried again at the start; each further wait is twice the one before
/// it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait: a source that has come up is found within a second.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long each kind of entry is valid.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A state.
    pub memory: Duration,
    /// The absence of a tenant.
    pub negative: Duration,
    /// Any entry without a sign of life from the push channel.
    pub untrusted_after: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    record: Record,
    /// When the lookup began, not when the answer came.
    asked: Instant,
    until: Instant,
    stretch: Stretch,
}

/// Why a lookup leaves nothing to cache.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Nothing {
    #[error("no such tenant")]
    Absent,
    #[error(transparent)]
    Fault(SourceFault),
}

/// The cache of one replica. Each map is by the [key](crate::id_key) of the id, so that long ids take no more room.
#[derive(Debug)]
pub struct Memory {
    known: Cache<Uuid, Entry>,
    unknown: Cache<Uuid, Instant>,
    pushed: quick_cache::sync::Cache<Uuid, Entry>,
    source: Arc<dyn TenantSource>,
    channel: Arc<Channel>,
    open: Semaphore,
    kept_open: Semaphore,
    /// Tenants that existed at the last lookup.
    there: quick_cache::sync::Cache<Uuid, ()>,
    lifetimes: Lifetimes,
    /// Absent when no changes are pushed.
    ended: Option<Arc<Ended>>,
    counts: LookupCounts,
    answered: AtomicBool,
    on_change: OnChange,
}

impl Memory {
    /// The same cache, which notes pushed changes in `ended`.
    #[must_use]
    pub fn with_pushed_changes(self, ended: &Arc<Ended>) -> Self {
        Self { ended: Some(Arc::clone(ended)), ..self }
    }

    /// Whether every change that was pushed until [`FRESH`] before `now` has arrived. Without a channel no
    /// changes are expected, and each state is valid for its stated time.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.ended.is_none() || self.channel.is_alive(now, FRESH)
    }

    /// A cache in front of `source` that `channel` vouches for.
    #[must_use]
    pub fn new(
        source: Arc<dyn TenantSource>,
        channel: Arc<Channel>,
        lifetimes: Lifetimes,
        counts: LookupCounts,
    ) -> Self {
        Self {
            // Entries carry their own end; this time to live only frees their memory.
            known: Cache::builder().max_capacity(MAX_KNOWN).time_to_live(lifetimes.memory).build(),
            unknown: Cache::builder().max_capacity(MAX_UNKNOWN).time_to_live(lifetimes.negative).build(),
            pushed: quick_cache::sync::Cache::new(usize::try_from(MAX_KNOWN).unwrap_or(usize::MAX)),
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

    /// Calls `on_change` for each tenant that changes, if this replica knew it before.
    #[must_use]
    pub fn listening(self, on_change: OnChange) -> Self {
        Self { on_change, ..self }
    }

    /// Whether the source has answered at least once. Until then the replica is not ready.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Looks up a tenant that does not exist, repeatedly, until the source has answered once: a replica that
    /// is not ready receives no requests that would cause a lookup.
    pub async fn begin(&self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while !self.has_answered() {
            match self.source.look_up(&TenantId::from(Uuid::nil())).await {
                Ok(_) => self.answered.store(true, Ordering::Relaxed),
                Err(fault) => {
                    tracing::warn!(code = SourceFault::code(fault), "cannot look up tenants yet");
                    tokio::time::sleep(backoff.wait()).await;
                }
            }
        }
    }

    /// The state of `tenant`, or `None` when there is no such tenant.
    ///
    /// # Errors
    /// [`Failure::TenantsUnavailable`] when no valid entry is cached and the source has no answer.
    pub async fn standing(&self, tenant: &TenantId) -> Result<Option<Standing>, Failure> {
        Ok(self.look(tenant).await?.map(|known| known.standing))
    }

    /// The same, with the time for which it is valid when no change is pushed.
    ///
    /// # Errors
    /// As [`standing`](Self::standing).
    pub async fn look(&self, tenant: &TenantId) -> Result<Option<KnownTenant>, Failure> {
        let (now, key) = (Instant::now(), id_key::of_tenant(tenant));
        let remembered = newer(self.known.get(&key).await, self.pushed(&key, now));
        if let Some(entry) = remembered.filter(|entry| self.counts_at(entry, now)) {
            self.counts.hit.inc();
            return Ok(Some(self.known(&entry)));
        }
        if remembered.is_none()
            && let Some(asked) = self.unknown.get(&key).await
            && now.saturating_duration_since(asked) < self.lifetimes.negative
        {
            self.counts.hit.inc();
            return Ok(None);
        }
        // An outdated entry makes room, unless it was replaced meanwhile.
        self.known
            .entry(key)
            .and_compute_with(async |entry| match entry {
                Some(entry) if !self.counts_at(entry.value(), Instant::now()) => Op::Remove,
                Some(_) | None => Op::Nop,
            })
            .await;
        let asked = self.known.try_get_with(key, self.ask(tenant, key, remembered)).await;
        match asked.map_err(|nothing| *nothing) {
            // A change may have been pushed during the lookup.
            Ok(entry) => Ok(newer(Some(entry), self.pushed(&key, now)).map(|entry| self.known(&entry))),
            Err(Nothing::Absent) => Ok(None),
            Err(Nothing::Fault(_)) => Err(Failure::TenantsUnavailable),
        }
    }

    /// Applies a pushed change.
    pub async fn change(&self, change: &Change) {
        let (now, key) = (Instant::now(), id_key::of_tenant(&change.tenant));
        let pushed = self.pushed(&key, now);
        let before = newer(self.known.get(&key).await, pushed).map(|entry| entry.record);
        if pushed.is_none_or(|pushed| pushed.record.version <= change.version) {
            let until = now + self.lifetimes.memory;
            let entry = Entry { record: change.record(), asked: now, until, stretch: self.channel.stretch() };
            self.pushed.insert(key, entry);
        }
        if let Some(ended) = &self.ended {
            ended.note([tenant_tag(&change.tenant)], now);
        }
        // A change that a lookup already found, or that was pushed twice, was reported then.
        if before.is_none_or(|before| before.version < change.version) {
            self.report(&change.tenant, before.map(|before| before.standing), Some(change.status));
        }
        tracing::info!(
            code = "tenant_changed",
            tenant = %change.tenant,
            status = ?change.status,
            version = change.version,
            "a tenant changed"
        );
    }

    /// The number of cached tenants, and of cached ids without one.
    pub async fn sizes(&self) -> (u64, u64) {
        self.known.run_pending_tasks().await;
        self.unknown.run_pending_tasks().await;
        (self.known.entry_count(), self.unknown.entry_count())
    }

    /// The same, without counting the latest additions and removals.
    #[must_use]
    pub fn rough_sizes(&self) -> (u64, u64) {
        (self.known.entry_count(), self.unknown.entry_count())
    }

    /// The content of `entry`. The channel would push a change within its present stretch; an older entry is
    /// valid for as long as without a channel.
    fn known(&self, entry: &Entry) -> KnownTenant {
        let is_pushed = self.ended.is_some() && entry.stretch == self.channel.stretch();
        let alone = entry.asked + self.lifetimes.untrusted_after;
        let until = if is_pushed { entry.until } else { entry.until.min(alone) };
        KnownTenant { standing: entry.record.standing, until: Some(until) }
    }

    fn report(&self, tenant: &TenantId, from: Option<Standing>, to: Option<Standing>) {
        // The audit does not distinguish a deleted tenant from one that never existed.
        let word = |standing: Option<Standing>| match standing {
            Some(Standing::Active) => Some("active"),
            Some(Standing::Suspended) => Some("suspended"),
            Some(Standing::Deleted) | None => None,
        };
        let (from, to) = (word(from), word(to));
        if from != to {
            self.on_change.call(TenantChange { tenant: tenant.clone(), from, to });
        }
    }

    fn pushed(&self, tenant: &Uuid, now: Instant) -> Option<Entry> {
        self.pushed.get(tenant).filter(|pushed| now < pushed.until)
    }

    fn counts_at(&self, entry: &Entry, now: Instant) -> bool {
        let limit = self.lifetimes.untrusted_after;
        now < entry.until
            && (now.saturating_duration_since(entry.asked) < limit
                || self.channel.vouches(entry.stretch, now, limit))
    }

    /// Looks `tenant` up. `before` is the entry that was cached until now, whether or not it is still valid.
    async fn ask(&self, tenant: &TenantId, key: Uuid, before: Option<Entry>) -> Result<Entry, Nothing> {
        // Both are read before the lookup: a change that is pushed during it is newer than its answer.
        let (asked, stretch) = (Instant::now(), self.channel.stretch());
        let fault = |fault| {
            self.counts.failed.inc();
            tracing::warn!(%tenant, code = SourceFault::code(fault), "cannot look up a tenant");
            Nothing::Fault(fault)
        };
        let kept = self.there.get(&key).and_then(|()| self.kept_open.try_acquire().ok());
        let _open = match kept {
            Some(open) => open,
            None => self.open.try_acquire().map_err(|_| fault(SourceFault::Busy))?,
        };
        let TenantReply { record, good_for } = self.source.look_up(tenant).await.map_err(fault)?;
        self.counts.miss.inc();
        self.answered.store(true, Ordering::Relaxed);
        if let Some(Entry { record: known, .. }) = before
            && record.is_none_or(|record| record.version > known.version)
        {
            self.report(tenant, Some(known.standing), record.map(|record| record.standing));
        }
        let Some(record) = record else {
            self.there.remove(&key);
            self.unknown.insert(key, asked).await;
            return Err(Nothing::Absent);
        };
        self.there.insert(key, ());
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
