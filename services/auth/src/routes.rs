//! Every path on one page, and what it answers (`contracts/http/auth_code.hurl`, `contracts/http/auth_login.hurl`,
//! `contracts/http/auth_check.hurl`, `contracts/cookies/session.hurl`).
//!
//! | route | for | answers |
//! |---|---|---|
//! | `POST /auth/code` | any client | 201, and the code is in the mail · 404 unknown address · 429 five codes alive, or too many mailed |
//! | `POST /auth/token` | a client with a code | 201 and two cookies · 404 |
//! | `GET /auth/token[?role=N]` | a person | 200 and the person's identity · 401 · 403 |
//! | `PATCH /auth/token` | a client with both cookies | 201 and two new cookies · 401 · 429 when a person does it too often |
//! | `DELETE /auth/token` | a client with a cookie | 204 and two clearing cookies · 401 |
//! | `POST /_/auth/service-token` | a service with its assertion | 200 and a token · 400 · 401 (RFC 6749 §5.2); 404 without `EDGE_FILE` |
//!
//! Every other path is 404. Refresh and logout also serve people whose access token has expired, which the
//! edge would refuse. On these routes the service verifies the tokens itself, and the signed identity plays
//! no part.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRef, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use identity::{Role, SubjectId};
use kit::body::Body;
use kit::caller::{EXPIRES, access_tokens};
use kit::cookies::{self, Cookie};
use kit::{Gate, Person, answer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::code::Codes;
use crate::cookie::{ACCESS_COOKIE, CookieLines, REFRESH_COOKIE};
use crate::error::Error;
use crate::mail::Mailbox;
use crate::people::People;
use crate::service_token::{Refusal, ServiceTokens};
use crate::session::Sessions;
use crate::token::{Expiry, Genuine, Pair, Tokens};

/// The state that handlers share.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) codes: Codes,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) people: People,
    pub(crate) mailbox: Mailbox,
    pub(crate) cookies: CookieLines,
    pub(crate) gate: Gate,
    pub(crate) service_tokens: Option<ServiceTokens>,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// Builds the routes with their layers, ready to be served.
pub fn router(app: App) -> Router {
    let words = app.gate.words();
    let sessions = app.sessions.clone();
    let service_token = app.service_tokens.is_some();
    let mut routes = Router::new()
        .route("/auth/code", post(request_code))
        .route("/auth/token", post(login).get(check).patch(refresh).delete(logout))
        .with_state(app.clone());
    if service_token {
        routes = routes.merge(Router::new().route("/_/auth/service-token", post(grant)).with_state(app));
    }
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let sessions = sessions.clone();
        Box::pin(async move { sessions.reachable().await })
    };
    kit::surface::surround(routes, words, Arc::new(ready))
}

