//! The routes for other services, the same on both surfaces. A service of a tenant finds only the people of that tenant.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Json, Path, State};
use axum::response::{IntoResponse as _, Response};
use kit::openapi::{Failed, Invalid, Unauthenticated, Unavailable};
use kit::{PlatformService, Reach, ServiceCaller, SubjectId, answer};
use serde::Deserialize;
use utoipa::ToSchema;

use super::query::{Query, TASTE_SORTS};
use super::view::{Dislikes, LaterHistory, LaterTaste};
use crate::account::Owner;
use crate::activity::part::Page;
use crate::activity::tag::{Pair, Tag};
use crate::activity::tastes::{Subject, Wanted};
use crate::error::Error;
use crate::routes::App;

/// The most tags of an announced book: as many as the library stores.
const MAX_TAGS: usize = 200;

/// The most dislikes of an answer, the newest first. People dislike a few dozen things; a thousand fit a search.
const MAX_DISLIKES: u64 = 1_000;

/// The newest dislikes of a person.
pub(in crate::routes) const DISLIKES: Page = Page { per_page: MAX_DISLIKES, page: 1 };

/// The tastes of one question: about a hundred books and a hundred tags at most.
pub(in crate::routes) const TASTES: Page = Page { per_page: 200, page: 1 };

/// The id of a path.
type Id = Result<Path<String>, PathRejection>;

async fn owner(app: &App, caller: &ServiceCaller, id: Id) -> Result<Owner, Error> {
    let Path(id) = id.map_err(|_| Error::NotFound)?;
    let id: SubjectId = id.parse().map_err(|_| Error::NotFound)?;
    app.accounts.owner_in(Reach::from(caller), id).await
}

/// Returns what a person likes and dislikes of the books `ids[]` and the tags `tags[0][0]=kind&tags[0][1]=name`; without
/// both, the newest hundred.
#[utoipa::path(
    get, path = "/_/users/{id}/likes", operation_id = "findTastes", tag = "users", security(("service" = [])),
    params(
        ("id" = String, Path, description = "The person.", example = "00000000-0000-7000-8000-0000000000a0"),
        ("kind" = Option<String>, Query, description = "`book` or `book-tag`."),
        ("ids[]" = Option<Vec<i32>>, Query, description = "Ids of books, at most a hundred.", style = Form, explode),
    ),
    responses(
        (status = 200, description = "The tastes, without books.", body = Vec<LaterTaste>),
        (status = 404, description = "No such person, or one of another tenant than the service's."),
        Invalid, Unauthenticated, Failed, Unavailable,
    ),
)]
pub(super) async fn likes(
    State(app): State<App>,
    caller: ServiceCaller,
    id: Id,
    query: Query,
) -> Result<Response, Error> {
    let owner = owner(&app, &caller, id).await?;
    let (kind, is_dislike) = (query.kind(true)?, query.flag("is-dislike")?);
    let wanted = Wanted { kind, is_dislike, books: query.books("ids")?, tags: query.tags()? };
    let found = app.activity.tastes(owner, &wanted, query.sort(TASTE_SORTS)?, TASTES).await?;
    Ok(Json(found.into_iter().map(LaterTaste::from).collect::<Vec<_>>()).into_response())
}

/// Returns what a person dislikes, at most the newest thousand.
#[utoipa::path(
    get, path = "/_/users/{id}/dislikes", operation_id = "findDislikes", tag = "users", security(("service" = [])),
    params(("id" = String, Path, description = "The person.", example = "00000000-0000-7000-8000-0000000000a0")),
    responses(
        (status = 200, description = "The books and tags.", body = Dislikes),
        (status = 404, description = "No such person, or one of another tenant than the service's."),
        Unauthenticated, Failed, Unavailable,
    ),
)]
pub(super) async fn dislikes(
    State(app): State<App>,
    caller: ServiceCaller,
    id: Id,
    query: Query,
) -> Result<Response, Error> {
    let owner = owner(&app, &caller, id).await?;
    let wanted = Wanted { is_dislike: Some(true), ..Wanted::default() };
    let found = app.activity.tastes(owner, &wanted, query.sort(TASTE_SORTS)?, DISLIKES).await?;
    let mut dislikes = Dislikes { books: Vec::new(), tags: Vec::new() };
    for taste in found {
        match taste.subject {
            Subject::Book(id) => dislikes.books.push(id),
            Subject::Tag(tag) => dislikes.tags.push(tag.into()),
        }
    }
    Ok(Json(dislikes).into_response())
}

