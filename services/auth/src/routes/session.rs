//! The paths of codes and sessions, for clients of every generation: they sign in, check, refresh and sign out.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Uri};
use identity::Role;
use kit::SubjectId;
use kit::body::Body;
use kit::caller::{EXPIRES, access_tokens};
use kit::generation::Surface;
use kit::openapi::{Failed, Invalid, TooLarge, TooMany, Unauthenticated, Unavailable};
use kit::{Person, answer};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::json;
use crate::app::{App, signed_in, with_cookies};
use crate::body;
use crate::error::Error;
use crate::exchange::exchange;
use crate::legacy::{LegacyPair, SignedOut};
use crate::presented::{Presented, is_pair, meant};
use crate::token::Expiry;

/// The routes for clients of every generation.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(request_code)).routes(routes!(login, check, refresh, logout))
}

/// Sends a login code to an address. A code lives for two minutes, and an address has at most five.
#[utoipa::path(
    post, path = "/auth/code", operation_id = "requestLoginCode", tag = "auth", security(()),
    request_body = body::code::Payload,
    responses(
        (status = 201, description = "The code is in the mail."),
        (status = 404, description = "No account has this address: `Not found user`."),
        Invalid, TooLarge, TooMany, Failed, Unavailable,
    ),
)]
async fn request_code(State(app): State<App>, Body(bytes): Body) -> Result<Response, Error> {
    let body::code::Payload { email } = json(&bytes)?;
    if !has_two_sides(&email) {
        return Err(Error::InvalidEmail);
    }
    // An address that mail does not accept belongs to no person. It must not reach the mail, and may contain bytes that
    // no store takes.
    if !kit::email::is_address(&email) {
        return Err(Error::UnknownPerson);
    }
    let holder = app.people.by_email(&email).await.map_err(Error::Lookup)?.ok_or(Error::UnknownPerson)?;
    let code = app.codes.issue(&email, holder.tenant).await?;
    if let Err(error) = app.mailbox.send_code(&email, &code).await {
        app.codes.take_back(&email, &code).await?;
        return Err(Error::Mail(error));
    }
    Ok(answer::created())
}

/// The legacy backend's rule for an address, which is looser than that of mail ([`kit::email`]): something on both sides
/// of the first `@`.
fn has_two_sides(email: &str) -> bool {
    email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// Signs in with a code, which is used up by it.
#[utoipa::path(
    post, path = "/auth/token", operation_id = "signIn", tag = "auth", security(()),
    request_body = body::sign_in::Payload,
    responses(
        (status = 201, description = "Signed in. Two `set-cookie` lines have the tokens: access, then refresh.", headers(
            ("set-cookie" = String, description = "`madome_access_token` and `madome_refresh_token`."),
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        (status = 404, description = "The code is wrong, expired or used (`Invalid authcode`), or the account is gone."),
        Invalid, TooLarge, TooMany, Failed, Unavailable,
    ),
)]
async fn login(State(app): State<App>, Body(bytes): Body) -> Result<Response, Error> {
    let body::sign_in::Payload { email, code } = json(&bytes)?;
    if !app.codes.consume(&email, &code).await? {
        return Err(Error::InvalidCode);
    }
    let holder = app.people.by_email(&email).await.map_err(Error::Lookup)?.ok_or(Error::UnknownPerson)?;
    let pair = app.issue(holder)?;
    app.sessions.begin(&holder, &pair).await?;
    signed_in(&app, &pair)
}

/// The signed-in person. The fields are in the contract's order.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct Checked {
    #[schema(value_type = String, format = "uuid")]
    user_id: SubjectId,
    /// 0: everyone; 1: developers; 2: bots, which write.
    #[schema(value_type = u8, maximum = 2)]
    user_role: Role,
    /// When the access token expires, in Unix seconds.
    access_token_exp: u64,
}

/// The same on the older surface.
#[derive(Serialize)]
struct OlderChecked {
    user_id: SubjectId,
}

