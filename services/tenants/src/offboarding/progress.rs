//! How far an offboarding is, and what comes next. Pure.

use std::fmt;
use std::str::FromStr;

use identity::ServiceName;

/// The direction of an offboarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Services are asked whether they can remove the tenant's data.
    Preparing,
    /// Services remove it.
    Removing,
    /// Services take back what they prepared.
    Undoing,
    /// The tenant is deleted.
    Done,
    /// The tenant is what it was before.
    Undone,
}

/// The text is not a valid phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a phase")]
pub struct UnknownPhase(String);

/// How far an offboarding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its direction.
    pub phase: Phase,
    /// Preparing and removing: how many participants have done it. Undoing: how many may still have something prepared.
    pub step: usize,
    /// The services with data of tenants, in the order of the steps.
    pub participants: Vec<ServiceName>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Ask this service to prepare the removal.
    Prepare(ServiceName),
    /// Have this service remove the tenant's data.
    Remove(ServiceName),
    /// Have this service take its preparation back.
    TakeBack(ServiceName),
    /// Mark the tenant as deleted.
    Delete,
    /// Give the tenant its former standing.
    Restore,
}

impl Task {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Prepare(_) => "prepare",
            Self::Remove(_) => "remove",
            Self::TakeBack(_) => "take-back",
            Self::Delete => "delete",
            Self::Restore => "restore",
        }
    }
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 5] = [Self::Preparing, Self::Removing, Self::Undoing, Self::Done, Self::Undone];

    /// The text in the database and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Removing => "removing",
            Self::Undoing => "undoing",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, UnknownPhase> {
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.ok_or_else(|| UnknownPhase(text.chars().take(32).collect()))
    }
}

impl Progress {
    /// Returns what comes next; `None` at the end.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        let at = |step: usize| self.participants.get(step).cloned();
        match self.phase {
            Phase::Preparing => Some(at(self.step).map_or_else(|| self.first_removal(), Task::Prepare)),
            Phase::Removing => Some(at(self.step).map_or(Task::Delete, Task::Remove)),
            Phase::Undoing => {
                Some(self.step.checked_sub(1).and_then(at).map_or(Task::Restore, Task::TakeBack))
            }
            Phase::Done | Phase::Undone => None,
        }
    }

    /// After the last preparation comes the first removal, or without participants the end.
    fn first_removal(&self) -> Task {
        self.participants.first().cloned().map_or(Task::Delete, Task::Remove)
    }

    /// Returns the progress after `task`, which is the one of [`task`](Self::task), succeeded.
    #[must_use]
    pub fn after(&self, task: &Task) -> Self {
        let (phase, step) = match task {
            Task::Prepare(_) => (Phase::Preparing, self.step.saturating_add(1)),
            // The first removal is taken from the phase of preparations.
            Task::Remove(_) if self.phase == Phase::Preparing => (Phase::Removing, 1),
            Task::Remove(_) => (Phase::Removing, self.step.saturating_add(1)),
            Task::TakeBack(_) => (Phase::Undoing, self.step.saturating_sub(1)),
            Task::Delete => (Phase::Done, self.step),
            Task::Restore => (Phase::Undone, 0),
        };
        Self { phase, step, participants: self.participants.clone() }
    }

    /// Returns the progress after the preparation by the present participant was refused: it takes back what it may have
    /// begun, and so do those before it.
    #[must_use]
    pub fn refused(&self) -> Self {
        let step = self.step.saturating_add(1).min(self.participants.len());
        Self { phase: Phase::Undoing, step, participants: self.participants.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(names: &[&str]) -> Progress {
        let participants = names.iter().map(|name| name.parse().unwrap()).collect();
        Progress { phase: Phase::Preparing, step: 0, participants }
    }

    fn tasks(mut progress: Progress) -> Vec<Task> {
        let mut tasks = Vec::new();
        while let Some(task) = progress.task() {
            assert!(tasks.len() < 20, "{tasks:?}");
            progress = progress.after(&task);
            tasks.push(task);
        }
        tasks
    }

    #[test]
    fn everyone_prepares_before_anyone_removes() {
        let (a, b): (ServiceName, ServiceName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let expected = [
            Task::Prepare(a.clone()),
            Task::Prepare(b.clone()),
            Task::Remove(a.clone()),
            Task::Remove(b.clone()),
            Task::Delete,
        ];
        assert_eq!(tasks(begin(&["a", "b"])), expected);
        assert_eq!(tasks(begin(&["a"])), [Task::Prepare(a.clone()), Task::Remove(a.clone()), Task::Delete]);
        assert_eq!(tasks(begin(&[])), [Task::Delete]);
        // Refused by the second: both take back, the latest first.
        let first = begin(&["a", "b"]);
        let second = first.after(&first.task().unwrap());
        assert_eq!(tasks(second.refused()), [Task::TakeBack(b), Task::TakeBack(a.clone()), Task::Restore]);
        assert_eq!(tasks(first.refused()), [Task::TakeBack(a), Task::Restore]);
    }
}
