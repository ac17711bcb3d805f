//! Identifies the caller, with proof.
//!
//! A handler that takes a [`Person`], a [`PlatformService`], a [`TenantService`], a [`ServiceCaller`] (one of
//! the two), a [`Client`] or a [`Caller`] runs only for a caller with a valid signed identity
//! (`x-madome-identity`): signed by the edge, made for this service, at most a minute old. The plain headers
//! (`x-madome-auth-sub` and the like) are never trusted, so forging them has no effect, even for a client
//! that bypasses the edge.
//!
//! One plain header has to agree all the same: `x-tenant-id` is the tenant of the signed identity, and absent when that has
//! none. A proxy between edge and service that changes it, or a program that reads the plain header, would otherwise act for
//! one tenant while the service acts for another.

mod proofs;
mod reach;

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Clock;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use identity::assertion::{self, Rejected, Verifier};
use identity::{Form, ServiceName};
use serde::Deserialize;

use crate::id::{NotOurs, SessionId, TenantId};
use crate::member::Member;
use crate::tenant::VerifiedTenant;
use crate::{answer, cookies};
use proofs::Proofs;

/// The header with the signed identity, as Madome's edges name it.
pub const IDENTITY: &str = "x-madome-identity";

/// The plain header with the caller's tenant, as Madome's edges name it.
pub const TENANT: &str = "x-tenant-id";

/// The form of the signed identity, as Madome's edges write it.
#[must_use]
pub fn form() -> Form {
    Form { tenant: "tenantId".to_owned(), ..Form::default() }
}

/// The name of the access token's cookie.
pub const ACCESS_COOKIE: &str = "madome_access_token";

/// The header that reports the expiry of the access token to a client: seconds since 1970, as in the token
/// (`contracts/http/auth_check.hurl`).
pub const EXPIRES: HeaderName = HeaderName::from_static("x-madome-access-token-expires");

/// The bodies of a service's refusals. Each service has its own, and clients compare them.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The body of a 401.
    pub unauthenticated: &'static str,
    /// The body of a 404.
    pub not_found: &'static str,
}

/// Verifies the caller's identity. Every service has a gate in its state (`FromRef`); the extractors below do
/// not compile without it.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    proofs: Proofs,
    clock: Arc<dyn Clock>,
    words: Words,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("proofs", &self.0.proofs).finish_non_exhaustive()
    }
}

/// The verified caller of this request. Private, so that no other code can insert it.
#[derive(Clone)]
struct Proved(identity::Caller);

impl Gate {
    /// Creates a gate that verifies identities with `verifier` at the time of `clock`.
    #[must_use]
    pub fn new(verifier: Verifier, clock: Arc<dyn Clock>, words: Words) -> Self {
        Self(Arc::new(Inner { proofs: Proofs::new(verifier.reading(form())), clock, words }))
    }

    /// Returns the bodies of the refusals.
    #[must_use]
    pub fn words(&self) -> Words {
        self.0.words
    }

    /// Returns the caller. The signature is checked once for each request, for any number of extractors.
    fn identify(&self, parts: &mut Parts) -> Result<identity::Caller, Refused> {
        if let Some(Proved(caller)) = parts.extensions.get() {
            return Ok(caller.clone());
        }
        let caller = self.verify(&parts.headers).map_err(|reason| {
            tracing::info!(%reason, "the caller has no valid identity");
            Refused::Unauthenticated(self.0.words)
        })?;
        parts.extensions.insert(Proved(caller.clone()));
        Ok(caller)
    }

    /// Returns the caller when it is of the kind `K`, and otherwise the refusal of that kind.
    fn admit<K: Kind>(&self, parts: &mut Parts) -> Result<K, Refused> {
        K::of(self.identify(parts)?).ok_or_else(|| K::REFUSAL(self.words()))
    }

    fn verify(&self, headers: &HeaderMap) -> Result<identity::Caller, Unproved> {
        let mut values = headers.get_all(IDENTITY).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(if headers.contains_key(IDENTITY) { Unproved::Twice } else { Unproved::Missing });
        };
        let signed = value.to_str().map_err(|_| Unproved::Rejected(Rejected::Malformed))?;
        let caller = self.0.proofs.caller(signed, self.0.clock.now()).map_err(Unproved::Rejected)?;
        if has_tenant(headers, tenant_of(&caller)) { Ok(caller) } else { Err(Unproved::OtherTenant) }
    }
}

