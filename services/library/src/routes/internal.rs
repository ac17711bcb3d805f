//! The routes for other services, the same on both surfaces.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Json, Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use kit::PlatformService;
use kit::answer;
use kit::body::Body;
use kit::openapi::{TooLarge, Unauthenticated, Unavailable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parameters::Batch;
use super::query::{MAX_ITEMS, Query, book_id, invalid};
use super::refusals::{Broken, InvalidBook, InvalidId, InvalidQuery, NoService};
use super::view::{self, Later, Pair};
use super::{App, body};
use crate::book::{Book, Tag};
use crate::books::{Books, Filter, Page, Put, Renewed, Sort, Way};
use crate::error::{Error, Refusal, json};
use crate::renewal;

/// The content type of answers.
const JSON: &str = "application/json; charset=utf-8";

/// The longest batch: fifty books with two hundred long tags each are under 1 MiB in practice.
pub(super) const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// A book with the fields of both surfaces.
#[derive(Serialize, ToSchema)]
#[schema(as = WholeBook)]
pub(super) struct Whole {
    #[serde(flatten)]
    book: Later,
    #[schema(example = "english")]
    language: String,
    /// The number of pages.
    page: i16,
}

impl From<Book> for Whole {
    fn from(book: Book) -> Self {
        let (language, page) = (book.language.clone(), book.page);
        Self { book: book.into(), language, page }
    }
}

/// A tag as `[kind, name]`.
#[derive(Deserialize, ToSchema)]
#[schema(as = TagPair)]
pub(super) struct GivenTag(String, String);

impl From<GivenTag> for Tag {
    fn from(GivenTag(kind, name): GivenTag) -> Self {
        Self { kind, name }
    }
}

/// A question about the catalogue.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Command {
    /// Whether there is a book with this id.
    HasBook {
        /// The id.
        book_id: i32,
    },
    /// Whether there is this tag.
    HasBookTag {
        /// The tag as `[kind, name]`.
        book_tag: GivenTag,
    },
}

/// The answer to a question.
#[derive(Serialize, ToSchema)]
pub(super) struct Has {
    /// Whether it is there.
    has: bool,
}

/// Which books of which tags.
#[derive(Deserialize, ToSchema)]
pub(super) struct ByTags {
    /// The tags.
    #[schema(min_items = 1, max_items = 100)]
    tags: Vec<GivenTag>,
    /// The most books of each tag.
    #[schema(minimum = 1, maximum = 100)]
    per_page: u64,
    /// The number of the part, for each tag.
    #[schema(minimum = 1)]
    page: u64,
    #[schema(inline)]
    sort_by: Order,
}

/// The order of the books of a tag.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Order {
    IdDesc,
    IdAsc,
    Random,
}

impl From<Order> for Sort {
    fn from(order: Order) -> Self {
        match order {
            Order::IdDesc => Self::Id(Way::Desc),
            Order::IdAsc => Self::Id(Way::Asc),
            Order::Random => Self::Random,
        }
    }
}

/// A part of the books of each tag.
pub(super) struct Part {
    /// The most books of each tag, from 1 to 100.
    pub(super) per_page: u64,
    /// The number of the part, from 1.
    pub(super) page: u64,
    /// The order of the books of each tag.
    pub(super) sort: Sort,
}

impl Part {
    /// Finds the books of at most a hundred tags, without those that others replace.
    pub(super) async fn of(self, books: &Books, tags: Vec<Tag>) -> Result<Vec<(Tag, Vec<Book>)>, Error> {
        let Self { per_page, page, sort } = self;
        if !(1..=100).contains(&per_page) || page == 0 || tags.len() > MAX_ITEMS {
            return Err(invalid("write at most 100 tags, per_page from 1 to 100, and page from 1"));
        }
        let filter = Filter { renewed: Renewed::Hidden, ..Filter::default() };
        books.by_tags(tags, &filter, sort, Page { per_page, page }).await
    }
}

/// What became of the books.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct Written {
    /// The ids of new books.
    added: Vec<i32>,
    /// The ids of books that were there with other content, or that this batch released. A book with the same content, released
    /// before or not at all, is in neither list.
    changed: Vec<i32>,
}

fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Error> {
    body.map(|Json(body)| body).map_err(|rejection| invalid(rejection.body_text()))
}

