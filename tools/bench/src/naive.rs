//! A first attempt at an authorizer: it verifies the token on every request and caches nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use envoy_types::ext_authz::v3::{CheckRequestExt as _, CheckResponseExt as _, OkHttpResponseBuilder};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tonic::{Request, Response, Status};

struct Naive {
    key: Arc<DecodingKey>,
    validation: Validation,
}

#[tonic::async_trait]
impl Authorization for Naive {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let request = request.into_inner();
        let headers = request.get_client_headers().ok_or_else(|| Status::invalid_argument("no headers"))?;
        let cookie = headers.get("cookie").map(String::as_str).unwrap_or_default();
        let token = cookie
            .split(';')
            .find_map(|pair| pair.trim().strip_prefix(harness::SESSION_COOKIE)?.strip_prefix('='));
        let verified = token.and_then(|token| {
            jsonwebtoken::decode::<serde_json::Value>(token, &self.key, &self.validation).ok()
        });
        let Some(verified) = verified else {
            return Ok(Response::new(CheckResponse::with_status(Status::unauthenticated("no"))));
        };
        let subject = verified.claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default();
        let mut answer = OkHttpResponseBuilder::new();
        answer.add_header("x-auth-subject", subject, None, false);
        let mut response = CheckResponse::with_status(Status::ok("yes"));
        response.set_http_response(answer);
        Ok(Response::new(response))
    }
}

/// Serves until it is stopped.
pub(crate) fn serve(address: SocketAddr, keys: &Path) {
    let text = std::fs::read(keys).expect("the keys are readable");
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&text).expect("the keys are a JWK set");
    let key = set.keys.first().and_then(|jwk| DecodingKey::from_jwk(jwk).ok()).expect("there is a key");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_aud = false;
    let naive = Naive { key: Arc::new(key), validation };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime
        .block_on(
            tonic::transport::Server::builder().add_service(AuthorizationServer::new(naive)).serve(address),
        )
        .expect("the naive authorizer serves");
}