const fn tenant_of(caller: &identity::Caller) -> Option<&identity::TenantId> {
    match caller {
        identity::Caller::Person(person) => person.tenant.as_ref(),
        identity::Caller::Service(service) => service.tenant.as_ref(),
        identity::Caller::Client(client) => client.tenant.as_ref(),
    }
}

/// Whether the plain header says `tenant`, once, byte for byte; without a tenant, whether the header is absent.
fn has_tenant(headers: &HeaderMap, tenant: Option<&identity::TenantId>) -> bool {
    let mut values = headers.get_all(TENANT).iter();
    match (values.next(), values.next(), tenant) {
        (None, None, None) => true,
        (Some(value), None, Some(tenant)) => value.as_bytes() == tenant.to_string().as_bytes(),
        (None | Some(_), None | Some(_), None | Some(_)) => false,
    }
}

/// Why a caller has no valid identity; for the log only.
#[derive(Debug, thiserror::Error)]
enum Unproved {
    #[error("no signed identity")]
    Missing,
    #[error("two signed identities")]
    Twice,
    #[error("{0}")]
    Rejected(assertion::Rejected),
    /// The signature is valid, so either the edge does not write the header, or something behind it changed it.
    #[error("x-tenant-id is not the tenant of the signed identity")]
    OtherTenant,
}

/// The answer to a caller whom the extractor refuses.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// The caller has no valid identity, or is not a person of a tenant where only such a person is allowed: 401.
    Unauthenticated(Words),
    /// A person on a route for services, or a service of a tenant on a route for the platform: 404, as if the
    /// route did not exist.
    NotThere(Words),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthenticated(words) => answer::text(StatusCode::UNAUTHORIZED, words.unauthenticated),
            Self::NotThere(words) => answer::text(StatusCode::NOT_FOUND, words.not_found),
        }
    }
}

/// A verified program of a customer, with an API key. Only a handler that takes a `Client` accepts one.
#[derive(Clone, Debug)]
pub struct Client(pub identity::Client);

/// A verified person or service. A client is refused: see [`Client`].
#[derive(Clone, Debug)]
pub struct Caller(pub identity::Caller);

/// A verified person of one tenant.
#[derive(Clone, Debug)]
pub struct Person(pub Member);

/// A verified service that acts for the platform, and so for every tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformService {
    /// The service's name.
    pub name: ServiceName,
    /// Only this crate makes one: a value proves that the edge signed it.
    proof: Signed,
}

/// The edge signed this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signed;

impl PlatformService {
    pub(crate) const fn proved(name: ServiceName) -> Self {
        Self { name, proof: Signed }
    }
}

/// A verified service that acts for one tenant and for no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantService {
    /// The service's name.
    pub name: ServiceName,
    /// The tenant it acts for.
    pub tenant: VerifiedTenant,
}

/// A verified service of either kind. A handler must match it to use its content, so that it cannot ignore
/// the tenant by accident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceCaller {
    /// The service acts for the platform.
    Platform(PlatformService),
    /// The service acts for one tenant.
    Tenant(TenantService),
}

impl ServiceCaller {
    /// The service of a verified identity.
    fn proved(service: identity::Service) -> Result<Self, NotOurs> {
        let identity::Service { name, tenant } = service;
        Ok(match tenant {
            None => Self::Platform(PlatformService::proved(name)),
            Some(tenant) => {
                let tenant = VerifiedTenant::proved(TenantId::try_from(&tenant)?);
                Self::Tenant(TenantService { name, tenant })
            }
        })
    }
}

/// A kind of caller that a handler can demand.
trait Kind: Sized {
    /// The refusal of every other kind.
    const REFUSAL: fn(Words) -> Refused;

    /// `caller` as this kind; `None` when it is of another kind.
    fn of(caller: identity::Caller) -> Option<Self>;
}

impl Kind for Caller {
    const REFUSAL: fn(Words) -> Refused = Refused::Unauthenticated;

    fn of(caller: identity::Caller) -> Option<Self> {
        match caller {
            identity::Caller::Person(_) | identity::Caller::Service(_) => Some(Self(caller)),
            identity::Caller::Client(_) => None,
        }
    }
}

