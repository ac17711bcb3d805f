//! The routes of the OpenAPI document. The pictures of a book have had these paths in every generation; all other paths of the
//! directory are answered in the same way, without a description.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use kit::openapi::{Failed, Invalid, NotFound, Unauthenticated, Unavailable};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response as Described, ResponseBuilder};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::App;
use crate::error::Error;

/// Reads a picture, or parts of it.
#[utoipa::path(
    get, path = "/image/library/{book}/{file}", operation_id = "readPicture", tag = "image", security(("session" = [])),
    params(Place, Conditions, Parts),
    responses(Whole, Partial, Unchanged, Invalid, Unauthenticated, Outside, NotFound, Changed, NoSuchPart, Failed, Unavailable),
)]
pub(super) async fn read(app: State<App>, request: Request) -> Result<Response, Error> {
    super::answer(app, request).await
}

/// Returns the headers of a picture.
#[utoipa::path(
    head, path = "/image/library/{book}/{file}", operation_id = "describePicture", tag = "image",
    security(("session" = [])),
    params(Place, Conditions),
    responses(Whole, Unchanged, Invalid, Unauthenticated, Outside, NotFound, Changed, Failed, Unavailable),
)]
pub(super) async fn describe(app: State<App>, request: Request) -> Result<Response, Error> {
    super::answer(app, request).await
}

/// Puts a picture in its place, over an older one. Only bots may.
#[utoipa::path(
    put, path = "/image/library/{book}/{file}", operation_id = "uploadPicture", tag = "image", security(("session" = [])),
    params(Place),
    request_body(content = Form, content_type = "multipart/form-data"),
    responses(
        (status = 204, description = "The file is in its place, whole."),
        (status = 400, description = "The form, its file or the path is not valid; the text says why: `Not a form`, \
            `No file`, `Unknown type` (of the name, or of the first bytes), `Too large`."),
        Unauthenticated,
        (status = 403, description = "The caller's role is too low, the tenant is suspended, the path leads out of the \
            directory, or the pictures are made up here."),
        NotFound, Failed, Unavailable,
    ),
)]
pub(super) async fn upload(app: State<App>, request: Request) -> Result<Response, Error> {
    super::answer(app, request).await
}

/// Lists the pictures of a book: shorter names first, so that `2.png` comes before `10.png`.
#[utoipa::path(
    get, path = "/image/library/{book}/@", operation_id = "listPictures", tag = "image", security(("session" = [])),
    params(Book, Listing),
    responses(
        (status = 200, description = "The names of the files.", body = Vec<String>, content_type = "application/json"),
        Invalid, Unauthenticated, Outside, NotFound, Failed, Unavailable,
    ),
)]
pub(super) async fn list(app: State<App>, request: Request) -> Result<Response, Error> {
    super::answer(app, request).await
}

/// The directory of a book.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes a path")]
struct Book {
    /// The id of the book.
    #[param(minimum = 1)]
    book: i32,
}

/// The place of a picture.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes a path")]
struct Place {
    /// The id of the book.
    #[param(minimum = 1)]
    book: i32,
    /// The number of the page, from 1 on, or `thumbnail`; and the format. Without a format, the file with this name is meant.
    #[param(example = "1.png")]
    file: String,
}

/// Conditions on a file (RFC 9110, 13).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes headers")]
struct Conditions {
    /// Answer 304 when the file has one of these tags.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
    /// Answer 304 when the file has not changed since then. It does not count beside `If-None-Match`.
    #[param(rename = "If-Modified-Since")]
    if_modified_since: Option<String>,
    /// Answer 412 when the file has none of these tags.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// Answer 412 when the file has changed since then. It does not count beside `If-Match`.
    #[param(rename = "If-Unmodified-Since")]
    if_unmodified_since: Option<String>,
}

/// Which parts are wanted (RFC 9110, 14).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes headers")]
struct Parts {
    /// `bytes=` and up to 16 ranges, such as `0-99` or `-100`. More ranges, ranges that are together longer than the file, and
    /// another unit are answered with the whole file.
    #[param(rename = "Range")]
    range: Option<String>,
    /// Answer with parts only when the file has this tag, or this time of its last change, and otherwise with the whole file.
    #[param(rename = "If-Range")]
    if_range: Option<String>,
}

/// What a list has.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes a query")]
struct Listing {
    /// Whether the cover is in the list.
    #[param(rename = "visible-thumbnail")]
    visible_thumbnail: Option<bool>,
}

/// A form with one file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a form")]
struct Form {
    /// At most 20 MiB. The first bytes have to be of the format that the path names.
    file: File,
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it describes bytes")]
struct File(Vec<u8>);

/// The content types of pictures and of the lists beside them.
const TYPES: [&str; 6] =
    ["image/avif", "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain; charset=utf-8"];

/// 200.
struct Whole;
/// 206.
struct Partial;
/// 304.
struct Unchanged;
/// 403.
struct Outside;
/// 412.
struct Changed;
/// 416.
struct NoSuchPart;

type Answers = BTreeMap<String, RefOr<Described>>;

/// The headers that an answer can have beside those of every file.
const CONTENT_RANGE: (&str, &str) = ("content-range", "Which bytes these are, and how many the file has.");

/// The answer of a file with `status`, in one of `types`; with `more` among its headers.
fn of_a_file(status: &str, text: &str, types: &[&str], more: Option<(&str, &str)>) -> Answers {
    let always = [
        ("accept-ranges", "`bytes`."),
        ("cache-control", "Two weeks, for this client alone."),
        ("etag", "Equal only for equal bytes."),
        ("last-modified", "The time of the last change. Made-up pictures have none."),
    ];
    let mut answer = ResponseBuilder::new().description(text);
    for (name, about) in always.into_iter().chain(more) {
        let of_text = ObjectBuilder::new().schema_type(Type::String).build();
        answer =
            answer.header(name, HeaderBuilder::new().schema(Some(of_text)).description(Some(about)).build());
    }
    let file = Ref::from_schema_name("File");
    for kind in types {
        answer = answer.content(*kind, Content::new(Some(file.clone())));
    }
    BTreeMap::from([(status.to_owned(), RefOr::T(answer.build()))])
}

impl IntoResponses for Whole {
    fn responses() -> Answers {
        of_a_file("200", "The file.", &TYPES, None)
    }
}

impl IntoResponses for Partial {
    fn responses() -> Answers {
        let types: Vec<&str> = TYPES.into_iter().chain(["multipart/byteranges"]).collect();
        let text =
            "The wanted part; several ones as `multipart/byteranges`, each under its own `content-range`.";
        of_a_file("206", text, &types, Some(CONTENT_RANGE))
    }
}

impl IntoResponses for Unchanged {
    fn responses() -> Answers {
        of_a_file("304", "The client has these bytes already.", &[], None)
    }
}

impl IntoResponses for Changed {
    fn responses() -> Answers {
        of_a_file("412", "The file is not the one that the conditions name.", &[], None)
    }
}

impl IntoResponses for NoSuchPart {
    fn responses() -> Answers {
        of_a_file("416", "No range has a byte of the file.", &[], Some(CONTENT_RANGE))
    }
}

impl IntoResponses for Outside {
    fn responses() -> Answers {
        let text = "The path leads out of the directory of pictures, or the tenant is suspended.";
        BTreeMap::from([("403".to_owned(), RefOr::T(ResponseBuilder::new().description(text).build()))])
    }
}
