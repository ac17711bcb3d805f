//! Calls in gRPC from the platform's other services: who calls, and how refusals are written.
//!
//! A service answers them at its ordinary address, beside HTTP/1.1, and the edge alone sends them. The same identity counts
//! as for every other request ([`crate::caller`]): a call that the edge did not sign is UNAUTHENTICATED, and one of a person
//! is UNIMPLEMENTED, as if the call did not exist. The messages are in `packages/proto`.

mod health;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::HeaderValue;
use prost_types::Timestamp;
use time::OffsetDateTime;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

pub(crate) use health::health;

use crate::answer::INTERNAL_TEXT;
use crate::caller::{Gate, PlatformService, Refused, ServiceCaller};

/// The longest message of a call, in bytes. Two hundred of the longest tags of a book take 160 KiB.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// The headers of a refusal.
const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// Returns the routes of a generated server, for the services that `gate` admits.
pub fn routes<S>(gate: Gate, server: S) -> Router
where
    S: Service<http::Request<tonic::body::Body>, Response = Response<tonic::body::Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let calls = server.map_request(|request: Request| request.map(tonic::body::Body::new));
    Router::new()
        .route_service(&format!("/{}/{{call}}", S::NAME), calls)
        .layer(middleware::from_fn_with_state(gate, admit))
}

/// Lets only services pass, and keeps who calls for [`caller`].
async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match ServiceCaller::from_request_parts(&mut parts, &gate).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            of_the_caller(next.run(Request::from_parts(parts, body)).await)
        }
        Err(refused) => Status::from(refused).into_http::<Body>(),
    }
}

/// Writes INVALID_ARGUMENT for bytes that are no message. The library answers them with INTERNAL, as most do, and that is a
/// failure of the service: an edge would count it against the service, and on-call people would look for it in the wrong place.
/// Failures of the service itself come from [`internal`] and stay.
fn of_the_caller(mut response: Response) -> Response {
    let own = Status::internal(INTERNAL_TEXT).into_http::<Body>();
    let headers = response.headers();
    if headers.get(STATUS) == own.headers().get(STATUS) && headers.get(MESSAGE) != own.headers().get(MESSAGE)
    {
        response.headers_mut().insert(STATUS, HeaderValue::from(Code::InvalidArgument as i32));
    }
    response
}

/// Returns the service that calls.
///
/// # Errors
/// UNAUTHENTICATED, when the server is not behind [`routes`].
pub fn caller<T>(request: &tonic::Request<T>) -> Result<ServiceCaller, Status> {
    let caller = request.extensions().get::<ServiceCaller>();
    caller.cloned().ok_or_else(|| Status::unauthenticated("the call has no verified identity"))
}

/// Returns the service that calls, when it acts for the platform.
///
/// # Errors
/// UNIMPLEMENTED for a service that acts for one tenant, as if the call did not exist.
pub fn platform_service<T>(request: &tonic::Request<T>) -> Result<PlatformService, Status> {
    match caller(request)? {
        ServiceCaller::Platform(service) => Ok(service),
        ServiceCaller::Tenant(_) => Err(Status::unimplemented("the call is for services of the platform")),
    }
}

/// Returns a failure of the service itself, and logs it with its causes. The answer has no details.
#[must_use]
pub fn internal(error: &(dyn std::error::Error + 'static)) -> Status {
    tracing::error!(error = %crate::answer::Chain(error), "call failed");
    Status::internal(INTERNAL_TEXT)
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unauthenticated(words) => Self::unauthenticated(words.unauthenticated),
            Refused::NotThere(words) => Self::unimplemented(words.not_found),
        }
    }
}

/// Writes a time. Both forms count from the same moment, and a leap second is in neither.
#[must_use]
pub fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}

/// Reads a time; `None` for one that is absent or has no date from the year -9999 to 9999.
#[must_use]
pub fn time(timestamp: Option<Timestamp>) -> Option<OffsetDateTime> {
    let Timestamp { seconds, nanos } = timestamp?;
    let nanos = u32::try_from(nanos).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.replace_nanosecond(nanos).ok()
}
