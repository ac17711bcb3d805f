//! Which differences are the shadow's: those at which the reference agrees with itself.

use std::collections::BTreeSet;

use clock::UnixTime;

use crate::compare::{Difference, compare};
use crate::noise::{Key, Noise, key};
use crate::overlooked::Overlooked;

/// A comparison under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// What may be a difference of the shadow's.
    pub differences: Vec<Difference>,
    /// Whether something was noise.
    pub noise: bool,
    /// Whether something was ignored.
    pub ignored: bool,
    /// Whether the reference's later answer was the shadow's somewhere: something was written in between.
    pub moved: bool,
}

/// What a second answer of the reference taught.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// Here the reference differs from itself.
    pub noise: Vec<Key>,
    /// Here it agrees with itself.
    pub agreed: Vec<Key>,
}

impl Open {
    /// What of `differences` matters and is not known as noise.
    #[must_use]
    pub fn new(
        differences: Vec<Difference>,
        overlooked: Overlooked<'_>,
        noise: &Noise,
        now: UnixTime,
    ) -> Self {
        let mut open = Self::default();
        for difference in differences {
            if overlooked.covers(&difference) {
                open.ignored = true;
            } else if noise.is_noise(&key(&difference), now) {
                open.noise = true;
            } else {
                open.differences.push(difference);
            }
        }
        open
    }

    /// Whether the reference has to be asked again before anything is counted.
    #[must_use]
    pub fn needs_a_look(&self, noise: &Noise, now: UnixTime) -> bool {
        self.differences.iter().any(|difference| !noise.is_steady(&key(difference), now))
    }

    /// Sets another answer of the reference (`again`) beside both. What is left differs from a reference that agrees
    /// with itself.
    pub fn look(
        &mut self,
        reference: &crate::answer::Answer,
        shadow: Option<&crate::answer::Answer>,
        again: &crate::answer::Answer,
    ) -> Lesson {
        let keys = |differences: &[Difference]| differences.iter().map(key).collect::<BTreeSet<Key>>();
        let with_itself = keys(&compare(reference, again).differences);
        let with_shadow = shadow.map(|shadow| keys(&compare(again, shadow).differences));
        let mut lesson = Lesson::default();
        self.differences.retain(|difference| {
            let key = key(difference);
            if !with_itself.contains(&key) {
                lesson.agreed.push(key);
                return true;
            }
            if with_shadow.as_ref().is_some_and(|differences| !differences.contains(&key)) {
                self.moved = true;
            } else {
                self.noise = true;
                lesson.noise.push(key);
            }
            false
        });
        lesson
    }
}

#[cfg(test)]
mod tests;
