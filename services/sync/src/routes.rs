//! Every path on one page, with its answers. Each needs a service that the edge has proved: 401 and 404 otherwise.
//!
//! | route | answers |
//! |---|---|
//! | `GET /_sync/jobs/{job}` | 200 where the job goes on |
//! | `POST /_sync/jobs/{job}/batches/{number}` | 200 what became of the books · 400 · 409 with the expected number · 503 |
//! | `GET /_sync/jobs/{job}/files` | 200 how much of a file has arrived |
//! | `PUT /_sync/jobs/{job}/files` | 200 the same, after this part · 400 · 409 with the expected offset · 503 |
//! | `GET /_sync/jobs/{job}/events` | 200 server-sent events |

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRef, Path, Query, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use kit::openapi::Documents;
use kit::{Gate, Metrics, PlatformService};
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, Refusal, json};
use crate::events::Readers;
use crate::files::{Files, Received, Upload};
use crate::jobs::{JobName, Jobs, Outcome, Progress};
use crate::library::Book;
use crate::settings::ABOUT;

/// The longest batch: fifty books with two hundred tags each are under 1 MiB, as long as the edge takes signed bodies.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// The state that handlers share.
#[derive(Clone)]
struct App {
    jobs: Jobs,
    files: Files,
    readers: Readers,
    gate: Gate,
}

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.gate.clone()
    }
}

fn described() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(progress))
        .routes(routes!(deliver))
        .routes(routes!(received, append))
        .routes(routes!(events))
        .layer(DefaultBodyLimit::max(MAX_BATCH_BYTES))
}

/// Returns the OpenAPI documents of the routes. There is none for clients.
#[must_use]
pub fn documents() -> Documents {
    Documents::of(ABOUT.name, ABOUT.purpose, OpenApi::default(), described().into_openapi())
}

/// Builds the routes with their layers, ready to be served.
pub fn router(jobs: Jobs, files: Files, gate: Gate, metrics: &Metrics) -> Router {
    let (words, probed) = (gate.words(), (jobs.clone(), files.clone()));
    let app = App { jobs, files, readers: Readers::default(), gate };
    let ready = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let (jobs, files) = probed.clone();
        Box::pin(async move { files.reachable() && jobs.reachable().await })
    };
    kit::surface::surround(Router::from(described()).with_state(app), words, Arc::new(ready), metrics)
}

/// A batch of books.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[schema(min_items = 1, max_items = 50)]
    books: Vec<Book>,
}

/// Which file.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct File {
    /// The path below the directory of pictures.
    #[param(example = "image/library/7/1.png")]
    path: String,
    /// The bytes of the whole file.
    #[param(minimum = 1, maximum = 20971520)]
    length: u64,
    /// SHA-256 of the whole file, in hexadecimal.
    sha256: String,
    /// Where the part begins.
    #[serde(default)]
    offset: u64,
}

/// How much of a file has arrived.
#[derive(Serialize, ToSchema)]
struct FileProgress {
    /// The bytes so far; the offset of the next part.
    received: u64,
    /// Whether the file is in its place.
    complete: bool,
}

/// An event about a file.
#[derive(Serialize)]
struct FileEvent<'a> {
    path: &'a str,
    bytes: u64,
    sha256: &'a str,
}

impl From<Received> for FileProgress {
    fn from(Received { bytes, is_complete }: Received) -> Self {
        Self { received: bytes, complete: is_complete }
    }
}

/// Returns where a job goes on.
#[utoipa::path(
    get, path = "/_sync/jobs/{job}", operation_id = "readJob", tag = "sync", security(("service" = [])),
    params(("job" = String, Path, description = "1 to 64 letters, digits, dots, dashes and underscores.")),
    responses(
        (status = 200, description = "The expected batch and the newest event.", body = Progress),
        (status = 400, description = "Invalid name.", body = Refusal),
    ),
)]
async fn progress(
    State(app): State<App>,
    caller: PlatformService,
    Path(job): Path<String>,
) -> Result<Response, Error> {
    let job = JobName::new(caller.name.to_string(), job)?;
    Ok(json(StatusCode::OK, &app.jobs.progress(&job).await?))
}

