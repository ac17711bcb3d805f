//! Passkeys: registration, sign-in, list and removal (WebAuthn level 3, §7).
//!
//! A passkey is a key pair in the person's device. The service has the public key, and asks the device to sign a fresh
//! challenge. A ceremony has two halves, and what the service asked in the first is stored until the second
//! ([`ceremony`]).
//!
//! | what comes | then |
//! |---|---|
//! | an answer to another challenge, of another origin or for another domain | refused |
//! | an answer without verification of the person (PIN, face, fingerprint) | refused: the passkey is the only proof |
//! | the same answer again | refused, the ceremony is used up |
//! | a passkey that another person registered | refused |
//! | a signature counter that did not grow | refused and logged: a copy of the passkey exists |
//!
//! What an authenticator says about its model is not verified (`attestation: none`): people bring their own.

pub mod ceremony;
mod entity;
mod removal;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, UnixTime};
use kit::{Member, SubjectId, TenantId};
use passki::{
    AuthenticationChallenge, AuthenticationCredential, AuthenticationOptions, AuthenticationState, Passki,
    PasskiError, RegistrationChallenge, RegistrationCredential, RegistrationOptions, RegistrationState,
    StoredPasskey, UserVerificationRequirement,
};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, DatabaseConnection, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use ceremony::{Ceremonies, LIFETIME, Owner};
use entity::{ActiveModel, Column, Entity, Model};

use crate::error::Error;
use crate::people::Profile;
use crate::settings::passkeys::RelyingParty;
use crate::token::Holder;

/// The name that an authenticator shows beside the passkey.
const NAME: &str = "Madome";

/// How many passkeys a person can have: several for each device. A browser receives all ids of them with each ceremony.
pub const MAX_PASSKEYS: u64 = 50;

/// The longest id of a passkey (WebAuthn §7.1, step 25).
const MAX_ID_BYTES: usize = 1_023;

/// How much of the reason for a refusal is logged: a part of it can be what the client sent.
const MAX_REASON_CHARS: usize = 200;

/// Registers, verifies, lists and deletes passkeys.
#[derive(Clone)]
pub struct Passkeys {
    party: Arc<Passki>,
    database: DatabaseConnection,
    ceremonies: Ceremonies,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Passkeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passkeys").field("ceremonies", &self.ceremonies).finish_non_exhaustive()
    }
}

/// What is stored of a registration between its halves. The owner of a ceremony is a person; this adds the tenant.
#[derive(Serialize, Deserialize)]
struct Registering {
    /// Absent in a registration that an older version of this service began.
    tenant_id: Option<Uuid>,
    #[serde(flatten)]
    state: RegistrationState,
}

/// A passkey as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The id, in base64url without padding.
    pub credential_id: String,
    /// When it was registered.
    pub created_at: OffsetDateTime,
}

impl Passkeys {
    /// Uses the passkeys of `party` in `database`, whose tables are up to date.
    #[must_use]
    pub fn new(
        party: &RelyingParty,
        database: DatabaseConnection,
        ceremonies: Ceremonies,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let party = Arc::new(Passki::new(&party.id, &party.origins, NAME));
        Self { party, database, ceremonies, clock }
    }

    /// Begins the registration of a passkey for `person`. Returns the options for the browser and the id of the
    /// ceremony.
    ///
    /// # Errors
    /// [`Error::TooManyPasskeys`], [`Error::Store`], [`Error::Ceremony`].
    pub async fn begin_registration(
        &self,
        person: &Member,
        profile: &Profile,
    ) -> Result<(RegistrationChallenge, Uuid), Error> {
        self.settle(person.subject, person.tenant.id()).await?;
        let own = self.of(person.subject, person.tenant.id()).await?;
        if u64::try_from(own.len()).is_ok_and(|number| number >= MAX_PASSKEYS) {
            return Err(Error::TooManyPasskeys);
        }
        let mut options = RegistrationOptions::default();
        options.timeout = millis(LIFETIME);
        options.user_verification = UserVerificationRequirement::Required;
        options.exclude_credentials = Some(&own);
        let (challenge, state) = self
            .party
            .start_passkey_registration(person.subject.0.as_bytes(), &profile.email, &profile.name, options)
            .map_err(Error::Passkey)?;
        let begun = encode(&Registering { tenant_id: Some(person.tenant.id().0), state })?;
        let id = self.ceremonies.begin(&Owner::Registration(person.subject.0), begun).await?;
        Ok((challenge, id))
    }

