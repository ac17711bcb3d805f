//! A filter of a fixed size for revocations without room in the list. It never forgets one.
//!
//! A Bloom filter: it answers "certainly not" or "perhaps". An added revocation is always found, so no ended
//! session passes; another session is mistaken for an ended one at the rate of [`Filter::rate`], and only
//! that session is refused.

use std::hash::{BuildHasher as _, Hash, RandomState};

/// Bits for each revocation that fits the list itself. With as many again in the filter, 0.02 % of the other
/// sessions are refused; with four times as many, 2.4 %. For the default room these are 2 MB.
const BITS_PER_ROOM: usize = 32;

/// How many bits each entry sets: the best number for 32 bits is 22, but the filter should tolerate more
/// entries than it was sized for, and there a few are best.
const PROBES: u32 = 4;

/// The smallest filter: 8 KB cost little, and a small list stays useful after its first overflow.
const MIN_BITS: usize = 1 << 16;

/// The largest: 32 MB.
const MAX_BITS: usize = 1 << 28;

/// A set of ids that may wrongly answer "perhaps" but never wrongly "no".
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    /// One less than the number of bits, which is a power of two.
    mask: u64,
    /// Seeded by the process: an attacker cannot choose session ids that collide.
    hasher: RandomState,
    entries: usize,
    /// After this second no entry matters.
    until: u64,
}

impl Filter {
    /// An empty filter beside a list that holds `room` entries. Filters with the same `hasher` can be
    /// [joined](Self::join).
    pub(super) fn beside(room: usize, hasher: &RandomState) -> Self {
        let bits = room.saturating_mul(BITS_PER_ROOM).clamp(MIN_BITS, MAX_BITS).next_power_of_two();
        let mask = u64::try_from(bits - 1).unwrap_or(u64::MAX);
        Self { words: vec![0; bits / 64], mask, hasher: hasher.clone(), entries: 0, until: 0 }
    }

    /// Adds `id`, which matters until `until`.
    pub(super) fn put(&mut self, id: &impl Hash, until: u64) {
        self.until = self.until.max(until);
        let mut is_new = false;
        for (index, bit) in self.places(id) {
            if let Some(word) = self.words.get_mut(index) {
                is_new |= *word & bit == 0;
                *word |= bit;
            }
        }
        self.entries += usize::from(is_new);
    }

    /// Adds every entry of `other`, which was created beside the same list.
    pub(super) fn join(&mut self, other: &Self) {
        for (word, theirs) in self.words.iter_mut().zip(&other.words) {
            *word |= theirs;
        }
        self.entries = self.entries.max(other.entries);
        self.until = self.until.max(other.until);
    }

    /// Whether `id` may have been added. `false` is certain.
    pub(super) fn may_hold(&self, id: &impl Hash) -> bool {
        self.places(id)
            .into_iter()
            .all(|(index, bit)| self.words.get(index).is_some_and(|word| word & bit != 0))
    }

    /// Whether no entry matters at second `now`.
    pub(super) const fn is_over(&self, now: u64) -> bool {
        self.until < now
    }

    /// The number of entries; slightly fewer than were added when the filter is very full.
    pub(super) const fn len(&self) -> usize {
        self.entries
    }

    /// The share of ids that were never added and are mistaken for one that was.
    pub(super) fn rate(&self) -> f64 {
        let ones: u64 = self.words.iter().map(|word| u64::from(word.count_ones())).sum();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let full = ones as f64 / (self.mask as f64 + 1.0);
        full.powi(4)
    }

    /// Word and bit of each probe (Kirsch and Mitzenmacher: two hashes are enough for all).
    fn places(&self, id: &impl Hash) -> [(usize, u64); PROBES as usize] {
        let first = self.hasher.hash_one((0_u8, id));
        // Odd, so that the probes of one id differ.
        let step = self.hasher.hash_one((1_u8, id)) | 1;
        let mut places = [(0, 0); PROBES as usize];
        let mut at = first;
        for place in &mut places {
            let bit = at & self.mask;
            *place = (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64));
            at = at.wrapping_add(step);
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_always_found_and_any_other_rarely() {
        let mut filter = Filter::beside(10_000, &RandomState::new());
        for number in 0..10_000_u64 {
            filter.put(&number, 5);
        }
        assert!((0..10_000_u64).all(|number| filter.may_hold(&number)), "an entry is forgotten");
        let wrong = (10_000..110_000_u64).filter(|number| filter.may_hold(number)).count();
        assert!(wrong < 200, "{wrong} of 100,000, where about 20 are expected");
        assert!(filter.rate() < 0.002 && filter.len() > 9_900, "{filter:?}");
        assert!(!filter.is_over(5) && filter.is_over(6));
    }

    #[test]
    fn two_joined_filters_hold_the_entries_of_both() {
        let hasher = RandomState::new();
        let (mut one, mut other) = (Filter::beside(1, &hasher), Filter::beside(1, &hasher));
        one.put(&1, 5);
        other.put(&2, 9);
        one.join(&other);
        assert!(one.may_hold(&1) && one.may_hold(&2) && !one.may_hold(&3));
        assert!(!one.is_over(9) && one.is_over(10));
    }

    #[test]
    fn its_memory_is_bounded_for_any_number_of_entries() {
        let mut filter = Filter::beside(1, &RandomState::new());
        let words = filter.words.len();
        for number in 0..1_000_000_u64 {
            filter.put(&number, 5);
        }
        assert_eq!(filter.words.len(), words);
        assert!((0..1_000_000_u64).all(|number| filter.may_hold(&number)));
        assert!(filter.rate() > 0.99, "and says how little it is worth now");
    }
}
