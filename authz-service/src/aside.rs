//! What was noticed beside a decision: which limits were exceeded, and what would have been refused if it were
//! not only tried out.

use std::sync::Arc;

use crate::limit::answer::Exceeded;

/// Everything noticed while one request was decided about.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    /// The limits that refused the request; absent when none did.
    pub exceeded: Option<Exceeded>,
    /// What would have been refused.
    pub shadow: Vec<Shadowed>,
}

impl Aside {
    /// Notes that `of` would have refused, because of `reason`.
    pub fn would_refuse(&mut self, of: Shadow, reason: &'static str) {
        self.shadow.push(Shadowed { of, reason });
    }

    /// The limit that an exceeded request met first.
    #[must_use]
    pub fn limit(&self) -> Option<&Arc<str>> {
        self.exceeded.as_ref().and_then(Exceeded::first)
    }

    /// Every reason that only a shadow refused for, by commas: `role_too_low`, `rate_limited:calm`.
    #[must_use]
    pub fn shadow_reasons(&self) -> Option<String> {
        let one = |shadowed: &Shadowed| match &shadowed.of {
            Shadow::Policy(_) => shadowed.reason.to_owned(),
            Shadow::Limit(name) => format!("{}:{name}", shadowed.reason),
        };
        let all: Vec<String> = self.shadow.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(","))
    }
}

/// A refusal that was only told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// What would have refused.
    pub of: Shadow,
    /// The stable code of the reason.
    pub reason: &'static str,
}

/// What is only tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shadow {
    /// The policy of this name.
    Policy(Arc<str>),
    /// The limit of this name.
    Limit(Arc<str>),
}

impl Shadow {
    /// `policy` or `limit`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy",
            Self::Limit(_) => "limit",
        }
    }

    /// Its name in the edge file.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        match self {
            Self::Policy(name) | Self::Limit(name) => name,
        }
    }
}
