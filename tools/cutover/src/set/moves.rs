//! The change of a route's destination in the form of the command line: `users=10,legacy=90`, `legacy-session=auth`, or both.

use std::fmt;
use std::str::FromStr;

use edge_config::edge::{AcceptedCredential, Destination, OfKind};

use super::shares::{InvalidShares, Shares, is_name};

/// New shares, new backends for kinds of sessions, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves {
    /// The backends of these kinds; each kind at most once.
    kinds: Vec<OfKind>,
    /// The shares of all other callers; absent when they stay as they are.
    shares: Option<Shares>,
}

/// Why a text is not a valid change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMove {
    /// The shares in it are invalid.
    #[error(transparent)]
    Shares(#[from] InvalidShares),
    /// A kind without the name of a backend.
    #[error("invalid `{0}`: write KIND=BACKEND, such as legacy-session=auth")]
    Kind(String),
    /// A kind occurs twice.
    #[error("`{0}` is named twice")]
    Twice(&'static str),
}

impl From<Shares> for Moves {
    fn from(shares: Shares) -> Self {
        Self { kinds: Vec::new(), shares: Some(shares) }
    }
}

impl Moves {
    /// The kinds to move.
    pub(super) fn kinds(&self) -> &[OfKind] {
        &self.kinds
    }

    /// The new shares.
    pub(super) const fn shares(&self) -> Option<&Shares> {
        self.shares.as_ref()
    }

    /// Whether this change leads from `before` to `after`, and changes nothing else.
    pub(super) fn lead(&self, before: &Destination, after: &Destination) -> bool {
        let kinds = AcceptedCredential::ALL.into_iter().all(|kind| {
            let moved = self.kinds.iter().find(|of| of.kind == kind).map(|of| of.backend.as_str());
            after.of_kind(kind) == moved.or_else(|| before.of_kind(kind))
        });
        let shares = match &self.shares {
            Some(shares) => shares.are(after),
            None => before.shares == after.shares,
        };
        kinds && shares
    }
}

impl FromStr for Moves {
    type Err = InvalidMove;

    fn from_str(text: &str) -> Result<Self, InvalidMove> {
        let mut kinds: Vec<OfKind> = Vec::new();
        let mut rest = Vec::new();
        for part in text.split(',') {
            let named = part.trim().split_once('=');
            let kind = named.and_then(|(name, backend)| Some((AcceptedCredential::named(name)?, backend)));
            let Some((kind, backend)) = kind else {
                rest.push(part);
                continue;
            };
            // A backend may be a number by its name, but a percentage here is surely a mistake.
            if !is_name(backend) || backend.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(InvalidMove::Kind(part.trim().to_owned()));
            }
            if kinds.iter().any(|of| of.kind == kind) {
                return Err(InvalidMove::Twice(kind.as_str()));
            }
            kinds.push(OfKind { kind, backend: backend.to_owned() });
        }
        let shares = if rest.is_empty() { None } else { Some(rest.join(",").parse()?) };
        Ok(Self { kinds, shares })
    }
}

impl fmt::Display for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds.iter().map(|of| format!("{}={}", of.kind.as_str(), of.backend));
        let parts: Vec<String> = kinds.chain(self.shares.as_ref().map(ToString::to_string)).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_kinds_or_both() {
        for text in [
            "users=10,legacy=90",
            "legacy-session=auth",
            "legacy-session=auth,session=auth,legacy=0,auth=100",
        ] {
            assert_eq!(text.parse::<Moves>().unwrap().to_string(), text);
        }
        let invalid = |text: &str| text.parse::<Moves>().unwrap_err().to_string();
        assert!(invalid("legacy-session=50,legacy=50").contains("KIND=BACKEND"));
        assert!(invalid("session=").contains("KIND=BACKEND"));
        assert!(invalid("session=auth,session=legacy").contains("twice"));
        assert!(invalid("session=auth,legacy=90").contains("add up to 90"));
        assert!(invalid("sesion=auth").contains("BACKEND=PERCENT"));
    }
}
