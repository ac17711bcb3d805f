//! The places where the reference differs from itself, and those where it agrees with itself.

use std::collections::BTreeMap;
use std::time::Duration;

use clock::UnixTime;
use edge_config::edge::DifferenceKind;

use crate::compare::Difference;

/// A place that was not seen for ten minutes is tested again: a deployment of the reference may have changed it.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// The most places of one route. A route with more needs an `ignore`.
pub const MAX_PLACES: usize = 256;

/// After this many agreements no further query is needed: a difference at such a place is counted.
const ENOUGH: u64 = 3;

/// The kind of a difference and its place.
pub type Key = (DifferenceKind, String);

/// The key of a difference.
#[must_use]
pub fn key(difference: &Difference) -> Key {
    (difference.kind, difference.place.clone())
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// How often it was seen.
    pub seen: u64,
    /// When it was seen last.
    pub last: UnixTime,
    /// Its name without credentials.
    pub shown: String,
}

#[derive(Debug, Default)]
struct Sightings(BTreeMap<Key, Sighting>);

impl Sightings {
    fn add(&mut self, key: Key, shown: String, now: UnixTime) {
        if self.0.len() >= MAX_PLACES && !self.0.contains_key(&key) {
            let oldest = self.0.iter().min_by_key(|(_, place)| place.last).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        let place = self.0.entry(key).or_insert(Sighting { seen: 0, last: now, shown });
        // A forgotten place starts again.
        if now.since(place.last) > REMEMBERED_FOR {
            place.seen = 0;
        }
        place.seen += 1;
        place.last = now;
    }

    fn get(&self, key: &Key, now: UnixTime) -> Option<&Sighting> {
        self.0.get(key).filter(|place| now.since(place.last) <= REMEMBERED_FOR)
    }
}

/// The known places of one route.
#[derive(Debug, Default)]
pub struct Noise {
    noisy: Sightings,
    steady: Sightings,
}

impl Noise {
    /// The reference differs from itself here.
    pub fn learn(&mut self, key: Key, shown: String, now: UnixTime) {
        self.steady.0.remove(&key);
        self.noisy.add(key, shown, now);
    }

    /// The reference agrees with itself here, and the shadow does not.
    pub fn agreed(&mut self, key: Key, now: UnixTime) {
        self.steady.add(key, String::new(), now);
    }

    /// Whether differences here are noise.
    #[must_use]
    pub fn is_noise(&self, key: &Key, now: UnixTime) -> bool {
        self.noisy.get(key, now).is_some()
    }

    /// Whether the reference need not be queried again.
    #[must_use]
    pub fn is_steady(&self, key: &Key, now: UnixTime) -> bool {
        self.steady.get(key, now).is_some_and(|place| place.seen >= ENOUGH)
    }

    /// The present noise.
    pub fn noisy(&self, now: UnixTime) -> impl Iterator<Item = (DifferenceKind, &Sighting)> {
        let remembered = move |(_, place): &(&Key, &Sighting)| now.since(place.last) <= REMEMBERED_FOR;
        self.noisy.0.iter().filter(remembered).map(|(key, place)| (key.0, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        (DifferenceKind::BodyValue, format!("/{number}"))
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(1_000_000 + seconds)
    }

    #[test]
    fn noise_is_forgotten_on_the_second() {
        let mut noise = Noise::default();
        noise.learn(key(1), "/1".to_owned(), at(0));
        assert!(noise.is_noise(&key(1), at(600)));
        assert!(!noise.is_noise(&key(1), at(601)));
        assert_eq!(noise.noisy(at(601)).count(), 0);
    }

    #[test]
    fn three_agreements_are_enough_until_there_is_noise() {
        let mut noise = Noise::default();
        for second in 0..3 {
            assert!(!noise.is_steady(&key(1), at(second)));
            noise.agreed(key(1), at(second));
        }
        assert!(noise.is_steady(&key(1), at(3)));
        noise.learn(key(1), String::new(), at(4));
        assert!(!noise.is_steady(&key(1), at(5)));
    }

    #[test]
    fn the_oldest_place_makes_room() {
        let mut noise = Noise::default();
        for number in 0..=MAX_PLACES {
            noise.learn(key(number), String::new(), at(number as u64));
        }
        assert_eq!(noise.noisy.0.len(), MAX_PLACES);
        assert!(!noise.is_noise(&key(0), at(300)) && noise.is_noise(&key(1), at(300)));
    }
}
