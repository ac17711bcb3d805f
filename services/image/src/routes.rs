//! Every path, with its answers. The prefix `/v1` of older clients may stand before each.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /PATH` | a person | 200, 206, 304, 412, 416 the file, or the best one that begins with this name · 404 |
//! | `GET /PATH/@` | a person | 200 names: shorter ones first; `?visible-thumbnail=true` adds the cover · 404 |
//! | `GET /PATH/image_list` | a person, with an older client | 200 names of all pictures · 404 |
//! | `PUT /PATH` | a bot | 204, after a form (`multipart/form-data`) with one file of at most 20 MB · 400, 403 |
//!
//! Without a session every path is 401, also one that does not exist. For errors see [`crate::error`]. The OpenAPI document has
//! the paths of a book's pictures ([`described`]).

mod body;
mod described;
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
use kit::openapi::Documents;
use kit::{Gate, Metrics, Person};
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi;
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Error;
use crate::settings::ABOUT;
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

/// Every route of the document.
fn described() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(described::read, described::describe, described::upload))
        .routes(routes!(described::list))
}

/// Returns the OpenAPI documents of the routes. Their server is the file host, which is another one than that of the API.
#[must_use]
pub fn documents() -> Documents {
    let mut documents =
        Documents::of(ABOUT.name, ABOUT.purpose, described().into_openapi(), OpenApi::default());
    let host = ServerVariableBuilder::new()
        // As LIBRARY_FILES of the library has it.
        .default_value("file.dev-domain.test")
        .description(Some("`file.` and the domain of the product."));
    let files = ServerBuilder::new()
        .url("https://{host}")
        .description(Some("The file host of the edge."))
        .parameter("host", host)
        .build();
    documents.public.servers = Some(vec![files]);
    documents
}

/// Builds the routes with their layers, ready to be served.
pub fn router(pictures: Pictures, gate: Gate, metrics: &Metrics) -> Router {
    let probed = pictures.clone();
    let app = App { pictures, gate: gate.clone(), uploads: Arc::new(Semaphore::new(upload::MAX_AT_ONCE)) };
    let routes = Router::from(described())
        .method_not_allowed_fallback(answer)
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
    kit::surface::surround_open_within(routes, Arc::new(ready), metrics, upload::TIMEOUT)
}

async fn answer(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let is_list = request.uri().path().ends_with("/@");
    match *request.method() {
        Method::GET | Method::HEAD => {
            let (parts, _) = request.into_parts();
            read::answer(&app.pictures, &parts).await
        }
        Method::PUT if !is_list => upload::answer(&app, request).await,
        _ => {
            let allowed = if is_list { "GET, HEAD" } else { "GET, HEAD, PUT" };
            let mut refused = Error::NoSuchMethod.into_response();
            refused.headers_mut().insert(ALLOW, http::HeaderValue::from_static(allowed));
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
