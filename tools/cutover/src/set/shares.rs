//! Shares in the form of the command line: `users=10,legacy=90`, or `users` for all.

use std::fmt;
use std::str::FromStr;

use edge_config::edge::{Destination, Percent, WHOLE};

/// Backends with their percentages. The names are distinct, and the weights add up to 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares(Vec<(String, Percent)>);

/// Why a text is not a valid list of shares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShares {
    /// Not `name=number`.
    #[error(
        "invalid share `{0}`: write BACKEND=PERCENT, such as users=10 or users=0.5 (at most three decimals)"
    )]
    Malformed(String),
    /// The sum is not 100.
    #[error("the shares add up to {0}: give percentages that add up to 100")]
    Sum(String),
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

    /// `percent` to `backend`, and the rest to the others of `present` in their present proportions; to the first of them
    /// when all their shares are 0. Where all numbers are whole, the new ones are, too.
    #[must_use]
    pub fn with(present: &Destination, backend: &str, percent: Percent) -> Self {
        let others: Vec<_> = present.shares.iter().filter(|share| share.backend != backend).collect();
        let numbers = || others.iter().map(|share| share.weight).chain([percent]).map(Percent::thousandths);
        let unit =
            [1000, 100, 10].into_iter().find(|unit| numbers().all(|number| number % unit == 0)).unwrap_or(1);
        let of = |percent: Percent| u64::from(percent.thousandths() / unit);
        let rest = of(WHOLE) - of(percent);
        let sum: u64 = others.iter().map(|share| of(share.weight)).sum();
        let mut left = rest;
        let mut shares = Vec::new();
        for (index, share) in others.iter().enumerate().rev() {
            // Rounded down, and the first one takes the rest, so that the sum is exact.
            let part = if index == 0 { left } else { rest * of(share.weight) / sum.max(1) };
            left -= part;
            let part = u32::try_from(part).ok().and_then(|part| Percent::of_thousandths(part * unit));
            shares.push((share.backend.clone(), part.unwrap_or(WHOLE)));
        }
        shares.reverse();
        // Without another backend the sum is not 100, and the check of the file reports it.
        shares.push((backend.to_owned(), percent));
        Self(shares)
    }

    /// Names and weights, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Percent)> {
        self.0.iter().map(|(name, weight)| (name.as_str(), *weight))
    }

    /// The percentage of `backend`; 0 when it is not named.
    #[must_use]
    pub fn weight_of(&self, backend: &str) -> Percent {
        self.iter().find(|(name, _)| *name == backend).map_or(Percent::ZERO, |(_, weight)| weight)
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
        let mut shares: Vec<(String, Percent)> = Vec::new();
        for part in text.split(',') {
            let malformed = || InvalidShares::Malformed(part.to_owned());
            let (name, weight) = part.trim().split_once('=').ok_or_else(malformed)?;
            let weight = weight.parse().map_err(|_| malformed())?;
            if !is_name(name) {
                return Err(malformed());
            }
            if shares.iter().any(|(present, _)| present == name) {
                return Err(InvalidShares::Twice(name.to_owned()));
            }
            shares.push((name.to_owned(), weight));
        }
        let sum: u64 = shares.iter().map(|(_, weight)| u64::from(weight.thousandths())).sum();
        if sum == u64::from(WHOLE.thousandths()) {
            Ok(Self(shares))
        } else {
            Err(InvalidShares::Sum(Percent::shown(sum)))
        }
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
