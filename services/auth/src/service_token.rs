//! Service tokens: OAuth 2.0 client credentials (RFC 6749 §4.4) with `private_key_jwt` (RFC 7523 §2.2).
//!
//! `POST /_/auth/service-token` on the service listener takes a form and answers JSON:
//!
//! | field | |
//! |---|---|
//! | `grant_type` | `client_credentials` |
//! | `client_assertion_type` | `urn:ietf:params:oauth:client-assertion-type:jwt-bearer` |
//! | `client_assertion` | a JWT signed by the service, see below |
//! | `scope` | optional: the requested permissions; without it, all of them |
//! | `tenant_id` | optional: the tenant to act for, which the edge file must list for the service; without it, the token is for the platform |
//!
//! The edge forwards this route without a decision: the assertion is the proof, and a service has no token
//! before it.
//!
//! A client assertion has the header fields `typ` `client-authentication+jwt`, `alg` `EdDSA` and `kid`, a key
//! of the service in the edge file. Its claims are `iss` = `sub` = the service's name, `aud` =
//! `service_tokens.issuer`, `iat`, `exp` at most five minutes ahead, and a `jti` of 16 to 128 characters that
//! is used once. Other claims are refused.

mod entity;
mod registered;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, UnixTime};
use identity::service_token::ServiceToken;
use identity::{ServiceName, TenantId};
use jsonwebtoken::{Algorithm, Validation};
use parking_lot::RwLock;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use entity::{ActiveModel, Column, Entity};
use registered::{Client, Registered};
pub use registered::{Files, Unusable};

use crate::error::Error;

/// The `typ` of a client assertion. No other token of this platform has it.
pub const ASSERTION_TYPE: &str = "client-authentication+jwt";
/// The only supported `grant_type`.
pub const GRANT: &str = "client_credentials";
/// The only supported `client_assertion_type` (RFC 7523 §2.2).
pub const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long a token is valid. A service that lost a permission keeps it for at most ten minutes.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How far ahead the expiry of an assertion may be.
const MAX_AHEAD: Duration = Duration::from_secs(300);
/// How far the service's clock may differ from this one.
const LEEWAY: Duration = Duration::from_secs(5);
/// The longest assertion in bytes. A longer one is refused unread.
const MAX_BYTES: usize = 4_096;

/// Why a service gets no token, with the codes of RFC 6749 §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A field is missing, repeated or malformed.
    InvalidRequest,
    /// The grant is not client credentials.
    UnsupportedGrantType,
    /// The assertion is not valid. The answer does not reveal the reason.
    InvalidClient,
    /// The service requested a permission that it lacks, or a tenant that it may not act for.
    InvalidScope,
}

impl Refusal {
    /// Returns the `error` code of the answer.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidClient => "invalid_client",
            Self::InvalidScope => "invalid_scope",
        }
    }
}

/// An issued token, with the fields of RFC 6749 §5.1.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceToken)]
pub struct Granted {
    access_token: String,
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
    /// The permissions, separated by spaces.
    scope: String,
}

/// A refused request (RFC 6749 §5.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedToken {
    /// `invalid_request`, `unsupported_grant_type`, `invalid_client` or `invalid_scope`.
    #[schema(value_type = String, example = "invalid_client")]
    pub error: &'static str,
}

/// The form of a request, for the OpenAPI document: [`ServiceTokens::grant`] reads the fields itself, because it refuses
/// repeated ones.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes the form")]
pub struct TokenRequest {
    #[schema(example = "client_credentials")]
    grant_type: String,
    #[schema(example = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")]
    client_assertion_type: String,
    /// A JWT that the service signed.
    client_assertion: String,
    /// The requested permissions, separated by spaces; without it, all.
    scope: Option<String>,
    /// The tenant to act for; without it, the token is for the platform.
    #[schema(format = "uuid")]
    tenant_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    iat: u64,
    exp: u64,
    jti: String,
}

/// Issues service tokens to the services of the edge file.
#[derive(Clone)]
pub struct ServiceTokens(Arc<Inner>);

struct Inner {
    /// Absent while the edge file names no issuer of service tokens.
    registered: RwLock<Option<Arc<Registered>>>,
    validation: Validation,
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registered = self.registered();
        let clients: Vec<_> = registered.iter().flat_map(|registered| registered.clients.keys()).collect();
        f.debug_struct("ServiceTokens").field("clients", &clients).finish_non_exhaustive()
    }
}