/// Checks the session, and with `role` whether the person has it.
#[utoipa::path(
    get, path = "/auth/token", operation_id = "checkSession", tag = "auth", security(("session" = [])),
    params(("role" = Option<String>, Query, example = "0", description =
        "The lowest role that suffices, from 0 to 255. Any other text requires no role.")),
    responses(
        (status = 200, description = "Signed in.", body = Checked, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        (status = 403, description = "The role is too low (`Permission denied`), or the tenant is suspended.", headers(
            ("x-madome-access-token-expires" = u64, description =
                "When the access token expires, in Unix seconds. Absent when the tenant is suspended."),
        )),
        Unauthenticated, Failed, Unavailable,
    ),
)]
async fn check(
    State(app): State<App>,
    Person(person): Person,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    // The edge has already decided which token counts; the signed session id identifies it. A person of another issuer
    // may have none, and then none of these tokens.
    let (Some(session), Some(own_role)) = (person.session, person.role) else {
        return Err(Error::Unauthorized);
    };
    let token =
        access_tokens(&headers).filter_map(|token| app.tokens.access(token, Expiry::Checked)).find(|token| {
            token.session == session && token.subject == person.subject && token.tenant == person.tenant.id()
        });
    // The edge cannot take a role from a token of the legacy backend, so the account decides.
    let is_own = token.is_some();
    let exp = match (token, &app.legacy, Presented::read(&headers)) {
        (Some(token), _, _) => app.sessions.alive(&token).await?.then_some(token.expires),
        (None, Some(legacy), Some(presented)) => {
            let living = legacy.living_access(&presented, session, app.clock.now()).await;
            let living = living.map_err(Error::Legacy)?;
            living.filter(|token| token.subject == person.subject).map(|token| token.expires)
        }
        (None, _, _) => None,
    };
    let exp = exp.ok_or(Error::Unauthorized)?.seconds();
    let required = required_role(&uri);
    let role = match (app.surface, required) {
        // The legacy backend took the role from the account, so a person without one is not found.
        (Surface::Older, Some(_)) => {
            let account = app.people.by_id(person.subject).await.map_err(Error::Lookup)?;
            account.ok_or(Error::UnknownPerson)?.role
        }
        // A person who is gone has no session, as at the refresh.
        (Surface::Later, _) if !is_own => {
            let account = app.people.by_id(person.subject).await.map_err(Error::Lookup)?;
            account.ok_or(Error::Unauthorized)?.role
        }
        _ => own_role,
    };
    let is_too_low = required.is_some_and(|required| role < required);
    Ok(match app.surface {
        Surface::Older if is_too_low => return Err(Error::Forbidden),
        Surface::Older => Json(OlderChecked { user_id: person.subject }).into_response(),
        Surface::Later => {
            let body = Checked { user_id: person.subject, user_role: role, access_token_exp: exp };
            // Too low a role is an answer to a person who is signed in, so it has the header, too.
            let checked = if is_too_low { Err(Error::Forbidden) } else { Ok(Json(body)) };
            ([(EXPIRES, HeaderValue::from(exp))], checked).into_response()
        }
    })
}

/// Reads `role=N` from the query. A value that is not a number from 0 to 255 requires no role.
fn required_role(uri: &Uri) -> Option<Role> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let (_, value) = pairs.into_iter().find(|(key, _)| key == "role")?;
    value.parse().ok().map(Role)
}

