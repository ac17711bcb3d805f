//! Tracks the version of each backend that answered.

use std::collections::BTreeMap;
use std::time::Duration;

use clock::UnixTime;

/// How long a version is remembered. During a rollout both versions answer for a while, and an old one that answers again is
/// not new. A version that returns after more time than a rollout takes is a change, too.
const GONE_AFTER: Duration = Duration::from_secs(600);

/// More versions of one backend at one time than any rollout has: then the header is not a version, and a value that
/// changes with each answer must not restart the counts each time.
const MAX_VERSIONS: usize = 8;

/// Longer values are not versions.
const MAX_BYTES: usize = 128;

/// The versions of the backends of one route.
#[derive(Debug, Default)]
pub(super) struct Versions(BTreeMap<String, BTreeMap<Vec<u8>, UnixTime>>);

impl Versions {
    /// Notes that `version` of `backend` answered; returns whether it is another one than before.
    pub(super) fn is_new(&mut self, backend: &str, version: &[u8], now: UnixTime) -> bool {
        if version.len() > MAX_BYTES {
            return false;
        }
        let known = self.0.entry(backend.to_owned()).or_default();
        if known.is_empty() {
            known.insert(version.to_owned(), now);
            return false;
        }
        // An idle route forgets nothing: only replaced versions are removed.
        let newest = known.values().max().copied().unwrap_or(now);
        if let Some(last) = known.get_mut(version) {
            let came_back = newest.since(*last) > GONE_AFTER;
            *last = now;
            return came_back;
        }
        known.retain(|_, last| newest.since(*last) <= GONE_AFTER);
        if known.len() >= MAX_VERSIONS {
            return false;
        }
        known.insert(version.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_is_new_once_and_an_old_one_when_it_comes_back() {
        let mut versions = Versions::default();
        let mut is_new =
            |version: &str, at| versions.is_new("users", version.as_bytes(), UnixTime::from_seconds(at));
        assert!(!is_new("1", 0), "the first");
        assert!(!is_new("1", 5_000), "an idle route");
        assert!(is_new("2", 5_001));
        assert!(!is_new("1", 5_002) && !is_new("2", 5_003), "both answer during a rollout");
        assert!(!is_new("2", 6_000));
        assert!(is_new("1", 6_001), "rolled back");
    }

    #[test]
    fn a_header_that_changes_with_each_answer_is_not_a_version() {
        let mut versions = Versions::default();
        let new = (0..1_000).filter(|n| {
            let version = format!("{n}");
            versions.is_new("users", version.as_bytes(), UnixTime::from_seconds(1 + n / 100))
        });
        assert!(new.count() < MAX_VERSIONS);
        assert!(!versions.is_new("users", &[b'a'; 200], UnixTime::from_seconds(20)));
    }
}
