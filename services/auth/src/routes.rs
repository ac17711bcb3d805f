//! Every path on one page, and what it answers (`contracts/http/auth_code.hurl`, `contracts/http/auth_login.hurl`,
//! `contracts/http/auth_check.hurl`, `contracts/cookies/session.hurl`).
//!
//! | route | for | answers |
//! |---|---|---|
//! | `POST /auth/code` | any client | 201, and the code is in the mail · 404 unknown address · 429 five codes alive, or too many mailed |
//! | `POST /auth/token` | a client with a code | 201 and two cookies · 404 |
//! | `GET /auth/token[?role=N]` | a person | 200 and the person's identity · 401 · 403 · 404 (older: no such person) |
//! | `PATCH /auth/token` | a client with both cookies | 201 and two new cookies · 401 · 429 when a person does it too often |
//! | `DELETE /auth/token` | a client with a cookie | 204 and clearing cookies · 401 (older: 400) |
//! | `GET /auth/passkeys` … | a person, or a client with a passkey | [`passkeys`] (later surface) |
//! | `POST /_/auth/service-token` | a service with its assertion | 200 and a token · 400 · 401 (RFC 6749 §5.2); 404 without `EDGE_FILE` |
//!
//! Every other path is 404. Refresh and logout also serve people whose access token has expired, which the
//! edge would refuse. With `LEGACY_SESSIONS_REDIS` or `LEGACY_AUTH_URL` refresh and sign-out take sessions of the
//! legacy backend too ([`legacy`](crate::legacy)). On the older surface ([`Surface`]) no answer has the expiry header,
//! a check names the
//! person only, and `role` looks the person up, as the legacy backend did. On these routes the service verifies the
//! tokens itself, and the signed identity plays
//! no part.

mod passkeys;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRef, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use clock::Clock;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use identity::Role;
use kit::SubjectId;
use kit::body::Body;
use kit::caller::{EXPIRES, access_tokens};
use kit::generation::Surface;
use kit::openapi::{Documents, Failed, Invalid, TooLarge, TooMany, Unauthenticated, Unavailable};
use kit::{Gate, Person, answer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body;
use crate::code::Codes;
use crate::cookie::CookieLines;
use crate::error::Error;
use crate::exchange::exchange;
use crate::legacy::{LegacyPair, LegacySessions, SignedOut, written};
use crate::mail::Mailbox;
use crate::passkey::Passkeys;
use crate::people::People;
use crate::presented::{Presented, is_pair, meant};
use crate::service_token::{Granted, Refusal, RefusedToken, ServiceTokens, TokenRequest};
use crate::session::Sessions;
use crate::settings::SessionForm;
use crate::token::{Expiry, Holder, Pair, Tokens};

/// The state that handlers share.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) codes: Codes,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) people: People,
    pub(crate) passkeys: Passkeys,
    pub(crate) mailbox: Mailbox,
    pub(crate) cookies: CookieLines,
    pub(crate) surface: Surface,
    pub(crate) form: SessionForm,
    pub(crate) root_domain: String,
    pub(crate) gate: Gate,
    pub(crate) service_tokens: Option<ServiceTokens>,
    pub(crate) legacy: Option<LegacySessions>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl App {
    /// Returns the sessions.
    #[must_use]
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Creates the tokens of a new session for `holder`, in the form that the settings choose.
    pub(crate) fn issue(&self, holder: Holder) -> Result<Pair, Error> {
        match self.form {
            SessionForm::Own => self.tokens.issue(holder).map_err(Error::Signing),
            SessionForm::Legacy => written::issue(&holder, &self.root_domain, self.clock.now()),
        }
    }
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// The routes for clients of every generation.
fn for_clients() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(request_code)).routes(routes!(login, check, refresh, logout))
}

/// The routes for services.
fn for_services() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(grant))
}

/// Returns the OpenAPI documents of the routes, as the later surface answers them.
#[must_use]
pub fn documents() -> Documents {
    let public = for_clients().merge(passkeys::routes()).into_openapi();
    let internal = for_services().into_openapi();
    Documents::of("auth", crate::ABOUT.purpose, public, internal)
}

/// Builds the routes with their layers, ready to be served.
pub fn router(app: App) -> Router {
    let words = app.gate.words();
    let sessions = app.sessions.clone();
    let service_token = app.service_tokens.is_some();
    let mut routes: Router<App> = for_clients().into();
    // The legacy backend has no passkeys, and answers these paths with 404.
    if app.surface == Surface::Later {
        routes = routes.merge(Router::from(passkeys::routes()));
    }
    if service_token {
        routes = routes.merge(Router::from(for_services()));
    }
    let routes = routes.with_state(app);
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let sessions = sessions.clone();
        Box::pin(async move { sessions.reachable().await })
    };
    kit::surface::surround(routes, words, Arc::new(ready))
}

/// Issues a token to a service in exchange for its signed assertion (RFC 6749 §4.4, RFC 7523 §2.2). The answer is JSON that
/// must not be stored.
#[utoipa::path(
    post, path = "/_/auth/service-token", operation_id = "grantServiceToken", tag = "auth", security(()),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token.", body = Granted),
        (status = 400, description = "The request is not valid (RFC 6749 §5.2).", body = RefusedToken),
        (status = 401, description = "The assertion is not valid.", body = RefusedToken),
        TooLarge, Failed, Unavailable,
    ),
)]
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
            (status, Json(RefusedToken { error: refusal.code() })).into_response()
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
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
        (status = 403, description = "The role is too low (`Permission denied`), or the tenant is suspended."),
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
    let token = access_tokens(&headers)
        .filter_map(|token| app.tokens.access(token, Expiry::Checked))
        .find(|token| token.session == session && token.subject == person.subject);
    let exp = match (token, &app.legacy, Presented::read(&headers)) {
        (Some(token), _, _) => app.sessions.alive(token.session).await?.then_some(token.expires),
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
        _ => own_role,
    };
    if required.is_some_and(|required| role < required) {
        return Err(Error::Forbidden);
    }
    Ok(match app.surface {
        Surface::Older => Json(OlderChecked { user_id: person.subject }).into_response(),
        Surface::Later => {
            let body = Checked { user_id: person.subject, user_role: role, access_token_exp: exp };
            ([(EXPIRES, HeaderValue::from(exp))], Json(body)).into_response()
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
    let mut is_known = !ends.is_empty();
    if let Some(legacy) = &app.legacy {
        for outcome in legacy.sign_out(&presented, app.clock.now()).await.map_err(Error::Legacy)? {
            if let SignedOut::Ended(session) = outcome {
                app.sessions.end_adopted(&session).await?;
            }
            is_known |= outcome != SignedOut::Unproved;
        }
    }
    if !is_known {
        return Err(invalid());
    }
    let lines = app.cookies.clear(presented.has_two_refresh()).map_err(Error::Header)?;
    Ok(with_cookies(answer::no_content(), lines))
}

pub(crate) fn signed_in(app: &App, pair: &Pair) -> Result<Response, Error> {
    let lines = app.cookies.set(&pair.access, &pair.refresh).map_err(Error::Header)?;
    let mut response = with_cookies(answer::created(), lines);
    if app.surface == Surface::Later {
        response.headers_mut().insert(EXPIRES, HeaderValue::from(pair.access_expires.seconds()));
    }
    Ok(response)
}

fn with_cookies(mut response: Response, lines: Vec<HeaderValue>) -> Response {
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
