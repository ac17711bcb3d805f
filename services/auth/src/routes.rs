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
//! | `PUT`, `DELETE /_/auth/tenants/{tenant}/removal`, `DELETE /_/auth/tenants/{tenant}` | the tenants service | 204: what a tenant has here is removed, in two steps · 409 not prepared |
//!
//! Every other path is 404. Refresh and logout also serve people whose access token has expired, which the
//! edge would refuse. With `LEGACY_SESSIONS_REDIS` or `LEGACY_AUTH_URL` refresh and sign-out take sessions of the
//! legacy backend too ([`legacy`](crate::legacy)). On the older surface ([`Surface`]) no answer has the expiry header,
//! a check names the
//! person only, and `role` looks the person up, as the legacy backend did. On these routes the service verifies the
//! tokens itself, and the signed identity plays
//! no part.

mod passkeys;
mod removal;
mod service_token;
mod session;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use kit::generation::Surface;
use kit::openapi::Documents;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::Error;
use crate::settings::ABOUT;

/// Returns the OpenAPI documents of the routes, as the later surface answers them.
#[must_use]
pub fn documents() -> Documents {
    let public = session::routes().merge(passkeys::routes()).into_openapi();
    let internal = service_token::routes().merge(removal::routes()).into_openapi();
    Documents::of(ABOUT.name, ABOUT.purpose, public, internal)
}

/// Builds the routes with their layers, ready to be served.
pub fn router(app: App) -> Router {
    let words = app.gate.words();
    let (sessions, metrics) = (app.sessions.clone(), app.metrics.clone());
    let issues_service_tokens = app.service_tokens.is_some();
    let mut routes: Router<App> = session::routes().merge(removal::routes()).into();
    // The legacy backend has no passkeys, and answers these paths with 404.
    if app.surface == Surface::Later {
        routes = routes.merge(Router::from(passkeys::routes()));
    }
    if issues_service_tokens {
        routes = routes.merge(Router::from(service_token::routes()));
    }
    let routes = routes.with_state(app);
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let sessions = sessions.clone();
        Box::pin(async move { sessions.reachable().await })
    };
    kit::surface::surround(routes, words, Arc::new(ready), &metrics)
}

/// Parses a JSON body. The content type is ignored, because the legacy backend ignores it and clients rely on
/// that (`contracts/http/auth_code.hurl`).
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Invalid(e.to_string()))
}