impl Kind for Person {
    const REFUSAL: fn(Words) -> Refused = Refused::Unauthenticated;

    fn of(caller: identity::Caller) -> Option<Self> {
        match caller {
            identity::Caller::Person(person) => Member::proved(person).ok().map(Self),
            identity::Caller::Service(_) | identity::Caller::Client(_) => None,
        }
    }
}

impl Kind for Client {
    const REFUSAL: fn(Words) -> Refused = Refused::Unauthenticated;

    fn of(caller: identity::Caller) -> Option<Self> {
        match caller {
            identity::Caller::Client(client) => Some(Self(client)),
            identity::Caller::Person(_) | identity::Caller::Service(_) => None,
        }
    }
}

impl Kind for ServiceCaller {
    const REFUSAL: fn(Words) -> Refused = Refused::NotThere;

    fn of(caller: identity::Caller) -> Option<Self> {
        match caller {
            identity::Caller::Service(service) => Self::proved(service).ok(),
            identity::Caller::Person(_) | identity::Caller::Client(_) => None,
        }
    }
}

impl Kind for PlatformService {
    const REFUSAL: fn(Words) -> Refused = Refused::NotThere;

    fn of(caller: identity::Caller) -> Option<Self> {
        match ServiceCaller::of(caller)? {
            ServiceCaller::Platform(service) => Some(service),
            ServiceCaller::Tenant(_) => None,
        }
    }
}

impl Kind for TenantService {
    const REFUSAL: fn(Words) -> Refused = Refused::NotThere;

    fn of(caller: identity::Caller) -> Option<Self> {
        match ServiceCaller::of(caller)? {
            ServiceCaller::Tenant(service) => Some(service),
            ServiceCaller::Platform(_) => None,
        }
    }
}

/// Makes each kind an argument of handlers. A blanket implementation for every [`Kind`] would break Rust's orphan rule.
macro_rules! extract {
    ($($kind:ty),*) => {$(
        impl<S> FromRequestParts<S> for $kind
        where
            Gate: FromRef<S>,
            S: Send + Sync,
        {
            type Rejection = Refused;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
                Gate::from_ref(state).admit(parts)
            }
        }
    )*};
}

extract!(Caller, Person, Client, ServiceCaller, PlatformService, TenantService);

/// The expiry of the caller's access token, for the answer's [`EXPIRES`] header. Put it first in the answer's
/// tuple: `(expiry, result)`.
///
/// The signed identity does not carry the time, so it is read, unverified, from the token of the request. It
/// decides nothing and is returned only to the client that sent the token. Tokens of other sessions than the
/// verified one are ignored. Without a matching token the header is absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionExpiry(pub Option<u64>);

/// The claims that are read from a token with an unverified signature.
#[derive(Deserialize)]
struct Unverified {
    sid: Option<SessionId>,
    /// The session in a token of the legacy backend. Other issuers can mean anything by `id`.
    id: Option<serde_json::Value>,
    exp: u64,
}

impl Unverified {
    fn session(&self) -> Option<SessionId> {
        self.sid.or_else(|| self.id.as_ref()?.as_str()?.parse().ok())
    }
}

impl<S> FromRequestParts<S> for SessionExpiry
where
    Gate: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let identity::Caller::Person(person) = Gate::from_ref(state).identify(parts)? else {
            return Ok(Self(None));
        };
        let exp = access_tokens(&parts.headers)
            .filter_map(unverified)
            .find(|claims| person.session.is_some() && person.session == claims.session().map(Into::into))
            .map(|claims| claims.exp);
        Ok(Self(exp))
    }
}

impl IntoResponseParts for SessionExpiry {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if let Some(exp) = self.0 {
            parts.headers_mut().insert(EXPIRES, HeaderValue::from(exp));
        }
        Ok(parts)
    }
}

/// Returns the access tokens of a request, from the cookie and from `Authorization: Bearer`. The edge decides
/// which one counts; a service finds it by the session in the signed identity.
pub fn access_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookie = cookies::read(headers, ACCESS_COOKIE).value();
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token);
    cookie.into_iter().chain(bearer)
}

fn unverified(token: &str) -> Option<Unverified> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