/// Returns how far a person has read the books `ids[]`.
#[utoipa::path(
    get, path = "/_/users/{id}/histories", operation_id = "findHistories", tag = "users", security(("service" = [])),
    params(
        ("id" = String, Path, description = "The person.", example = "00000000-0000-7000-8000-0000000000a0"),
        ("ids[]" = Vec<i32>, Query, description = "Ids of books, at most a hundred.", style = Form, explode),
    ),
    responses(
        (status = 200, description = "The histories, without books.", body = Vec<LaterHistory>),
        (status = 404, description = "No such person, or one of another tenant than the service's."),
        Invalid, Unauthenticated, Failed, Unavailable,
    ),
)]
pub(super) async fn histories(
    State(app): State<App>,
    caller: ServiceCaller,
    id: Id,
    query: Query,
) -> Result<Response, Error> {
    let owner = owner(&app, &caller, id).await?;
    query.only_books()?;
    let found = app.activity.histories_of(owner, &query.books("ids")?.unwrap_or_default()).await?;
    let shown: Vec<_> = found.into_iter().map(|history| LaterHistory::with(history, None)).collect();
    Ok(Json(shown).into_response())
}

/// Returns the push tokens of some people that are younger than thirty days.
#[utoipa::path(
    get, path = "/_/users/fcm-token", operation_id = "findDeviceTokens", tag = "users", security(("service" = [])),
    params(("user-ids[]" = Vec<String>, Query, description = "The people, at most a hundred.", style = Form, explode)),
    responses(
        (status = 200, description = "The tokens.", body = Vec<String>),
        Invalid, Unauthenticated, Failed, Unavailable,
    ),
)]
pub(super) async fn tokens(
    State(app): State<App>,
    caller: ServiceCaller,
    query: Query,
) -> Result<Response, Error> {
    let owners = app.accounts.owners_in(Reach::from(&caller), &query.people()?).await?;
    Ok(Json(app.activity.tokens(&owners).await?).into_response())
}

/// An announced book.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Announcement {
    /// A book that has appeared.
    Book {
        /// Its id.
        #[schema(minimum = 1)]
        book_id: i32,
        /// Its tags, each as `[kind, name]`.
        #[schema(value_type = Vec<Vec<String>>, max_items = 200)]
        book_tags: Vec<Pair>,
    },
}

/// Tells every person who likes a tag of a book that it has appeared. A repetition tells each person once.
#[utoipa::path(
    post, path = "/_/users/notifications", operation_id = "announceBook", tag = "users", security(("service" = [])),
    request_body = Announcement,
    responses(
        (status = 201, description = "They are told."),
        Invalid, Unauthenticated, Failed, Unavailable,
    ),
)]
pub(super) async fn announce(
    State(app): State<App>,
    service: PlatformService,
    body: Result<Json<Announcement>, JsonRejection>,
) -> Result<Response, Error> {
    let Json(Announcement::Book { book_id, book_tags }) =
        body.map_err(|rejection| Error::Invalid(rejection.body_text()))?;
    let tags: Vec<Tag> = book_tags.into_iter().map(Tag::from).collect();
    check_announced(book_id, &tags)?;
    app.activity.announce(&service, book_id, &tags).await?;
    Ok(answer::created())
}

/// Checks what is announced.
pub(in crate::routes) fn check_announced(book: i32, tags: &[Tag]) -> Result<(), Error> {
    check_books(&[book])?;
    let count = tags.len();
    if count > MAX_TAGS {
        return Err(Error::Invalid(format!("book-tags: length of {count} more than {MAX_TAGS}")));
    }
    Ok(())
}

/// Checks that each id can be that of a book.
pub(in crate::routes) fn check_books(ids: &[i32]) -> Result<(), Error> {
    match ids.iter().find(|id| **id < 1) {
        None => Ok(()),
        Some(id) => Err(Error::Invalid(format!("book-id: {id} less than 1"))),
    }
}

/// Moves what people expressed about the book `old` to the book `new`, which replaces it.
#[utoipa::path(
    patch, path = "/_/users/books/{old}/{new}", operation_id = "renewBookOfPeople", tag = "users", security(("service" = [])),
    params(
        ("old" = i32, Path, description = "The book that is replaced, from 1."),
        ("new" = i32, Path, description = "The book that replaces it, from 1."),
    ),
    responses(
        (status = 204, description = "Moved."),
        Invalid, Unauthenticated, Failed, Unavailable,
    ),
)]
pub(super) async fn renew(
    State(app): State<App>,
    service: PlatformService,
    path: Result<Path<(i32, i32)>, PathRejection>,
) -> Result<Response, Error> {
    let Path((old, new)) = path.map_err(|rejection| Error::Invalid(rejection.body_text()))?;
    check_books(&[old, new])?;
    app.activity.renew(&service, old, new).await?;
    Ok(answer::no_content())
}
