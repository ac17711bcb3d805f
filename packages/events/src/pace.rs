//! How long to wait before something that failed is tried again.

use std::time::Duration;

use uuid::Uuid;

/// The wait after `failures` failures in a row: `first` after one, then twice as long each time, at most `longest`; of that a
/// random half to whole, so that several workers do not come back at the same moment.
pub(crate) fn wait(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let full = doubled.min(longest);
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let half = full / 2;
    let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    half.saturating_add(Duration::from_millis(random % span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(10));
        for (failures, full) in [(1, 100), (2, 200), (5, 1_600), (20, 10_000), (u32::MAX, 10_000)] {
            for _ in 0..50 {
                let wait = wait(failures, first, longest).as_millis();
                assert!((full / 2..=full).contains(&wait), "{failures}: {wait}");
            }
        }
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| wait(20, first, longest)).collect();
        assert!(waits.len() > 10, "{waits:?}");
    }
}
