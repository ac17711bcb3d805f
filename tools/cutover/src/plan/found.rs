//! The findings of a comparison.

use std::collections::BTreeSet;

use edge_config::edge::{FURTHER_METHODS, METHODS};

/// Everything that differs between two edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The revision of the old edge.
    pub from: String,
    /// The revision of the new one.
    pub to: String,
    /// The differences for requests, the weaker first.
    pub requests: Vec<(Region, Finding)>,
    /// The differences for the edge as a whole, each with its subject.
    pub edge: Vec<(String, Finding)>,
}

impl Plan {
    /// Whether anything became less protected.
    #[must_use]
    pub fn weaker(&self) -> bool {
        let findings =
            self.requests.iter().map(|(_, finding)| finding).chain(self.edge.iter().map(|(_, f)| f));
        findings.into_iter().any(|finding| finding.standing == Protection::Weaker)
    }

    /// Whether requests and edge are treated as before.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.edge.is_empty()
    }
}

/// Requests that neither edge distinguishes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    /// The listener.
    pub listener: String,
    /// The host names; `*` stands for every name that no host lists.
    pub hosts: Vec<String>,
    /// The path.
    pub path: String,
    /// Whether the region contains the path itself.
    pub itself: bool,
    /// Whether the region contains the paths below it, except those of other regions.
    pub below: bool,
    /// The methods.
    pub methods: BTreeSet<&'static str>,
}

impl Region {
    /// `any method`, or the methods.
    #[must_use]
    pub fn shown_methods(&self) -> String {
        let usual: Vec<&str> = METHODS.into_iter().filter(|method| self.methods.contains(method)).collect();
        let further = FURTHER_METHODS.into_iter().filter(|method| self.methods.contains(method));
        // In the familiar order.
        let usual = if usual.len() == METHODS.len() { vec!["any method"] } else { usual };
        usual.into_iter().chain(further).collect::<Vec<_>>().join(", ")
    }

    /// The path, the paths below it, or both, in words.
    #[must_use]
    pub fn shown_path(&self) -> String {
        let below = if self.path == "/" { "/…".to_owned() } else { format!("{}/…", self.path) };
        match (self.itself, self.below) {
            (true, true) if self.path == "/" => below,
            (true, true) => format!("{} and {below}", self.path),
            (false, true) => below,
            (true, false) | (false, false) => self.path.clone(),
        }
    }
}

/// How protected something is now, compared with before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// A caller may pass who was refused before, or this cannot be ruled out.
    Weaker,
    /// It was closed and is now open to callers that a policy lets pass.
    Opened,
    /// No caller passes any more.
    Closed,
    /// Every caller that passes now passed before.
    Stricter,
    /// The same callers pass.
    Same,
}

impl Protection {
    /// The standing in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weaker => "weaker",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Stricter => "stricter",
            Self::Same => "same",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Whether it is better or worse protected.
    pub standing: Protection,
    /// The state before.
    pub before: String,
    /// The state after.
    pub after: String,
    /// The single differences, the weaker first.
    pub because: Vec<String>,
}

/// Collects the differences of one subject, each with its standing.
#[derive(Debug, Default)]
pub(super) struct Aspects(Vec<(Protection, String)>);

impl Aspects {
    pub(super) fn note(&mut self, standing: Protection, what: impl Into<String>) {
        self.0.push((standing, what.into()));
    }

    /// Notes a quantity of which more is weaker.
    pub(super) fn more_is_weaker<T: PartialOrd + Copy>(
        &mut self,
        what: &str,
        old: T,
        new: T,
        shown: impl Fn(&T) -> String,
    ) {
        if new > old {
            self.note(Protection::Weaker, format!("{what} raised from {} to {}", shown(&old), shown(&new)));
        } else if new < old {
            self.note(
                Protection::Stricter,
                format!("{what} lowered from {} to {}", shown(&old), shown(&new)),
            );
        }
    }

    /// Notes the members that a set gained or lost, with the standing of each kind.
    pub(super) fn members<T: Ord>(
        &mut self,
        what: &str,
        old: impl IntoIterator<Item = T>,
        new: impl IntoIterator<Item = T>,
        (added, removed): (Protection, Protection),
        shown: impl Fn(&T) -> String,
    ) {
        let (old, new) = (old.into_iter().collect::<BTreeSet<_>>(), new.into_iter().collect::<BTreeSet<_>>());
        for one in new.difference(&old) {
            self.note(added, format!("{what} {} added", shown(one)));
        }
        for one in old.difference(&new) {
            self.note(removed, format!("{what} {} dropped", shown(one)));
        }
    }

    /// Notes a changed value. Whether it is weaker cannot be seen from here, so a person has to check it.
    pub(super) fn other<T: PartialEq>(&mut self, what: &str, old: &T, new: &T) {
        if old != new {
            self.note(Protection::Weaker, format!("{what} changed: check it"));
        }
    }

    /// Notes that `what` became optional, or required.
    pub(super) fn is_required(&mut self, what: &str, old: bool, new: bool) {
        match (old, new) {
            (true, false) => self.note(Protection::Weaker, format!("{what} is optional")),
            (false, true) => self.note(Protection::Stricter, format!("{what} is required")),
            (true, true) | (false, false) => {}
        }
    }

    /// Notes a changed value that does not decide who passes.
    pub(super) fn changed<T: PartialEq>(&mut self, what: &str, old: &T, new: &T) {
        if old != new {
            self.note(Protection::Same, format!("{what} changed"));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The worst standing, and the words of all differences.
    pub(super) fn finish(mut self) -> (Protection, Vec<String>) {
        self.0.sort();
        let worst = self.0.first().map_or(Protection::Same, |(standing, _)| *standing);
        (worst, self.0.into_iter().map(|(_, what)| what).collect())
    }
}
