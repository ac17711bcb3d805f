//! Keeps revocations for which the list had no room.

use std::hash::RandomState;

use ::lease::Kind;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use uuid::Uuid;

use super::filter::Filter;

/// A session, person or tenant.
type Entry = (Kind, Uuid);

/// Revocations for which there was no room: a filter, created with the first one.
#[derive(Debug, Default)]
pub(super) struct Beyond(RwLock<Filters>);

#[derive(Debug, Default)]
struct Filters {
    now: Option<Filter>,
    /// The entries from before everything is read again. They count until the reading has ended.
    before: Option<Filter>,
    /// All filters of a list share it, so that they can be joined.
    hasher: RandomState,
}

impl Beyond {
    /// Puts `entry`, which matters until `until`, beside a list that has room for `room` entries.
    pub(super) fn put(&self, entry: Entry, until: u64, room: usize) {
        let mut filters = self.write();
        let Filters { now, before: _, hasher } = &mut *filters;
        let filter = now.get_or_insert_with(|| {
            tracing::error!(room, "revocation list full; refusing the sessions that it has no room for");
            Filter::beside(room, hasher)
        });
        filter.put(&entry, until);
    }

    /// Whether `entry` may have found no room. `false` is certain.
    pub(super) fn may_hold(&self, entry: Entry) -> bool {
        let filters = self.read();
        filters.now.iter().chain(&filters.before).any(|filter| filter.may_hold(&entry))
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        let filters = self.read();
        filters.now.iter().chain(&filters.before).map(Filter::len).max().unwrap_or(0)
    }

    /// The number of entries, and the share of all other ids that is mistaken for one of them.
    pub(super) fn filled(&self) -> Option<(usize, f64)> {
        self.read().now.as_ref().map(|filter| (filter.len(), filter.rate()))
    }

    /// Begins to read everything again.
    pub(super) fn begin_again(&self) {
        let mut filters = self.write();
        let Filters { now, before, hasher: _ } = &mut *filters;
        // An earlier attempt may not have finished.
        match (before.as_mut(), now.take()) {
            (Some(before), Some(filter)) => before.join(&filter),
            (None, filter) => *before = filter,
            (Some(_), None) => {}
        }
    }

    /// Notes that everything was read again.
    pub(super) fn end_again(&self) {
        // Checked first, because this runs with every poll of the file.
        if self.read().before.is_some() {
            self.write().before = None;
        }
    }

    /// Drops a filter whose entries no longer matter at second `now`.
    pub(super) fn sweep(&self, now: u64) {
        let mut filters = self.write();
        let Filters { now: filter, before, hasher: _ } = &mut *filters;
        for filter in [filter, before] {
            filter.take_if(|filter| filter.is_over(now));
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Filters> {
        self.0.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Filters> {
        self.0.write()
    }
}
