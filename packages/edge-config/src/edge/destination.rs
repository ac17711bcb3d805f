//! The destination of a route's requests, and the shares of its backends.

use std::fmt;

/// The destination of a route's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The backends and their shares, in the order of the file; at least one. The weights add up to
    /// [`WHOLE`].
    pub shares: Vec<Share>,
    /// The value that keeps a client on one backend; absent when every request is distributed by itself.
    pub sticky: Option<Sticky>,
}

/// The sum of the weights of a destination, which are whole percentages.
pub const WHOLE: u8 = 100;

/// A backend's part of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The backend's name.
    pub backend: String,
    /// A whole percentage, 0 to 100. A backend with 0 gets no requests but stays in the list: the identities that are
    /// signed for the route are already valid for it.
    pub weight: u8,
}

/// The value that keeps a client on one backend while the weights stay as they are. The edge hashes it. It adds no cookie
/// and stores nothing, so every worker and every replica chooses the same backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// The verified session, or the subject of a caller without one.
    Session,
    /// The verified tenant: all its people together.
    Tenant,
    /// The cookie of this name, as the client sends it. Without it the backend is chosen at random.
    Cookie(String),
}

impl Destination {
    /// Everything to one backend.
    #[must_use]
    pub fn whole(backend: impl Into<String>) -> Self {
        Self { shares: vec![Share { backend: backend.into(), weight: WHOLE }], sticky: None }
    }

    /// The names of the backends, in the order of the file.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        self.shares.iter().map(|share| share.backend.as_str())
    }

    /// The one backend, when there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        match self.shares.as_slice() {
            [share] => Some(&share.backend),
            [] | [_, _, ..] => None,
        }
    }

    /// The percentage of `backend`; 0 when it is not in the list.
    #[must_use]
    pub fn weight_of(&self, backend: &str) -> u8 {
        self.shares.iter().find(|share| share.backend == backend).map_or(0, |share| share.weight)
    }
}

impl fmt::Display for Destination {
    /// `users`, or `legacy 90 %, users 10 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(only) = self.only() {
            return f.write_str(only);
        }
        for (index, share) in self.shares.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {} %", share.backend, share.weight)?;
        }
        Ok(())
    }
}