impl ServiceTokens {
    /// Issues tokens to the services that `files` list, and follows the files from then on. `None` when the
    /// edge file has no `service_tokens`. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Unusable`], which names the file and the fix.
    pub fn new(
        files: Files,
        database: DatabaseConnection,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, Unusable> {
        let (read, watched) = files.read()?;
        let Some(read) = read else { return Ok(None) };
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times and audience are checked in `client`, against the clock argument.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let registered = RwLock::new(Some(Arc::new(read)));
        let inner = Arc::new(Inner { registered, validation, database, clock });
        // A file that changed after it was read is read once more: no stamp exists before the first poll.
        tokio::spawn(registered::follow(
            Arc::downgrade(&inner),
            files,
            watched,
            registered::Stamp::default(),
        ));
        Ok(Some(Self(inner)))
    }

    fn registered(&self) -> Option<Arc<Registered>> {
        self.0.registered.read().clone()
    }

    /// Issues a token to the service that the form `fields` authenticate.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::ServiceToken`]. A [`Refusal`] is a value, not an error.
    pub async fn grant(&self, fields: &[(String, String)]) -> Result<Result<Granted, Refusal>, Error> {
        let now = self.0.clock.now();
        let asked = match Asked::read(fields) {
            Ok(asked) => asked,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(registered) = self.registered() else { return Ok(Err(Refusal::InvalidClient)) };
        let Some((name, client, claims)) = self.client(&registered, asked.assertion, now) else {
            return Ok(Err(Refusal::InvalidClient));
        };
        // Checked first: a malformed request does not use up the assertion.
        let permissions: Vec<String> = match asked.scope {
            None => client.permissions.clone(),
            Some(scope) => scope.split(' ').map(str::to_owned).collect(),
        };
        if !permissions.iter().all(|wanted| client.permissions.contains(wanted)) {
            return Ok(Err(Refusal::InvalidScope));
        }
        if asked.tenant.as_ref().is_some_and(|tenant| !client.tenants.include(tenant)) {
            return Ok(Err(Refusal::InvalidScope));
        }
        if !self.use_up(name, &claims).await? {
            tracing::warn!(service = %name, "a client assertion was used twice");
            return Ok(Err(Refusal::InvalidClient));
        }
        let scope = permissions.join(" ");
        let token = ServiceToken { service: name.clone(), permissions, tenant: asked.tenant };
        let id = uuid::Uuid::now_v7().to_string();
        let access_token =
            registered.issuer.issue(&token, &id, LIFETIME, now).map_err(Error::ServiceToken)?;
        tracing::info!(service = %name, scope, token_id = id, "service token issued");
        Ok(Ok(Granted { access_token, token_type: "Bearer", expires_in: LIFETIME.as_secs(), scope }))
    }

    /// Returns the service that signed `assertion`, if the assertion is valid at `now`.
    fn client<'r>(
        &self,
        registered: &'r Registered,
        assertion: &str,
        now: UnixTime,
    ) -> Option<(&'r ServiceName, &'r Client, Claims)> {
        if assertion.len() > MAX_BYTES {
            return None;
        }
        let header = jsonwebtoken::decode_header(assertion).ok()?;
        if header.typ.as_deref() != Some(ASSERTION_TYPE) || header.alg != Algorithm::EdDSA {
            return None;
        }
        let kid = header.kid?;
        // Each key belongs to one service, so it determines the issuer that the assertion must have.
        let (name, client, key) = registered.clients.iter().find_map(|(name, client)| {
            client.keys.iter().find(|(id, _)| *id == kid).map(|(_, key)| (name, client, key))
        })?;
        let claims = jsonwebtoken::decode::<Claims>(assertion, key, &self.0.validation).ok()?.claims;
        let (issued, expires) = (UnixTime::from_seconds(claims.iat), UnixTime::from_seconds(claims.exp));
        let is_genuine = claims.iss == name.as_str()
            && claims.sub == name.as_str()
            && claims.aud == registered.audience
            && issued <= now.plus(LEEWAY)
            && claims.iat < claims.exp
            && now <= expires.plus(LEEWAY)
            && expires <= now.plus(MAX_AHEAD)
            && (16..=128).contains(&claims.jti.len());
        is_genuine.then_some((name, client, claims))
    }

    /// Marks the assertion as used, and returns whether it was unused before.
    async fn use_up(&self, name: &ServiceName, claims: &Claims) -> Result<bool, Error> {
        let expires = UnixTime::from_seconds(claims.exp).plus(LEEWAY).plus(LEEWAY);
        let row = ActiveModel {
            digest: Set(digest(name, &claims.jti)),
            expires_at: Set(crate::session::seconds(expires)),
        };
        let used = OnConflict::column(Column::Digest).do_nothing().to_owned();
        let inserted = Entity::insert(row)
            .on_conflict(used)
            .exec_without_returning(&self.0.database)
            .await
            .map_err(Error::Store)?;
        Ok(inserted == 1)
    }

    /// Deletes used assertions that are refused for their age anyway.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn throw_away_expired(&self) -> Result<(), Error> {
        let now = crate::session::seconds(self.0.clock.now());
        let expired = Entity::delete_many().filter(Column::ExpiresAt.lt(now));
        expired.exec(&self.0.database).await.map_err(Error::Store)?;
        Ok(())
    }
}

fn digest(name: &ServiceName, id: &str) -> String {
    let digest = Sha256::new().chain_update(name.as_str()).chain_update([0]).chain_update(id).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}

/// The parsed form.
struct Asked<'a> {
    assertion: &'a str,
    scope: Option<&'a str>,
    tenant: Option<TenantId>,
}

impl<'a> Asked<'a> {
    fn read(fields: &'a [(String, String)]) -> Result<Self, Refusal> {
        let one = |name: &str| {
            let mut values = fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                // RFC 6749 §3.2: parameters must not be included more than once.
                (_, Some(_)) => Err(Refusal::InvalidRequest),
            }
        };
        match one("grant_type")? {
            Some(GRANT) => {}
            Some(_) => return Err(Refusal::UnsupportedGrantType),
            None => return Err(Refusal::InvalidRequest),
        }
        if one("client_assertion_type")? != Some(CLIENT_ASSERTION) {
            return Err(Refusal::InvalidRequest);
        }
        let assertion = one("client_assertion")?.ok_or(Refusal::InvalidRequest)?;
        let tenant = match one("tenant_id")? {
            None => None,
            // A misspelt tenant must not lead to a token for the whole platform.
            Some(tenant) => Some(tenant.parse().map_err(|_| Refusal::InvalidRequest)?),
        };
        Ok(Self { assertion, scope: one("scope")?.filter(|scope| !scope.is_empty()), tenant })
    }
}