/// Returns books by their ids, in this order, without the missing ones.
#[utoipa::path(
    get, path = "/_/books", operation_id = "findBooks", tag = "library", security(("service" = [])),
    params(("ids[]" = Vec<i32>, Query, description = "The ids, at most a hundred.", style = Form, explode)),
    responses(
        (status = 200, description = "The books.", body = Vec<Whole>, content_type = JSON),
        InvalidQuery, Unauthenticated, NoService, Broken, Unavailable,
    ),
)]
pub(super) async fn by_ids(
    State(app): State<App>,
    _: PlatformService,
    query: Query,
) -> Result<Response, Error> {
    let ids = query.ids()?.unwrap_or_default();
    Ok(view::listed::<Whole>(app.books.by_ids(&ids).await?))
}

/// Returns a part of the books of each tag. Tags without books in that part are left out, and so are books that others
/// replace.
#[utoipa::path(
    post, path = "/_/books/by-tags", operation_id = "findBooksByTags", tag = "library", security(("service" = [])),
    request_body = ByTags,
    responses(
        (status = 200, description = "Pairs of a tag, as `[kind, name]`, and its books.", content_type = JSON),
        InvalidBook, Unauthenticated, NoService, Broken, Unavailable,
    ),
)]
pub(super) async fn by_tags(
    State(app): State<App>,
    _: PlatformService,
    body: Result<Json<ByTags>, JsonRejection>,
) -> Result<Response, Error> {
    let ByTags { tags, per_page, page, sort_by } = read(body)?;
    let part = Part { per_page, page, sort: sort_by.into() };
    let found = part.of(&app.books, tags.into_iter().map(Tag::from).collect()).await?;
    let found: Vec<(Pair, Vec<Whole>)> = view::by_tag(found);
    Ok(json(StatusCode::OK, &found))
}

/// Answers whether a book or a tag exists.
#[utoipa::path(
    post, path = "/_/command", operation_id = "askCatalogue", tag = "library", security(("service" = [])),
    request_body = Command,
    responses(
        (status = 200, description = "The answer.", body = Has, content_type = JSON),
        InvalidBook, Unauthenticated, NoService, Broken, Unavailable,
    ),
)]
pub(super) async fn command(
    State(app): State<App>,
    _: PlatformService,
    body: Result<Json<Command>, JsonRejection>,
) -> Result<Response, Error> {
    let has = match read(body)? {
        Command::HasBook { book_id } => !app.books.by_ids(&[book_id]).await?.is_empty(),
        Command::HasBookTag { book_tag } => app.books.has_tag(&book_tag.into()).await?,
    };
    Ok(json(StatusCode::OK, &Has { has }))
}

/// Replaces a book by another one, which exists already.
#[utoipa::path(
    patch, path = "/_/books/{old}/{new}", operation_id = "renewBookByService", tag = "library", security(("service" = [])),
    params(
        ("old" = i32, Path, description = "The book that is replaced.", minimum = 1),
        ("new" = i32, Path, description = "The book that replaces it.", minimum = 1),
    ),
    responses(
        (status = 204, description = "Replaced."),
        InvalidId, Unauthenticated,
        (
            status = 404,
            description = "The book does not exist (JSON), or the caller is not a service of the platform (text).",
            content((Refusal = "application/json; charset=utf-8"), (String = "text/plain; charset=utf-8")),
        ),
        Broken, Unavailable,
    ),
)]
pub(super) async fn renew(
    State(app): State<App>,
    _: PlatformService,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    let Path((old, new)) = path.map_err(|_| Error::NoSuchPath)?;
    renewal::renew(&app.books, &app.people, book_id(&old)?, book_id(&new)?).await?;
    Ok(answer::no_content())
}

/// Adds books or replaces them, and releases those that say so. After a failure a service sends the same batch again.
#[utoipa::path(
    put, path = "/_/books", operation_id = "putBooks", tag = "library", security(("service" = [])),
    request_body = Batch,
    responses(
        (status = 200, description = "Every book is written.", body = Written, content_type = JSON),
        InvalidBook, Unauthenticated, NoService, TooLarge, Broken, Unavailable,
    ),
)]
pub(super) async fn put(
    State(app): State<App>,
    _: PlatformService,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let mut written = Written::default();
    for book in body::batch(&headers, &bytes)? {
        let id = book.id;
        match app.books.put(book).await? {
            Put::Added => written.added.push(id),
            Put::Changed => written.changed.push(id),
            Put::Unchanged => {}
        }
    }
    Ok(json(StatusCode::OK, &written))
}
