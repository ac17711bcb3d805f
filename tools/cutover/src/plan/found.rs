//! What a comparison found.

use std::collections::BTreeSet;

use edge_config::edge::METHODS;

/// Everything that differs between two edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The revision of the old edge.
    pub from: String,
    /// The revision of the new one.
    pub to: String,
    /// What is different for requests, the weaker first.
    pub requests: Vec<(Region, Finding)>,
    /// What is different for the edge as a whole: the subject, and what about it.
    pub edge: Vec<(String, Finding)>,
}

impl Plan {
    /// Whether anything became less protected.
    #[must_use]
    pub fn weaker(&self) -> bool {
        let findings =
            self.requests.iter().map(|(_, finding)| finding).chain(self.edge.iter().map(|(_, f)| f));
        findings.into_iter().any(|finding| finding.standing == Standing::Weaker)
    }

    /// Whether requests and edge are treated as before.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.edge.is_empty()
    }
}

/// Requests that neither edge tells apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    /// The listener.
    pub listener: String,
    /// The host names; `*` is every name that is not named elsewhere.
    pub hosts: Vec<String>,
    /// The path.
    pub path: String,
    /// Whether the path itself is meant.
    pub itself: bool,
    /// Whether what is below it is meant, as far as no other region says otherwise.
    pub below: bool,
    /// The methods.
    pub methods: BTreeSet<&'static str>,
}

impl Region {
    /// `any method`, or the methods.
    #[must_use]
    pub fn shown_methods(&self) -> String {
        if self.methods.len() == METHODS.len() {
            return "any method".to_owned();
        }
        // In the order that people know them in.
        METHODS.iter().filter(|m| self.methods.contains(*m)).copied().collect::<Vec<_>>().join(", ")
    }

    /// The path, and whether it or what is below it is meant.
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
pub enum Standing {
    /// Somebody may pass who was refused before, or it cannot be told that nobody may.
    Weaker,
    /// It was closed and is open to those whom a policy lets pass.
    Opened,
    /// Nobody passes any more.
    Closed,
    /// Whoever passes now passed before.
    Stricter,
    /// The same people pass.
    Same,
}

impl Standing {
    /// One word.
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
    /// Better or worse protected.
    pub standing: Standing,
    /// How it was.
    pub before: String,
    /// How it is.
    pub after: String,
    /// What exactly, the weaker first.
    pub because: Vec<String>,
}

/// Collects differences of one thing, and how they stand.
#[derive(Debug, Default)]
pub(super) struct Aspects(Vec<(Standing, String)>);

impl Aspects {
    pub(super) fn note(&mut self, standing: Standing, what: impl Into<String>) {
        self.0.push((standing, what.into()));
    }

    /// A quantity of which more is weaker.
    pub(super) fn more_is_weaker<T: PartialOrd + Copy>(
        &mut self,
        what: &str,
        old: T,
        new: T,
        shown: impl Fn(&T) -> String,
    ) {
        if new > old {
            self.note(Standing::Weaker, format!("{what} raised from {} to {}", shown(&old), shown(&new)));
        } else if new < old {
            self.note(Standing::Stricter, format!("{what} lowered from {} to {}", shown(&old), shown(&new)));
        }
    }

    /// A set of which more is weaker.
    pub(super) fn members<T: Ord>(
        &mut self,
        what: &str,
        old: impl IntoIterator<Item = T>,
        new: impl IntoIterator<Item = T>,
        (added, removed): (Standing, Standing),
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

    /// Something that is another one now. Whether that is weaker cannot be seen from here.
    pub(super) fn other<T: PartialEq>(&mut self, what: &str, old: &T, new: &T) {
        if old != new {
            self.note(Standing::Weaker, format!("{what} is another one: look at it"));
        }
    }

    /// Something that is another one now and decides nothing about who passes.
    pub(super) fn changed<T: PartialEq>(&mut self, what: &str, old: &T, new: &T) {
        if old != new {
            self.note(Standing::Same, format!("{what} is another one"));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The worst of all, and the words.
    pub(super) fn finish(mut self) -> (Standing, Vec<String>) {
        self.0.sort();
        let worst = self.0.first().map_or(Standing::Same, |(standing, _)| *standing);
        (worst, self.0.into_iter().map(|(_, what)| what).collect())
    }
}
