//! The path with which a service exchanges its assertion for a token.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use kit::body::Body;
use kit::openapi::{Failed, TooLarge, Unavailable};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::Error;
use crate::service_token::{Granted, Refusal, RefusedToken, TokenRequest};

/// The routes for services.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(grant))
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
