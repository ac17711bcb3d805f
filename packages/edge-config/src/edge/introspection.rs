//! Issuers whose tokens say nothing by themselves: an endpoint of the issuer describes them (RFC 7662).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{ClaimRules, ClientCertificate};

/// A trusted issuer of opaque access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueIssuer {
    /// Its name, for messages; when the endpoint's answer names an issuer, it must be this one.
    pub issuer: String,
    /// The audiences of this edge: the endpoint must name one of them for a token.
    pub audiences: Vec<String>,
    /// The beginning of its tokens; absent for the one issuer of all tokens without a known beginning.
    pub prefix: Option<String>,
    /// The endpoint.
    pub endpoint: Introspection,
    /// How long after `exp` (and before `nbf`) a token is still valid.
    pub leeway: Duration,
    /// Longer tokens are refused, and the endpoint is not queried.
    pub max_token_bytes: usize,
    /// Which member of the answer says what.
    pub claims: Arc<ClaimRules>,
}

/// An endpoint that describes tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Its address: encrypted, or on this machine.
    pub url: String,
    /// How the edge proves itself to the endpoint.
    pub client: IntrospectionClient,
    /// The file with the authorities that may issue its certificate, PEM; absent for the public ones.
    pub ca: Option<PathBuf>,
    /// The certificate that the edge presents to it (RFC 8705), beside the secret or instead of one.
    pub certificate: Option<ClientCertificate>,
    /// `token_type_hint` of the query (RFC 7662 §2.1); absent when it is not sent.
    pub token_type_hint: Option<String>,
    /// How long a description is used again: a token that is revoked at the issuer is refused this much later.
    pub cache: Duration,
    /// How long the endpoint may take to answer.
    pub timeout: Duration,
}

/// The edge as a client of an endpoint. A secret is in a file that only its owner can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntrospectionClient {
    /// The id and the secret in `Authorization: Basic` (`client_secret_basic`, RFC 6749 §2.3.1).
    Basic {
        /// The id.
        client_id: String,
        /// The file with the secret.
        secret: PathBuf,
    },
    /// The id and the secret as members of the form (`client_secret_post`).
    Post {
        /// The id.
        client_id: String,
        /// The file with the secret.
        secret: PathBuf,
    },
    /// The secret as a bearer token (RFC 7662 §2.1).
    Bearer {
        /// The file with the token.
        secret: PathBuf,
    },
    /// The id as a member of the form; [`Introspection::certificate`] proves it (`tls_client_auth` and
    /// `self_signed_tls_client_auth`, RFC 8705 §2).
    Certificate {
        /// The id.
        client_id: String,
    },
}

impl IntrospectionClient {
    /// The file with the secret, if there is one.
    #[must_use]
    pub const fn secret(&self) -> Option<&PathBuf> {
        match self {
            Self::Basic { client_id: _, secret }
            | Self::Post { client_id: _, secret }
            | Self::Bearer { secret } => Some(secret),
            Self::Certificate { client_id: _ } => None,
        }
    }
}
