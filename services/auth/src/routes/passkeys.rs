//! The paths of passkeys of the later surface, and what they answer.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /auth/passkeys` | a person | 200 and the person's passkeys · 401 |
//! | `DELETE /auth/passkeys/{id}` | a person | 204 · 400 no base64url · 401 · 404 unknown, or of another person |
//! | `POST /auth/passkey/registration` | a person | 200 and options for `navigator.credentials.create` · 401 |
//! | `PATCH /auth/passkey/registration?registration-id=` | a person | 201 · 400 no JSON · 401 |
//! | `POST /auth/passkey/authentication?email=` | any client | 200 and options for `navigator.credentials.get` · 404 unknown address, or one without a passkey |
//! | `PATCH /auth/passkey/authentication?authentication-id=&email=` | a client with a passkey | 201 and two cookies · 400 no JSON · 401 |
//!
//! The id of a ceremony is in a header of the first half, and in the query of the second. Every answer to a person, refusals
//! included, has the expiry of the access token.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Uri};
use kit::answer;
use kit::body::Body;
use kit::openapi::{Failed, Invalid, TooLarge, TooMany, Unauthenticated, Unavailable};
use kit::{Member, Person, SessionExpiry, email};
use serde::{Serialize, Serializer};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::json;
use crate::app::{App, signed_in};
use crate::body::passkey as described;
use crate::error::Error;
use crate::passkey::Listed;

/// The id of a registration.
const REGISTRATION_ID: HeaderName = HeaderName::from_static("x-madome-passkey-registration-id");

/// The id of a sign-in.
const AUTHENTICATION_ID: HeaderName = HeaderName::from_static("x-madome-passkey-authentication-id");

/// The routes for clients of the later generation.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(delete))
        .routes(routes!(begin_registration, finish_registration))
        .routes(routes!(begin_sign_in, finish_sign_in))
}

/// A passkey of the signed-in person.
#[derive(Serialize, ToSchema)]
#[schema(as = Passkey)]
struct Own {
    /// In base64url without padding.
    #[schema(example = "AAECAwQFBgc")]
    credential_id: String,
    #[serde(serialize_with = "millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T18:18:24.000Z")]
    created_at: OffsetDateTime,
}

fn millis<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let utc = at.checked_to_offset(UtcOffset::UTC).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    serializer.serialize_str(&utc.format(&format).map_err(serde::ser::Error::custom)?)
}

/// Options for the browser, in the member that its function reads.
#[derive(Serialize)]
struct Options<T> {
    #[serde(rename = "publicKey")]
    public_key: T,
}

/// Lists the passkeys of the signed-in person, oldest first.
#[utoipa::path(
    get, path = "/auth/passkeys", operation_id = "listPasskeys", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, description = "The passkeys.", body = Vec<Own>, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        Unauthenticated, Failed, Unavailable,
    ),
)]
async fn list(State(app): State<App>, Person(person): Person, expiry: SessionExpiry) -> impl IntoResponse {
    let own = |Listed { credential_id, created_at }| Own { credential_id, created_at };
    let listed = app.passkeys.list(&person).await;
    (expiry, listed.map(|passkeys| Json(passkeys.into_iter().map(own).collect::<Vec<Own>>())))
}

/// Deletes a passkey of the signed-in person.
#[utoipa::path(
    delete, path = "/auth/passkeys/{credential_id}", operation_id = "deletePasskey", tag = "auth",
    security(("session" = [])),
    params(("credential_id" = String, Path, description = "In base64url without padding.", example = "AAECAwQFBgc")),
    responses(
        (status = 204, description = "Deleted. It cannot sign in any more; sessions that it began live on.", headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        (status = 404, description = "The person has no such passkey: `Not found passkey`."),
        Invalid, Unauthenticated, Failed, Unavailable,
    ),
)]
async fn delete(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    id: Result<Path<String>, PathRejection>,
) -> impl IntoResponse {
    let deleted = match id {
        Ok(Path(id)) => app.passkeys.delete(&person, &id).await,
        Err(_) => Err(Error::InvalidCredentialId),
    };
    (expiry, deleted.map(|()| answer::no_content()))
}

/// Begins the registration of a passkey. It has to be finished within two minutes.
#[utoipa::path(
    post, path = "/auth/passkey/registration", operation_id = "beginPasskeyRegistration", tag = "auth",
    security(("session" = [])),
    responses(
        (status = 200, description = "Options for `navigator.credentials.create`.", body = described::Options, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
            ("x-madome-passkey-registration-id" = String, description = "The id of the registration, for its second half."),
        )),
        Unauthenticated, TooMany, Failed, Unavailable,
    ),
)]
async fn begin_registration(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
) -> impl IntoResponse {
    (expiry, begun_registration(&app, &person).await)
}

async fn begun_registration(app: &App, person: &Member) -> Result<Response, Error> {
    let profile = app.people.profile(person.subject).await.map_err(Error::Lookup)?;
    let profile = profile.ok_or(Error::Unauthorized)?;
    let (public_key, id) = app.passkeys.begin_registration(person, &profile).await?;
    Ok((id_header(REGISTRATION_ID, id)?, Json(Options { public_key })).into_response())
}

