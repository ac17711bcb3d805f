//! Shares, as the command line says them: `users=10,legacy=90`, or `users` for all.

use std::fmt;
use std::str::FromStr;

use edge_config::edge::{Destination, WHOLE};

/// Which backends get how many per cent. The names are different ones and the weights add up to 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares(Vec<(String, u8)>);

/// Why a text says no shares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShares {
    /// Not `name=number`.
    #[error("invalid share `{0}`: write BACKEND=PERCENT, such as users=10")]
    Malformed(String),
    /// More or less than everything.
    #[error("the shares add up to {0}: they are whole per cent, let them add up to 100")]
    Sum(u64),
    /// A name that stands twice.
    #[error("`{0}` is named twice")]
    Twice(String),
}

impl Shares {
    /// Everything to `backend`.
    #[must_use]
    pub fn whole(backend: impl Into<String>) -> Self {
        Self(vec![(backend.into(), WHOLE)])
    }

    /// `percent` (at most 100) to `backend`, and the rest to the others of `present` in the proportions that they
    /// have there; to the first of them when they have none.
    #[must_use]
    pub fn with(present: &Destination, backend: &str, percent: u8) -> Self {
        let percent = percent.min(WHOLE);
        let rest = u64::from(WHOLE - percent);
        let others: Vec<_> = present.shares.iter().filter(|share| share.backend != backend).collect();
        let sum: u64 = others.iter().map(|share| u64::from(share.weight)).sum();
        let mut left = rest;
        let mut shares = Vec::new();
        for (index, share) in others.iter().enumerate().rev() {
            // Rounded down, and the first one takes what is left: nothing is lost and nothing is too much.
            let part = if index == 0 { left } else { rest * u64::from(share.weight) / sum.max(1) };
            left -= part;
            shares.push((share.backend.clone(), u8::try_from(part).unwrap_or(WHOLE)));
        }
        shares.reverse();
        // Without anybody else the rest has nowhere to go, and the file's check says so.
        shares.push((backend.to_owned(), percent));
        Self(shares)
    }

    /// Names and weights, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u8)> {
        self.0.iter().map(|(name, weight)| (name.as_str(), *weight))
    }

    /// How many per cent `backend` gets; 0 when it is not named.
    #[must_use]
    pub fn weight_of(&self, backend: &str) -> u8 {
        self.iter().find(|(name, _)| *name == backend).map_or(0, |(_, weight)| weight)
    }

    /// Whether `destination` gives just these.
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

/// The rule for names in an edge file; what passes is plain text in YAML, too, wherever a key may stand.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
}
