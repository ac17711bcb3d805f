//! Who calls.

use std::path::Path;

use clock::UnixTime;
use identity::assertion::{Rejected, Verifier};
use identity::keyset::KeyFileError;
use identity::{Caller, Form, Service, ServiceName};

/// Verifies which service calls this one, from the edge's signed identity.
#[derive(Debug)]
pub struct Callers {
    verifier: Verifier,
    expected: Vec<ServiceName>,
}

/// Why a call is not from an expected service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACaller {
    /// No identity, or more than one.
    #[error("not exactly one signed identity")]
    NotOne,
    /// The identity is not valid.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// A person, or a service that is not expected here.
    #[error("not a service that is expected here")]
    Unexpected,
}

impl Callers {
    /// Calls to the service `me` from one of `expected`, signed by the edge called `edge` with a key of the JWK set
    /// `keys`.
    ///
    /// # Errors
    /// [`KeyFileError`], naming the file and the fix.
    pub fn new(me: &str, edge: &str, keys: &Path, expected: Vec<ServiceName>) -> Result<Self, KeyFileError> {
        Ok(Self { verifier: Verifier::new(me).trust_file(edge, keys)?, expected })
    }

    /// The same for an edge whose file names `typ` or claims of the signed identity.
    #[must_use]
    pub fn reading(mut self, form: Form) -> Self {
        self.verifier = self.verifier.reading(form);
        self
    }

    /// The service that a call at `now` is from, and for which tenant; `identities` are the values of its
    /// lines of the header that the edge file names (`signed` in `identity`).
    ///
    /// # Errors
    /// [`NotACaller`].
    pub fn caller<'a>(
        &self,
        identities: impl IntoIterator<Item = &'a [u8]>,
        now: UnixTime,
    ) -> Result<Service, NotACaller> {
        let mut identities = identities.into_iter();
        let (Some(identity), None) = (identities.next(), identities.next()) else {
            return Err(NotACaller::NotOne);
        };
        let identity = std::str::from_utf8(identity).map_err(|_| Rejected::Malformed)?;
        match self.verifier.verify(identity, now)? {
            Caller::Service(service) if self.expected.contains(&service.name) => Ok(service),
            Caller::Service(_) | Caller::Person(_) | Caller::Client(_) => Err(NotACaller::Unexpected),
        }
    }
}