/// Delivers a batch of books. The same batch again has the same answer.
#[utoipa::path(
    post, path = "/_sync/jobs/{job}/batches/{number}", operation_id = "deliverBatch", tag = "sync",
    security(("service" = [])),
    params(
        ("job" = String, Path, description = "The job."),
        ("number" = i64, Path, description = "The number of the batch, from 0."),
    ),
    request_body = Batch,
    responses(
        (status = 200, description = "Every book is in the library.", body = Outcome),
        (status = 400, description = "A book is not valid; the batch changed nothing.", body = Refusal),
        (status = 409, description = "Another batch is expected, or this one had other books.", body = Refusal),
        (status = 503, description = "The library is not available; send the batch again.", body = Refusal),
    ),
)]
async fn deliver(
    State(app): State<App>,
    caller: PlatformService,
    Path((job, number)): Path<(String, String)>,
    kit::body::Body(bytes): kit::body::Body,
) -> Result<Response, Error> {
    let job = JobName::new(caller.name.to_string(), job)?;
    let number = number.parse().ok().filter(|number| (0..i64::MAX).contains(number));
    let number = number.ok_or_else(|| Error::Invalid("a batch has a number from 0".to_owned()))?;
    let batch: Batch = serde_json::from_slice(&bytes).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(json(StatusCode::OK, &app.jobs.deliver(&job, number, &batch.books).await?))
}

/// Returns how much of a file has arrived.
#[utoipa::path(
    get, path = "/_sync/jobs/{job}/files", operation_id = "readFile", tag = "sync", security(("service" = [])),
    params(("job" = String, Path, description = "The job."), File),
    responses(
        (status = 200, description = "The bytes so far.", body = FileProgress),
        (status = 400, description = "Invalid path, length or digest.", body = Refusal),
    ),
)]
async fn received(
    State(app): State<App>,
    caller: PlatformService,
    Path(job): Path<String>,
    file: Result<Query<File>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Error> {
    JobName::new(caller.name.to_string(), job)?;
    let (upload, _) = upload(file)?;
    Ok(json(StatusCode::OK, &FileProgress::from(app.files.received(upload).await?)))
}

/// Appends a part of at most 1 MiB to a file, which appears when its last part has arrived and its digest is right.
#[utoipa::path(
    put, path = "/_sync/jobs/{job}/files", operation_id = "appendToFile", tag = "sync", security(("service" = [])),
    params(("job" = String, Path, description = "The job."), File),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "The bytes so far.", body = FileProgress),
        (status = 400, description = "Invalid path, length or part, or another digest.", body = Refusal),
        (status = 409, description = "Another part is expected, or another request writes this file.", body = Refusal),
        (status = 503, description = "Too much is under way.", body = Refusal),
    ),
)]
async fn append(
    State(app): State<App>,
    caller: PlatformService,
    Path(job): Path<String>,
    file: Result<Query<File>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Error> {
    let job = JobName::new(caller.name.to_string(), job)?;
    let (path, sha256) = match &file {
        Ok(Query(file)) => (file.path.clone(), file.sha256.to_ascii_lowercase()),
        // Refused in the next line.
        Err(_) => Default::default(),
    };
    let (upload, offset) = upload(file)?;
    let body: Body = request.into_body();
    let received = app.files.append(&upload, offset, body).await?;
    if received.is_complete {
        let event = FileEvent { path: &path, bytes: received.bytes, sha256: &sha256 };
        app.jobs.announce(&job, "file", &event).await?;
    }
    Ok(json(StatusCode::OK, &FileProgress::from(received)))
}

/// Sends the events of a job as they happen: `batch` with its outcome, `file` with its path. `Last-Event-ID` resumes.
#[utoipa::path(
    get, path = "/_sync/jobs/{job}/events", operation_id = "readEvents", tag = "sync", security(("service" = [])),
    params(
        ("job" = String, Path, description = "The job."),
        ("last-event-id" = Option<i64>, Header, description = "The last event that was read."),
    ),
    responses(
        (status = 200, description = "The events.", body = String, content_type = "text/event-stream"),
        (status = 400, description = "Invalid name or number.", body = Refusal),
        (status = 503, description = "Too many readers.", body = Refusal),
    ),
)]
async fn events(
    State(app): State<App>,
    caller: PlatformService,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let job = JobName::new(caller.name.to_string(), job)?;
    let last =
        headers.get("last-event-id").map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    let after = match last {
        None => 0,
        Some(number) => number
            .filter(|number| *number >= 0)
            .ok_or_else(|| Error::Invalid("`last-event-id` is the number of an event".to_owned()))?,
    };
    app.readers.read(app.jobs.clone(), job, after)
}

fn upload(
    file: Result<Query<File>, axum::extract::rejection::QueryRejection>,
) -> Result<(Upload, u64), Error> {
    let Query(File { path, length, sha256, offset }) =
        file.map_err(|error| Error::Invalid(error.body_text()))?;
    Ok((Upload::new(path, length, &sha256)?, offset))
}
