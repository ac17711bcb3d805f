//! Refusals by a policy or a limit in shadow.

use std::sync::Arc;

/// Every refusal that shadows did not enforce for one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shadows(Vec<Shadowed>);

impl Shadows {
    /// Notes that `of` would have refused, because of `reason`.
    pub fn would_refuse(&mut self, of: Shadow, reason: &'static str) {
        self.0.push(Shadowed { of, reason });
    }

    /// Whether no shadow would have refused.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each refusal, in the order of the stages.
    pub fn iter(&self) -> impl Iterator<Item = &Shadowed> {
        self.0.iter()
    }

    /// Every reason for which only a shadow refused, separated by commas: `role_too_low`,
    /// `rate_limited:calm`.
    #[must_use]
    pub fn reasons(&self) -> Option<String> {
        let one = |shadowed: &Shadowed| match &shadowed.of {
            Shadow::Policy(_) => shadowed.reason.to_owned(),
            Shadow::Limit(name) => format!("{}:{name}", shadowed.reason),
        };
        let all: Vec<String> = self.0.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(","))
    }
}

/// A refusal that was not enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The rule that would have refused.
    pub of: Shadow,
    /// The stable code of the reason.
    pub reason: &'static str,
}

/// A rule on trial.
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