    /// Stores the passkey that the device of `person` created in the ceremony `id`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for an unknown ceremony and a wrong answer, [`Error::TooManyPasskeys`],
    /// [`Error::Store`], [`Error::Ceremony`].
    pub async fn finish_registration(
        &self,
        person: &Member,
        id: Uuid,
        answer: &RegistrationCredential,
    ) -> Result<(), Error> {
        let state = self.ceremonies.take(&Owner::Registration(person.subject.0), id).await?;
        let Registering { tenant_id, state } = decode(state.ok_or(Error::Unauthorized)?.as_bytes())?;
        if tenant_id.is_some_and(|tenant| tenant != person.tenant.id().0) {
            return Err(Error::Unauthorized);
        }
        let passkey =
            self.party.finish_passkey_registration(answer, &state).map_err(|error| refused(&error))?;
        if !is_usable(&passkey) {
            return Err(Error::Unauthorized);
        }
        let own = Entity::find().filter(of_person(person.subject, person.tenant.id()));
        if own.count(&self.database).await.map_err(Error::Store)? >= MAX_PASSKEYS {
            return Err(Error::TooManyPasskeys);
        }
        let row = ActiveModel {
            credential_id: Set(passkey.credential_id.clone()),
            user_id: Set(person.subject.0),
            tenant_id: Set(Some(person.tenant.id().0)),
            aaguid: Set(Uuid::from_bytes(passkey.aaguid)),
            credential: Set(encode(&passkey)?.into_bytes()),
            created_at: Set(time(self.clock.now())),
        };
        let known = OnConflict::column(Column::CredentialId).do_nothing().to_owned();
        let insert = Entity::insert(row).on_conflict(known);
        let inserted = insert.exec_without_returning(&self.database).await.map_err(Error::Store)?;
        // One passkey belongs to one person.
        if inserted == 1 { Ok(()) } else { Err(Error::Unauthorized) }
    }

    /// Begins a sign-in with a passkey of `holder`, whose address is `email`. Returns the options for the browser and
    /// the id of the ceremony. `None` when the person has no passkey.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Ceremony`].
    pub async fn begin_sign_in(
        &self,
        holder: &Holder,
        email: &str,
    ) -> Result<Option<(AuthenticationChallenge, Uuid)>, Error> {
        let own = self.of(holder.subject, holder.tenant).await?;
        // Without a list the browser would offer the passkeys of everybody.
        if own.is_empty() {
            return Ok(None);
        }
        let mut options = AuthenticationOptions::default();
        options.timeout = millis(LIFETIME);
        options.user_verification = UserVerificationRequirement::Required;
        let (challenge, state) =
            self.party.start_passkey_authentication(&own, options).map_err(Error::Passkey)?;
        let owner = Owner::Authentication(email.to_owned());
        let id = self.ceremonies.begin(&owner, encode(&state)?).await?;
        Ok(Some((challenge, id)))
    }

    /// Verifies the answer of a device in the ceremony `id` of `email`, which is the address of `holder`. Another
    /// person's passkey is not found, and neither is one of another tenant.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for an unknown ceremony and a wrong answer, [`Error::Store`], [`Error::Ceremony`].
    pub async fn finish_sign_in(
        &self,
        holder: &Holder,
        email: &str,
        id: Uuid,
        answer: &AuthenticationCredential,
    ) -> Result<(), Error> {
        let state = self.ceremonies.take(&Owner::Authentication(email.to_owned()), id).await?;
        let state: AuthenticationState = decode(state.ok_or(Error::Unauthorized)?.as_bytes())?;
        let credential_id = identifier(&answer.raw_id).map_err(|_| Error::Unauthorized)?;
        let own = Entity::find_by_id(credential_id).filter(of_person(holder.subject, holder.tenant));
        let row = own.one(&self.database).await.map_err(Error::Store)?;
        let row = row.ok_or(Error::Unauthorized)?;
        let mut passkey = readable(&row).ok_or(Error::Unauthorized)?;
        let result = self.party.finish_passkey_authentication(answer, &state, &passkey).map_err(|error| {
            if matches!(error, PasskiError::CounterRegression) {
                let person = SubjectId(row.user_id);
                tracing::warn!(%person, "the signature counter of a passkey did not grow: a copy of it may exist");
            }
            refused(&error)
        })?;
        let is_of_another = result.user_handle.is_some_and(|handle| handle != row.user_id.as_bytes());
        if is_of_another {
            return Err(Error::Unauthorized);
        }
        passkey.counter = result.counter;
        self.used(&row, &passkey).await?;
        self.settle(holder.subject, holder.tenant).await
    }

    /// Stores the counter of a passkey that was used. Of two sign-ins with the same row, one succeeds.
    async fn used(&self, row: &Model, passkey: &StoredPasskey) -> Result<(), Error> {
        let changed = Entity::update_many()
            .col_expr(Column::Credential, Expr::value(encode(passkey)?.into_bytes()))
            .filter(Column::CredentialId.eq(row.credential_id.as_slice()))
            .filter(Column::Credential.eq(row.credential.as_slice()))
            .exec(&self.database)
            .await
            .map_err(Error::Store)?;
        // Deleted, or used by another request, in the meantime.
        if changed.rows_affected == 1 { Ok(()) } else { Err(Error::Unauthorized) }
    }

