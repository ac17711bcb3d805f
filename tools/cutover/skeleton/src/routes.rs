//! Every path, with its answers.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /skeleton/note` | a person | 200 their note · 404 |
//! | `PUT /skeleton/note` | a person | 204 · 400 |

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::{Json, Router};
use kit::body::Body;
use kit::openapi::{Documents, Failed, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable};
use kit::{Gate, Metrics, Person, answer};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Error;
use crate::metrics::Counts;
use crate::notes::Notes;

/// The longest note: a screenful of text.
const MAX_CHARACTERS: usize = 1_000;

/// The state that handlers share.
#[derive(Clone)]
struct App {
    notes: Notes,
    gate: Gate,
    counts: Counts,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

/// A note.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The text, without control characters other than line breaks.
    #[schema(min_length = 1, max_length = 1000, example = "Buy milk")]
    text: String,
}

/// The routes for clients.
fn for_clients() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(read, write))
}

/// Returns the OpenAPI documents of the routes.
#[must_use]
pub fn documents() -> Documents {
    let public = for_clients().into_openapi();
    Documents::of(crate::ABOUT.name, crate::ABOUT.purpose, public, OpenApi::default())
}

/// Builds the routes with their layers, ready to be served.
pub fn router(notes: Notes, gate: Gate, counts: Counts, metrics: &Metrics) -> Router {
    let (words, probed) = (gate.words(), notes.clone());
    let app = App { notes, gate, counts };
    let routes = Router::from(for_clients()).with_state(app);
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let notes = probed.clone();
        Box::pin(async move { notes.reachable().await })
    };
    kit::surface::surround(routes, words, Arc::new(ready), metrics)
}

/// Returns the caller's note.
#[utoipa::path(
    get, path = "/skeleton/note", operation_id = "readNote", tag = "skeleton", security(("session" = [])),
    responses(
        (status = 200, description = "The note.", body = Note),
        NotFound, Unauthenticated, Failed, Unavailable,
    ),
)]
async fn read(State(app): State<App>, Person(person): Person) -> Result<Json<Note>, Error> {
    let text = app.notes.read(person.tenant, person.subject).await?.ok_or(Error::NotFound)?;
    Ok(Json(Note { text }))
}

/// Writes the caller's note, or replaces it.
#[utoipa::path(
    put, path = "/skeleton/note", operation_id = "writeNote", tag = "skeleton", security(("session" = [])),
    request_body = Note,
    responses(
        (status = 204, description = "Written."),
        Invalid, Unauthenticated, TooLarge, Failed, Unavailable,
    ),
)]
async fn write(State(app): State<App>, Person(person): Person, Body(bytes): Body) -> Result<Response, Error> {
    // The library's error can repeat the value.
    let Note { text } = serde_json::from_slice(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::Invalid(format!("Not a note (line {line}, column {column})"))
    })?;
    let is_printed = text.chars().all(|character| character == '\n' || !character.is_control());
    if text.is_empty() || text.chars().count() > MAX_CHARACTERS || !is_printed {
        return Err(Error::Invalid(format!("A note has 1 to {MAX_CHARACTERS} printed characters")));
    }
    app.notes.write(person.tenant, person.subject, &text).await?;
    app.counts.written.inc();
    Ok(answer::no_content())
}
