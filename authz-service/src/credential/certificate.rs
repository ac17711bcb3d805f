//! Client certificates: Envoy verifies them, and the edge file says whom their names prove.
//!
//! The name comes with the check, from the connection itself and never from a header. Envoy verified the certificate against the
//! authorities of the listener, so a name that arrives here is a proved one, and a connection without a certificate has none.

use std::collections::HashMap;

use identity::ServiceName;

use crate::check::CheckInput;
use crate::credential::fault::{CertificateFault, CredentialFault};
use crate::credential::presented::Presented;

/// A caller whose certificate was verified. Only this module can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedHolder {
    name: ServiceName,
}

impl AuthenticatedHolder {
    /// The name of the caller in the edge file.
    #[must_use]
    pub const fn name(&self) -> &ServiceName {
        &self.name
    }
}

/// The caller of `holders` (by the names in their certificates) that the certificate of `input`'s connection proves.
#[must_use]
pub fn present(
    holders: &HashMap<String, ServiceName>,
    input: &CheckInput<'_>,
) -> Presented<AuthenticatedHolder> {
    let Some(name) = input.certificate else { return Presented::NotOffered };
    match holders.get(name) {
        Some(name) => Presented::Verified(AuthenticatedHolder { name: name.clone() }),
        None => Presented::Failed(CredentialFault::Certificate(CertificateFault::Unknown)),
    }
}