    /// Lists the passkeys of `person`, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, person: &Member) -> Result<Vec<Listed>, Error> {
        let listed = |row: Model| Listed {
            credential_id: URL_SAFE_NO_PAD.encode(row.credential_id),
            created_at: row.created_at,
        };
        self.settle(person.subject, person.tenant.id()).await?;
        let rows = self.rows(person.subject, person.tenant.id()).await?;
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Deletes the passkey `credential_id` of `person`.
    ///
    /// # Errors
    /// [`Error::InvalidCredentialId`] when it is not base64url, [`Error::UnknownPasskey`] when the person has none with
    /// this id, [`Error::Store`].
    pub async fn delete(&self, person: &Member, credential_id: &str) -> Result<(), Error> {
        let credential_id = identifier(credential_id)?;
        let deleted = Entity::delete_many()
            .filter(Column::CredentialId.eq(credential_id))
            .filter(of_person(person.subject, person.tenant.id()))
            .exec(&self.database)
            .await
            .map_err(Error::Store)?;
        if deleted.rows_affected == 1 { Ok(()) } else { Err(Error::UnknownPasskey) }
    }

    /// Deletes what has expired.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn throw_away_expired(&self) -> Result<(), Error> {
        self.ceremonies.throw_away_expired().await
    }

    /// Notes the tenant of the passkeys of `person` that are older than the column.
    ///
    /// # Errors
    /// [`Error::Store`].
    async fn settle(&self, person: SubjectId, tenant: TenantId) -> Result<(), Error> {
        let settled = Entity::update_many()
            .col_expr(Column::TenantId, Expr::value(tenant.0))
            .filter(Column::UserId.eq(person.0))
            .filter(Column::TenantId.is_null());
        settled.exec(&self.database).await.map_err(Error::Store)?;
        Ok(())
    }

    async fn of(&self, person: SubjectId, tenant: TenantId) -> Result<Vec<StoredPasskey>, Error> {
        Ok(self.rows(person, tenant).await?.iter().filter_map(readable).collect())
    }

    async fn rows(&self, person: SubjectId, tenant: TenantId) -> Result<Vec<Model>, Error> {
        let own = Entity::find().filter(of_person(person, tenant)).limit(MAX_PASSKEYS);
        let own = own.order_by_asc(Column::CreatedAt).order_by_asc(Column::CredentialId);
        own.all(&self.database).await.map_err(Error::Store)
    }
}

/// Selects the passkeys of `person` in `tenant`, those that are older than the column included.
fn of_person(person: SubjectId, tenant: TenantId) -> Condition {
    let in_tenant = Condition::any().add(Column::TenantId.eq(tenant.0)).add(Column::TenantId.is_null());
    Condition::all().add(Column::UserId.eq(person.0)).add(in_tenant)
}

/// Returns whether a sign-in with this passkey can succeed. Without attestation the key is first used then, so its
/// algorithm must be one of those that were offered: EdDSA, ES256, ES384, RS256, RS384.
fn is_usable(passkey: &StoredPasskey) -> bool {
    (1..=MAX_ID_BYTES).contains(&passkey.credential_id.len())
        && [-8, -7, -35, -257, -258].contains(&passkey.algorithm)
}

/// Reads the key of a passkey. One that another program wrote in another form is of no use here, and must not keep the
/// person from the others.
fn readable(row: &Model) -> Option<StoredPasskey> {
    let passkey = serde_json::from_slice(&row.credential);
    passkey
        .inspect_err(|error| {
            let person = SubjectId(row.user_id);
            tracing::warn!(%error, %person, "a stored passkey cannot be read; delete its row");
        })
        .ok()
}

/// Reads the id of a passkey. One that no passkey can have is not looked for.
fn identifier(text: &str) -> Result<Vec<u8>, Error> {
    let id = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::InvalidCredentialId)?;
    if id.is_empty() {
        return Err(Error::InvalidCredentialId);
    }
    if id.len() > MAX_ID_BYTES { Err(Error::UnknownPasskey) } else { Ok(id) }
}

/// Logs why an answer is not accepted. The client reads only that it is not.
fn refused(error: &PasskiError) -> Error {
    let reason: String = error.to_string().chars().take(MAX_REASON_CHARS).collect();
    tracing::info!(reason, "a passkey was not accepted");
    Error::Unauthorized
}

fn encode(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::Stored)
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(Error::Stored)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn time(now: UnixTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(crate::session::seconds(now)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
