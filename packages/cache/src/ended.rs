//! What was invalidated, and when: a value that was read before the last invalidation of one of its scopes counts as absent.
//!
//! Emptying memory alone is not enough. A value can be on its way into memory while it is emptied, and a reader that comes
//! after the invalidation can be given the value of one that began before it.

use std::collections::HashMap;

use parking_lot::RwLock;

use crate::key::Key;

/// The most scopes that are remembered one by one, of some 100 bytes each. Beyond it everything before now counts as absent,
/// which costs reads of the source and never an old value.
const MAX_SCOPES: usize = 10_000;

/// The invalidations of one cache, numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Ended(RwLock<Invalidations>);

#[derive(Debug, Default)]
struct Invalidations {
    last: u64,
    /// Values from before this one count as absent, whatever their scopes.
    everything: u64,
    /// The last one of each scope.
    scopes: HashMap<String, u64>,
}

impl Ended {
    /// Returns the number of the last invalidation. A value that is read from now on has all of them in it.
    pub(crate) fn now(&self) -> u64 {
        self.0.read().last
    }

    /// Invalidates all keys that begin with `scope`.
    pub(crate) fn end(&self, scope: &str) {
        let mut invalidations = self.0.write();
        invalidations.last += 1;
        let last = invalidations.last;
        if invalidations.scopes.len() >= MAX_SCOPES && !invalidations.scopes.contains_key(scope) {
            invalidations.scopes.clear();
            invalidations.everything = last;
        }
        invalidations.scopes.insert(scope.to_owned(), last);
    }

    /// Invalidates every key.
    pub(crate) fn end_everything(&self) {
        let mut invalidations = self.0.write();
        invalidations.last += 1;
        invalidations.everything = invalidations.last;
        invalidations.scopes.clear();
    }

    /// Whether no invalidation after the number `since` is one of `key`.
    pub(crate) fn is_current(&self, key: &Key, since: u64) -> bool {
        let invalidations = self.0.read();
        let ended = |scope: &str| invalidations.scopes.get(scope).is_some_and(|number| *number > since);
        since >= invalidations.everything && !key.scopes().into_iter().any(ended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::Kind;

    static ACCOUNTS: Kind = Kind {
        name: "account",
        memory: Duration::from_secs(1),
        shared: Duration::from_secs(1),
        missing: Duration::from_secs(1),
    };

    #[test]
    fn more_scopes_than_are_remembered_end_everything_and_none_is_forgotten() {
        let tenant = "00000000-0000-7000-8000-000000000001".parse().unwrap();
        let key = |id: usize| Key::new(&tenant, &ACCOUNTS, &id.to_string()).unwrap();
        let ended = Ended::default();
        let before = ended.now();
        ended.end(key(0).as_str());
        assert!(!ended.is_current(&key(0), before) && ended.is_current(&key(1), before));
        assert!(ended.is_current(&key(0), ended.now()));
        for id in 2..MAX_SCOPES + 2 {
            ended.end(key(id).as_str());
        }
        assert!(!ended.is_current(&key(0), before), "it is not remembered by itself any more");
        assert!(ended.0.read().scopes.len() <= MAX_SCOPES);
        let now = ended.now();
        assert!(ended.is_current(&key(0), now));
        ended.end_everything();
        assert!(!ended.is_current(&key(0), now));
    }
}
