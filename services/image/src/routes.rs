//! Every path, with its answers. The prefix `/v1` of older clients may stand before each.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /PATH` | a person | 200, 206, 304, 412, 416 the file, or the best one that begins with this name · 404 |
//! | `GET /PATH/@` | a person | 200 names: shorter ones first; `?visible-thumbnail=true` adds the cover · 404 |
//! | `GET /PATH/image_list?madome-2022=true` | a person, with a client of 2022 | 200 names of all pictures · 404 |
//! | `PUT /PATH` | a bot | 204, after a form (`multipart/form-data`) with one file of at most 20 MB · 400, 403 |
//!
//! Without a session every path is 401, also one that does not exist. For errors see [`crate::error`].

mod body;
mod precondition;
mod read;
mod upload;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, FromRequestParts as _, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::Method;
use http::header::ALLOW;
use kit::{Gate, Person};
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::stub::Stub;
use crate::tree::Tree;

/// Where pictures come from.
#[derive(Clone, Debug)]
pub enum Pictures {
    /// A directory.
    Tree(Tree),
    /// Made up.
    Stub(Stub),
}

/// The state that handlers share.
#[derive(Clone)]
struct App {
    pictures: Pictures,
    gate: Gate,
    /// How many uploads may be written at the same time.
    uploads: Arc<Semaphore>,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// Builds the routes with their layers, ready to be served.
pub fn router(pictures: Pictures, gate: Gate) -> Router {
    let probed = pictures.clone();
    let app = App { pictures, gate: gate.clone(), uploads: Arc::new(Semaphore::new(upload::MAX_AT_ONCE)) };
    let routes = Router::new()
        .fallback(any(answer))
        .layer(DefaultBodyLimit::max(upload::MAX_FORM_BYTES))
        .layer(middleware::from_fn_with_state(gate, signed_in))
        .with_state(app);
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let pictures = probed.clone();
        Box::pin(async move {
            match pictures {
                Pictures::Tree(tree) => {
                    tokio::task::spawn_blocking(move || tree.reachable()).await.unwrap_or(false)
                }
                Pictures::Stub(_) => true,
            }
        })
    };
    kit::surface::surround_open_within(routes, Arc::new(ready), upload::TIMEOUT)
}

async fn answer(State(app): State<App>, request: Request) -> Result<Response, Error> {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let (parts, _) = request.into_parts();
            read::answer(&app.pictures, &parts).await
        }
        Method::PUT => upload::answer(&app, request).await,
        _ => {
            let mut refused = Error::NoSuchMethod.into_response();
            refused.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET, HEAD, PUT"));
            Ok(refused)
        }
    }
}

/// Lets only people pass, on every path.
async fn signed_in(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match Person::from_request_parts(&mut parts, &gate).await {
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(_) => Error::Unauthenticated.into_response(),
    }
}