/// Replaces the session by a new one. The access token may be expired, but it must be genuine; the refresh token must be
/// valid and of the same session.
#[utoipa::path(
    patch, path = "/auth/token", operation_id = "refreshSession", tag = "auth",
    security(("session" = [], "refresh" = [])),
    responses(
        (status = 201, description = "Refreshed. Two `set-cookie` lines have the tokens: access, then refresh.", headers(
            ("set-cookie" = String, description = "`madome_access_token` and `madome_refresh_token`."),
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        (status = 401, description = "A token is missing, invalid or used (`Unauthorized`), or the two are of different sessions (`Invalid token pair`)."),
        TooMany, Failed, Unavailable,
    ),
)]
async fn refresh(State(app): State<App>, headers: HeaderMap) -> Result<Response, Error> {
    let presented = Presented::read(&headers).ok_or(Error::Unauthorized)?;
    // The access token may be expired, but it must be genuine.
    let access = presented.own_access(&app.tokens, Expiry::Ignored);
    // The access cookie has one path in both generations, so it shows the newest session.
    if access.is_none()
        && let Some(legacy) = &app.legacy
        && let Some(pair) = LegacyPair::read(&presented)
    {
        return exchange(&app, legacy, &pair).await;
    }
    let refresh = presented.own_refresh(&app.tokens, Expiry::Checked);
    let Some(old) = meant(&refresh, access.as_ref()) else {
        let belongs_to_none = access.is_some() && !refresh.is_empty();
        return Err(if belongs_to_none { Error::InvalidPair } else { Error::Unauthorized });
    };
    // Checked first, so that the reuse of a refresh token is noticed whatever else the request contains.
    let is_good = app.sessions.refreshable(&old).await?;
    let access = access.ok_or(Error::Unauthorized)?;
    if !is_pair(&access, &old) {
        return Err(Error::InvalidPair);
    }
    if !is_good {
        return Err(Error::Unauthorized);
    }
    // Role and tenant live in the token, so they are looked up again: a person who lost a role, or was
    // removed, does not keep it by refreshing. A failed lookup is 500 and leaves the old pair unchanged.
    let holder = app.people.by_id(old.subject).await.map_err(Error::Lookup)?.ok_or(Error::Unauthorized)?;
    let pair = app.issue(holder)?;
    if !app.sessions.replace(&old, &holder, &pair).await? {
        return Err(Error::Unauthorized);
    }
    signed_in(&app, &pair)
}

/// Signs out. Expired tokens count too, so that signing out always works.
#[utoipa::path(
    delete, path = "/auth/token", operation_id = "signOut", tag = "auth",
    security(("session" = []), ("refresh" = [])),
    responses(
        (status = 204, description = "Signed out. The `set-cookie` lines clear the cookies.", headers(
            ("set-cookie" = String, description = "The cookies with empty values and `Max-Age=0`."),
        )),
        (status = 401, description = "No token names a session: `Invalid token`."),
        TooMany, Failed, Unavailable,
    ),
)]
async fn logout(State(app): State<App>, headers: HeaderMap) -> Result<Response, Error> {
    let invalid = || Error::InvalidToken { surface: app.surface };
    // Two lines that disagree do not show which session is meant.
    let presented = Presented::read(&headers).ok_or_else(invalid)?;
    // The session of each refresh token ends, because the browser loses all of them. Without one the access
    // token's does. Expired tokens count too, so that signing out always works.
    let mut ends = presented.own_refresh(&app.tokens, Expiry::Ignored);
    if ends.is_empty() {
        ends.extend(presented.own_access(&app.tokens, Expiry::Ignored));
    }
    for token in &ends {
        app.sessions.end(token).await?;
    }
    let has_ended_own = !ends.is_empty();
    let mut is_known = has_ended_own;
    if let Some(legacy) = &app.legacy {
        for outcome in legacy.sign_out(&presented, app.clock.now()).await {
            match outcome {
                Ok(SignedOut::Ended(session)) => {
                    app.sessions.end_adopted(&session).await?;
                    is_known = true;
                }
                Ok(SignedOut::Before) => is_known = true,
                Ok(SignedOut::Unproved) => {}
                // The browser has a session of this service, so its legacy cookie is most likely the left-over of an
                // exchange. Without the lines that clear the cookies the person could not sign out until the legacy
                // backend is back.
                Err(error) if has_ended_own => {
                    tracing::warn!(%error, "a sign-out did not reach the legacy backend's sessions");
                }
                Err(error) => return Err(Error::Legacy(error)),
            }
        }
    }
    if !is_known {
        return Err(invalid());
    }
    let lines = app.cookies.clear(presented.has_two_refresh()).map_err(Error::Header)?;
    Ok(with_cookies(answer::no_content(), lines))
}
