//! Shares in the form of the command line: `users=10,legacy=90`, or `users` for all.

use std::fmt;
use std::str::FromStr;

use edge_config::edge::{Destination, WHOLE};

/// Backends with their percentages. The names are distinct, and the weights add up to 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares(Vec<(String, u8)>);

/// Why a text is not a valid list of shares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShares {
    /// Not `name=number`.
    #[error("invalid share `{0}`: write BACKEND=PERCENT, such as users=10")]
    Malformed(String),
    /// The sum is not 100.
    #[error("the shares add up to {0}: give whole percentages that add up to 100")]
    Sum(u64),
    /// A name occurs twice.
    #[error("`{0}` is named twice")]
    Twice(String),
}

impl Shares {
    /// Everything to `backend`.
    #[must_use]
    pub fn whole(backend: impl Into<String>) -> Self {
        Self(vec![(backend.into(), WHOLE)])
    }

    /// `percent` (at most 100) to `backend`, and the rest to the others of `present` in their present proportions; to the
    /// first of them when all their shares are 0.
    #[must_use]
    pub fn with(present: &Destination, backend: &str, percent: u8) -> Self {
        let percent = percent.min(WHOLE);
        let rest = u64::from(WHOLE - percent);
        let others: Vec<_> = present.shares.iter().filter(|share| share.backend != backend).collect();
        let sum: u64 = others.iter().map(|share| u64::from(share.weight)).sum();
        let mut left = rest;
        let mut shares = Vec::new();
        for (index, share) in others.iter().enumerate().rev() {
            // Rounded down, and the first one takes the rest, so that the sum is exact.
            let part = if index == 0 { left } else { rest * u64::from(share.weight) / sum.max(1) };
            left -= part;
            shares.push((share.backend.clone(), u8::try_from(part).unwrap_or(WHOLE)));
        }
        shares.reverse();
        // Without another backend the sum is not 100, and the check of the file reports it.
        shares.push((backend.to_owned(), percent));
        Self(shares)
    }

    /// Names and weights, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u8)> {
        self.0.iter().map(|(name, weight)| (name.as_str(), *weight))
    }

    /// The percentage of `backend`; 0 when it is not named.
    #[must_use]
    pub fn weight_of(&self, backend: &str) -> u8 {
        self.iter().find(|(name, _)| *name == backend).map_or(0, |(_, weight)| weight)
    }

    /// Whether `destination` has exactly these shares.
    #[must_use]
    pub fn are(&self, destination: &Destination) -> bool {
        let mut named = destination.shares.iter().map(|share| (share.backend.as_str(), share.weight));
        named.all(|(backend, weight)| self.weight_of(backend) == weight)
            && self.iter().all(|(name, weight)| destination.weight_of(name) == weight)
    }
}

impl FromStr for Shares {
    type Err = InvalidShares;

    fn from_str(text: &str) -> Result<Self, InvalidShares> {
        if !text.contains(['=', ',']) && is_name(text) {
            return Ok(Self::whole(text));
        }
        let mut shares: Vec<(String, u8)> = Vec::new();
        for part in text.split(',') {
            let malformed = || InvalidShares::Malformed(part.to_owned());
            let (name, weight) = part.trim().split_once('=').ok_or_else(malformed)?;
            let weight = weight.parse().map_err(|_| malformed())?;
            if !is_name(name) || weight > WHOLE {
                return Err(malformed());
            }
            if shares.iter().any(|(present, _)| present == name) {
                return Err(InvalidShares::Twice(name.to_owned()));
            }
            shares.push((name.to_owned(), weight));
        }
        let sum = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if sum == u64::from(WHOLE) { Ok(Self(shares)) } else { Err(InvalidShares::Sum(sum)) }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, weight)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}={weight}")?;
        }
        Ok(())
    }
}

/// The rule for names in an edge file. A valid name is plain text in YAML, too, wherever a key may be.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
}
