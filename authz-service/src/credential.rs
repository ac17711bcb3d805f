//! Who is calling: from what a request carries to somebody who is believed.
//!
//! * [`cookie`] and [`bearer`] find a credential in the headers, each by one written rule.
//! * [`token`] reads and checks an access token, [`keys`] holds the public keys, [`cache`] remembers which
//!   tokens verified.
//! * [`issuers`] chooses among several issuers, each with its own keys.
//! * [`api_key`] believes programs of customers, [`legacy`] people whose session the legacy opened.
//! * [`accept`] is the rule for a request that carries more than one of these.
//! * [`assertion`] believes the platform's own services, [`signed`] programs that sign each request.
//!
//! *Not offered*, *verified* and *failed* stay apart to the end ([`Presented`]): a request without a credential
//! is somebody anonymous, a request with a bad one is somebody wrong.

pub mod accept;
pub mod api_key;
pub mod assertion;
pub mod bearer;
pub mod cache;
pub mod cookie;
pub mod issuers;
pub mod keys;
pub mod legacy;
pub mod signed;
pub mod token;

use std::sync::Arc;

use ::lease::Tag;
use clock::UnixTime;
use edge_config::edge::Sessions;
use identity::assertion::Rejected;
use identity::{Client, Person, Service, ServiceName};

use crate::check::CheckInput;
use crate::credential::api_key::ApiKeyFault;
use crate::credential::assertion::Assertions;
use crate::credential::cache::TokenCache;
use crate::credential::issuers::IssuerKeys;
use crate::credential::legacy::LegacyFault;
use crate::credential::signed::SignatureFault;
use crate::credential::token::TokenFault;
use crate::decision::Failure;

/// What a request offered, after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<T> {
    /// No credential of this kind.
    NotOffered,
    /// A credential that is believed.
    Verified(T),
    /// A credential that is not believed.
    Failed(CredentialFault),
}

impl<T> Presented<T> {
    /// The same outcome with another value when it is verified.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Presented<U> {
        match self {
            Self::NotOffered => Presented::NotOffered,
            Self::Verified(value) => Presented::Verified(change(value)),
            Self::Failed(fault) => Presented::Failed(fault),
        }
    }
}

/// Why a credential that was offered is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialFault {
    /// Two credentials that disagree: two `Cookie` lines, a cookie and a bearer token, or two kinds that prove
    /// different principals ([`accept`]). Whichever the edge took, a backend might take the other.
    Ambiguous,
    /// More cookies than [`cookie::MAX_PAIRS`].
    TooManyCookies,
    /// More than one `Authorization` line.
    RepeatedAuthorization,
    /// The scheme is `Bearer`, what follows is not one token.
    MalformedBearer,
    /// The access token was refused.
    Token(TokenFault),
    /// The service's assertion was refused.
    Assertion(Rejected),
    /// The API key was refused.
    ApiKey(ApiKeyFault),
    /// The legacy's session was refused.
    Legacy(LegacyFault),
    /// The service token was refused.
    ServiceToken(Rejected),
    /// The request's signature was refused.
    Signature(SignatureFault),
}

impl CredentialFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous_credential",
            Self::TooManyCookies => "too_many_cookies",
            Self::RepeatedAuthorization => "repeated_authorization",
            Self::MalformedBearer => "malformed_bearer",
            Self::Token(fault) => fault.code(),
            Self::ApiKey(fault) => fault.code(),
            Self::Legacy(fault) => fault.code(),
            Self::Signature(fault) => fault.code(),
            Self::ServiceToken(rejected) => match rejected {
                Rejected::Malformed => "service_token_malformed",
                Rejected::UnknownKey => "service_token_unknown_key",
                Rejected::BadSignature => "service_token_bad_signature",
                Rejected::WrongAudience => "service_token_wrong_audience",
                Rejected::WrongTime => "service_token_wrong_time",
                Rejected::WrongClaims => "service_token_wrong_claims",
            },
            Self::Assertion(rejected) => match rejected {
                Rejected::Malformed => "assertion_malformed",
                Rejected::UnknownKey => "assertion_unknown_key",
                Rejected::BadSignature => "assertion_bad_signature",
                Rejected::WrongAudience => "assertion_wrong_audience",
                Rejected::WrongTime => "assertion_wrong_time",
                Rejected::WrongClaims => "assertion_wrong_claims",
            },
        }
    }
}

