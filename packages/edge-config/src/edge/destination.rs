//! The backends of a route: by kind of credential, and by share.

use std::fmt;

use super::{AcceptedCredential, Percent, WHOLE};

/// The backends of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// The backends of callers with a credential of one kind, in the order of the file; each kind at most once. They come
    /// before the shares.
    pub kinds: Vec<OfKind>,
    /// The backends of all other callers and their shares, in the order of the file. The weights add up to [`WHOLE`].
    /// Empty only when every caller that the policy lets pass has a kind in `kinds`.
    pub shares: Vec<Share>,
    /// What keeps a client on one of the shares; absent when each request is dealt by chance.
    pub sticky: Option<Sticky>,
}

/// The backend of callers with a credential of one kind.
///
/// On a route whose policy verifies credentials, the kind is that of the verified credential. On a public route the
/// authorizer only recognises the kind: an unproved credential chooses which backend refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfKind {
    /// The kind of credential.
    pub kind: AcceptedCredential,
    /// The backend's name.
    pub backend: String,
}

/// A backend's part of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The backend's name.
    pub backend: String,
    /// Its percentage. A backend with 0 gets no requests but stays in the list: the identities that are signed for the route
    /// are already valid for it.
    pub weight: Percent,
}

/// The value that keeps a client on one backend while the weights stay as they are. The edge hashes it. It adds no cookie
/// and stores nothing, so every worker and every replica chooses the same backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// The verified session, or the subject of a caller without one.
    Session,
    /// The verified subject: all devices of a person together.
    Subject,
    /// The verified tenant: all its people together.
    Tenant,
    /// The cookie of this name, as the client sends it. Without it the backend is chosen at random.
    Cookie(String),
}

impl Destination {
    /// Everything to one backend.
    #[must_use]
    pub fn whole(backend: impl Into<String>) -> Self {
        Self { shares: vec![Share { backend: backend.into(), weight: WHOLE }], ..Self::default() }
    }

    /// The names of the backends, those of kinds first. One that has a kind and a share is named twice.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        let kinds = self.kinds.iter().map(|of| of.backend.as_str());
        kinds.chain(self.shares.iter().map(|share| share.backend.as_str()))
    }

    /// The one backend, when every request goes to the same one whatever the kind.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        match (self.kinds.as_slice(), self.shares.as_slice()) {
            ([], [share]) => Some(&share.backend),
            ([], [] | [_, _, ..]) | ([_, ..], _) => None,
        }
    }

    /// The backend of callers with a credential of `kind`, if the route names one.
    #[must_use]
    pub fn of_kind(&self, kind: AcceptedCredential) -> Option<&str> {
        self.kinds.iter().find(|of| of.kind == kind).map(|of| of.backend.as_str())
    }

    /// The destination of callers whose kind is not named: the shares alone.
    #[must_use]
    pub fn of_others(&self) -> Self {
        Self { kinds: Vec::new(), ..self.clone() }
    }

    /// The percentage of `backend`; 0 when it is not in the list.
    #[must_use]
    pub fn weight_of(&self, backend: &str) -> Percent {
        self.shares.iter().find(|share| share.backend == backend).map_or(Percent::ZERO, |share| share.weight)
    }
}

impl fmt::Display for Destination {
    /// `users`, `legacy 90 %, users 10 %`, or `legacy-session to legacy, session to auth, others legacy 90 %, users 10 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, OfKind { kind, backend }) in self.kinds.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} to {backend}", kind.as_str())?;
        }
        if !self.kinds.is_empty() {
            if self.shares.is_empty() {
                return Ok(());
            }
            f.write_str(", others ")?;
        }
        if let [only] = self.shares.as_slice() {
            return f.write_str(&only.backend);
        }
        for (index, share) in self.shares.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {} %", share.backend, share.weight)?;
        }
        Ok(())
    }
}
