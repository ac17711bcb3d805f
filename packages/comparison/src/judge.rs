//! Finds the differences that the shadow causes: those at whose places the reference agrees with itself.

use std::collections::BTreeSet;

use clock::UnixTime;

use crate::compare::{Difference, compare};
use crate::noise::{Key, Noise, key};
use crate::overlooked::Overlooked;

/// A comparison in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The differences that the shadow may cause.
    pub differences: Vec<Difference>,
    /// Whether a difference was noise.
    pub noise: bool,
    /// Whether a difference was ignored.
    pub ignored: bool,
    /// Whether a later answer of the reference equals the shadow's at a place: the data was changed in between.
    pub moved: bool,
}

/// The findings from a second answer of the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// Here the reference differs from itself.
    pub noise: Vec<Key>,
    /// Here it agrees with itself.
    pub agreed: Vec<Key>,
}

impl Open {
    /// The `differences` that matter and are not known as noise.
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

    /// Whether the reference has to be queried again before a difference is counted.
    #[must_use]
    pub fn needs_a_look(&self, noise: &Noise, now: UnixTime) -> bool {
        self.differences.iter().any(|difference| !noise.is_steady(&key(difference), now))
    }

    /// Compares another answer of the reference (`again`) with both. The remaining differences are at places where the
    /// reference agrees with itself.
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