/// A person whose access token was believed. Only this module can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedPerson {
    person: Arc<Person>,
    issued: u64,
    token: Option<Proof>,
}

/// What a person's access token says about how long they are believed, for whoever wants to believe them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The token's `exp`, without leeway.
    pub expires: UnixTime,
    /// The key that it was verified with.
    pub key: Tag,
}

impl AuthenticatedPerson {
    /// Who it is.
    #[must_use]
    pub fn person(&self) -> &Arc<Person> {
        &self.person
    }

    /// The second in which their credential was issued: all sessions that began before a moment can be ended.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.issued
    }

    /// What their access token says; `None` when somebody else vouches for them, or when the keys of its issuer are
    /// about to become too old to believe anybody.
    #[must_use]
    pub const fn token(&self) -> Option<Proof> {
        self.token
    }
}

/// A client whose API key was believed. Only this module can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    client: Arc<Client>,
}

impl AuthenticatedClient {
    /// Who it is.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

/// A service whose assertion or token was believed. Only this module can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedService {
    service: Service,
    permissions: Vec<String>,
}

impl AuthenticatedService {
    /// Which service it is.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.service.name
    }

    /// Which service it is, and for which tenant it acts.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// What it may do: nothing that the edge file does not list for it.
    #[must_use]
    pub fn permissions(&self) -> &[String] {
        &self.permissions
    }
}

/// Everything that is needed to believe a person.
#[derive(Debug)]
pub struct SessionCredentials<'a> {
    /// How sessions look on this edge.
    pub rules: &'a Sessions,
    /// The public keys.
    pub keys: &'a IssuerKeys,
    /// Tokens that verified before.
    pub cache: &'a TokenCache,
    /// Whether the cookie may hold a legacy session instead, which is then somebody else's to look at.
    pub shares_cookie: bool,
}

impl SessionCredentials<'_> {
    /// The person that `input`'s access token speaks for.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when a token was offered and there is nothing to verify it with.
    pub fn present(
        &self,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedPerson>, Failure> {
        let token = match self.offered(input) {
            Ok(Some(token)) => token,
            Ok(None) => return Ok(Presented::NotOffered),
            Err(fault) => return Ok(Presented::Failed(fault)),
        };
        Ok(match self.keys.verify(token, self.rules, self.cache, now)? {
            Ok(believed) => Presented::Verified(AuthenticatedPerson {
                person: believed.person,
                issued: believed.issued,
                token: believed.proof,
            }),
            Err(fault) => Presented::Failed(CredentialFault::Token(fault)),
        })
    }

    /// The one token that the request carries, in the cookie or as a bearer token or, the same, in both.
    fn offered<'r>(&self, input: &CheckInput<'r>) -> Result<Option<&'r [u8]>, CredentialFault> {
        let cookie = cookie::find(&input.cookies(), self.rules.cookie.as_bytes())?;
        let cookie = cookie.filter(|token| !(self.shares_cookie && legacy::looks_like(token)));
        let bearer = if self.rules.bearer { bearer::find(&input.authorizations())? } else { None };
        match (cookie, bearer) {
            (Some(cookie), Some(bearer)) if cookie != bearer => Err(CredentialFault::Ambiguous),
            (Some(token), _) | (None, Some(token)) => Ok(Some(token)),
            (None, None) => Ok(None),
        }
    }
}

/// The service that `input`'s bearer assertion or service token speaks for. Cookies do not count between services.
///
/// # Errors
/// [`Failure::KeysUnavailable`] when an assertion was offered and there is nothing to verify it with.
pub fn present_service(
    assertions: &Assertions,
    input: &CheckInput<'_>,
    now: UnixTime,
) -> Result<Presented<AuthenticatedService>, Failure> {
    let assertion = match bearer::find(&input.authorizations()) {
        Ok(Some(assertion)) => assertion,
        Ok(None) => return Ok(Presented::NotOffered),
        Err(fault) => return Ok(Presented::Failed(fault)),
    };
    let services = assertions.current(now)?;
    Ok(match services.verify(assertion, now) {
        Ok((service, permissions)) => Presented::Verified(AuthenticatedService { service, permissions }),
        Err(fault) => Presented::Failed(fault),
    })
}