/// Answers as RFC 6749 §5 requires: JSON that must not be stored.
async fn grant(State(app): State<App>, Body(bytes): Body) -> Result<Response, Error> {
    let fields = serde_urlencoded::from_bytes::<Vec<(String, String)>>(&bytes).unwrap_or_default();
    let granted = match &app.service_tokens {
        Some(tokens) => tokens.grant(&fields).await?,
        None => Err(Refusal::InvalidRequest),
    };
    let mut response = match granted {
        Ok(granted) => Json(granted).into_response(),
        Err(refusal) => {
            let status = match refusal {
                Refusal::InvalidClient => StatusCode::UNAUTHORIZED,
                Refusal::InvalidRequest | Refusal::UnsupportedGrantType | Refusal::InvalidScope => {
                    StatusCode::BAD_REQUEST
                }
            };
            (status, Json(serde_json::json!({ "error": refusal.code() }))).into_response()
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(Deserialize)]
struct CodeRequest {
    email: String,
}

async fn request_code(State(app): State<App>, Body(bytes): Body) -> Result<Response, Error> {
    let CodeRequest { email } = json(&bytes)?;
    if !kit::email::is_address(&email) {
        return Err(Error::InvalidEmail);
    }
    app.people.by_email(&email).await.map_err(Error::Lookup)?.ok_or(Error::UnknownPerson)?;
    let code = app.codes.issue(&email).await?;
    if let Err(error) = app.mailbox.send_code(&email, &code).await {
        app.codes.take_back(&email, &code).await?;
        return Err(Error::Mail(error));
    }
    Ok(answer::created())
}

#[derive(Deserialize)]
struct LoginRequest {
    email: String,
    code: String,
}

async fn login(State(app): State<App>, Body(bytes): Body) -> Result<Response, Error> {
    let LoginRequest { email, code } = json(&bytes)?;
    if !app.codes.consume(&email, &code).await? {
        return Err(Error::InvalidCode);
    }
    let holder = app.people.by_email(&email).await.map_err(Error::Lookup)?.ok_or(Error::UnknownPerson)?;
    let pair = app.tokens.issue(holder).map_err(Error::Signing)?;
    app.sessions.begin(&holder, &pair).await?;
    signed_in(&app.cookies, &pair)
}

/// The answer of `GET /auth/token`, with the fields in the contract's order.
#[derive(Serialize)]
struct Checked {
    user_id: SubjectId,
    user_role: Role,
    access_token_exp: u64,
}

async fn check(
    State(app): State<App>,
    Person(person): Person,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    // The edge has already decided which token counts; the signed session id identifies it.
    let token = access_tokens(&headers)
        .filter_map(|token| app.tokens.access(token, Expiry::Checked))
        .find(|token| token.session == person.session && token.subject == person.subject)
        .ok_or(Error::Unauthorized)?;
    if !app.sessions.alive(token.session).await? {
        return Err(Error::Unauthorized);
    }
    if required_role(&uri).is_some_and(|required| person.role < required) {
        return Err(Error::Forbidden);
    }
    let exp = token.expires.seconds();
    let body = Checked { user_id: person.subject, user_role: person.role, access_token_exp: exp };
    Ok(([(EXPIRES, HeaderValue::from(exp))], Json(body)).into_response())
}

/// Reads `role=N` from the query. A value that is not a number from 0 to 255 requires no role.
fn required_role(uri: &Uri) -> Option<Role> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let (_, value) = pairs.into_iter().find(|(key, _)| key == "role")?;
    value.parse().ok().map(Role)
}

async fn refresh(State(app): State<App>, headers: HeaderMap) -> Result<Response, Error> {
    let cookie = |name| cookies::read(&headers, name).value();
    // The access token may be expired, but it must be genuine.
    let access = cookie(ACCESS_COOKIE).and_then(|token| app.tokens.access(token, Expiry::Ignored));
    let old = cookie(REFRESH_COOKIE).and_then(|token| app.tokens.refresh(token, Expiry::Checked));
    let Some(old) = old else { return Err(Error::Unauthorized) };
    // Checked first, so that the reuse of a refresh token is noticed whatever else the request contains.
    let is_good = app.sessions.refreshable(&old).await?;
    let access = access.ok_or(Error::Unauthorized)?;
    if (access.session, access.subject) != (old.session, old.subject) {
        return Err(Error::InvalidPair);
    }
    if !is_good {
        return Err(Error::Unauthorized);
    }
    // Role and tenant live in the token, so they are looked up again: a person who lost a role, or was
    // removed, does not keep it by refreshing. A failed lookup is 500 and leaves the old pair unchanged.
    let holder = app.people.by_id(old.subject).await.map_err(Error::Lookup)?.ok_or(Error::Unauthorized)?;
    let pair = app.tokens.issue(holder).map_err(Error::Signing)?;
    if !app.sessions.replace(&old, &holder, &pair).await? {
        return Err(Error::Unauthorized);
    }
    signed_in(&app.cookies, &pair)
}

async fn logout(State(app): State<App>, headers: HeaderMap) -> Result<Response, Error> {
    let token = session_to_end(&app.tokens, &headers).ok_or(Error::InvalidToken)?;
    app.sessions.end(&token).await?;
    Ok(with_cookies(answer::no_content(), app.cookies.clear().map_err(Error::Header)?))
}

/// Returns the session named by the refresh token, otherwise by the access token. Expired tokens count too,
/// so that signing out always works.
fn session_to_end(tokens: &Tokens, headers: &HeaderMap) -> Option<Genuine> {
    let (access, refresh) = (cookies::read(headers, ACCESS_COOKIE), cookies::read(headers, REFRESH_COOKIE));
    // Two different cookies of one name do not show which session is meant.
    if access == Cookie::Ambiguous || refresh == Cookie::Ambiguous {
        return None;
    }
    let by_refresh = refresh.value().and_then(|token| tokens.refresh(token, Expiry::Ignored));
    by_refresh.or_else(|| access.value().and_then(|token| tokens.access(token, Expiry::Ignored)))
}

fn signed_in(cookies: &CookieLines, pair: &Pair) -> Result<Response, Error> {
    let lines = cookies.set(&pair.access, &pair.refresh).map_err(Error::Header)?;
    let mut response = with_cookies(answer::created(), lines);
    response.headers_mut().insert(EXPIRES, HeaderValue::from(pair.access_expires.seconds()));
    Ok(response)
}

fn with_cookies(mut response: Response, lines: [HeaderValue; 2]) -> Response {
    for line in lines {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}

/// Parses a JSON body. The content type is ignored, because the legacy backend ignores it and clients rely on
/// that (`contracts/http/auth_code.hurl`).
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Invalid(e.to_string()))
}