/// Finishes the registration of a passkey.
#[utoipa::path(
    patch, path = "/auth/passkey/registration", operation_id = "finishPasskeyRegistration", tag = "auth",
    security(("session" = [])),
    params(("registration-id" = String, Query, description = "The id from the first half.",
        example = "0192d3c0-0000-4000-8000-000000000001")),
    request_body = described::Registration,
    responses(
        (status = 201, description = "The passkey can sign in.", headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        (status = 401, description = "Not signed in, or the registration is unknown, expired or used, or the answer does not fit it."),
        Invalid, TooLarge, TooMany, Failed, Unavailable,
    ),
)]
async fn finish_registration(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    uri: Uri,
    Body(bytes): Body,
) -> impl IntoResponse {
    (expiry, finished_registration(&app, &person, &uri, &bytes).await)
}

async fn finished_registration(
    app: &App,
    person: &Member,
    uri: &Uri,
    bytes: &[u8],
) -> Result<Response, Error> {
    let id = ceremony(uri, "registration-id")?;
    let answer = json(bytes)?;
    app.passkeys.finish_registration(person, id, &answer).await?;
    Ok(answer::created())
}

/// Begins a sign-in with a passkey. It has to be finished within two minutes.
#[utoipa::path(
    post, path = "/auth/passkey/authentication", operation_id = "beginPasskeySignIn", tag = "auth", security(()),
    params(("email" = String, Query, description = "The address of the account.", example = "demo@example.com")),
    responses(
        (status = 200, description = "Options for `navigator.credentials.get`.", body = described::Options, headers(
            ("x-madome-passkey-authentication-id" = String, description = "The id of the sign-in, for its second half."),
        )),
        (status = 404, description = "No account with a passkey has this address: `Not found user`."),
        Invalid, TooMany, Failed, Unavailable,
    ),
)]
async fn begin_sign_in(State(app): State<App>, uri: Uri) -> Result<Response, Error> {
    let email = parameter(&uri, "email")?;
    // An address that mail does not accept belongs to no person, and may contain bytes that no store takes.
    if !email::is_address(&email) {
        return Err(Error::UnknownPerson);
    }
    let holder = app.people.by_email(&email).await.map_err(Error::Lookup)?.ok_or(Error::UnknownPerson)?;
    // The same answer as for an unknown address, so that it says nothing about accounts without a passkey.
    let begun = app.passkeys.begin_sign_in(&holder, &email).await?.ok_or(Error::UnknownPerson)?;
    let (public_key, id) = begun;
    Ok((id_header(AUTHENTICATION_ID, id)?, Json(Options { public_key })).into_response())
}

/// Signs in with a passkey.
#[utoipa::path(
    patch, path = "/auth/passkey/authentication", operation_id = "finishPasskeySignIn", tag = "auth", security(()),
    params(
        ("authentication-id" = String, Query, description = "The id from the first half.",
            example = "0192d3c0-0000-4000-8000-000000000001"),
        ("email" = String, Query, description = "The address from the first half.", example = "demo@example.com"),
    ),
    request_body = described::Authentication,
    responses(
        (status = 201, description = "Signed in. Two `set-cookie` lines have the tokens: access, then refresh.", headers(
            ("set-cookie" = String, description = "`madome_access_token` and `madome_refresh_token`."),
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        (status = 401, description = "The sign-in is unknown, expired or used, or the answer does not fit it."),
        Invalid, TooLarge, TooMany, Failed, Unavailable,
    ),
)]
async fn finish_sign_in(State(app): State<App>, uri: Uri, Body(bytes): Body) -> Result<Response, Error> {
    let (id, email) = (ceremony(&uri, "authentication-id")?, parameter(&uri, "email")?);
    let answer = json(&bytes)?;
    if !email::is_address(&email) {
        return Err(Error::Unauthorized);
    }
    // Role and tenant live in the token, so they are looked up now. The address may have moved to another person, whose
    // passkeys alone can sign in with it.
    let holder = app.people.by_email(&email).await.map_err(Error::Lookup)?.ok_or(Error::Unauthorized)?;
    app.passkeys.finish_sign_in(&holder, &email, id, &answer).await?;
    let pair = app.issue(holder)?;
    app.sessions.begin(&holder, &pair).await?;
    signed_in(&app, &pair)
}

/// Reads the id of a ceremony from the query. An invalid id belongs to no ceremony.
fn ceremony(uri: &Uri, name: &str) -> Result<Uuid, Error> {
    parameter(uri, name)?.parse().map_err(|_| Error::Unauthorized)
}

/// Reads a parameter of the query.
fn parameter(uri: &Uri, name: &str) -> Result<String, Error> {
    let pairs =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default();
    let found = pairs.into_iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value).ok_or_else(|| Error::Invalid(format!("the query has no `{name}`")))
}

fn id_header(name: HeaderName, id: Uuid) -> Result<[(HeaderName, HeaderValue); 1], Error> {
    let value = HeaderValue::try_from(id.hyphenated().to_string()).map_err(Error::Header)?;
    Ok([(name, value)])
}
