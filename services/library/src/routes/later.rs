//! The handlers of the later surface.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use identity::Role;
use kit::body::Body;
use kit::openapi::{TooLarge, Unauthenticated, Unavailable};
use kit::{Person, answer};

use super::parameters::{Id, Kinds, Listing, NewBook, Part, Search};
use super::query::{One, Query, book_id, invalid, one_id};
use super::refusals::{Broken, InvalidBook, InvalidId, InvalidQuery, LowRole, NoBook};
use super::view::{self, BookList, Later, NamedTag};
use super::{App, body};
use crate::book::Tag;
use crate::books::{Filter, Renewed, Scope, Sort, Way};
use crate::error::{Error, Refusal, json};
use crate::people::Dislikes;
use crate::renewal;
use crate::search::{Expression, beginnings};

/// The content type of answers.
const JSON: &str = "application/json; charset=utf-8";

/// Lists books: by `ids[]`, else by `tags[]`, else all.
#[utoipa::path(
    get, path = "/books", operation_id = "listBooks", tag = "library", security(("session" = [])),
    params(Listing, Kinds, Part),
    responses(
        (status = 200, description = "The books.", body = BookList, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        InvalidQuery, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn list(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    if let Some(ids) = query.ids()? {
        let books = app.books.by_ids(&ids).await?;
        return Ok(view::listed::<Later>(books));
    }
    let only = query.flag("legacy-only")?.unwrap_or(false);
    let filter = Filter {
        kinds: query.later_kinds()?,
        released: query.flag("released")?,
        renewed: if only { Renewed::Only } else { Renewed::Hidden },
        // Replaced books are shown one by one.
        newest_of_each: query.flag("deduplicate")?.unwrap_or(false) && !only,
        without: disliked(&app, &person, &query).await?,
        ..Filter::default()
    };
    let tags = query.tags()?;
    let sort = query.later_sort()?;
    if !tags.is_empty() {
        let found = app.books.by_tags(tags, &filter, sort, query.page(3)?).await?;
        return Ok(json(StatusCode::OK, &view::by_tag::<Later>(found)));
    }
    let books = app.books.list(&filter, sort, query.page(25)?).await?;
    Ok(view::listed::<Later>(books))
}

/// Adds a book. Only bots may.
#[utoipa::path(
    post, path = "/books", operation_id = "addBook", tag = "library", security(("session" = [])),
    request_body = NewBook,
    responses(
        (status = 201, description = "Added."),
        InvalidBook, LowRole,
        (status = 409, description = "A book has this id already.", body = Refusal, content_type = JSON),
        Unauthenticated, TooLarge, Broken, Unavailable,
    ),
)]
pub(super) async fn create(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    app.books.add(body::later(&headers, &bytes)?).await?;
    Ok(answer::created())
}

/// Replaces title, kind and tags of a book. Only bots may.
#[utoipa::path(
    patch, path = "/books", operation_id = "changeBook", tag = "library", security(("session" = [])),
    request_body = NewBook,
    responses(
        (status = 200, description = "Changed."),
        InvalidBook, LowRole, NoBook, Unauthenticated, TooLarge, Broken, Unavailable,
    ),
)]
pub(super) async fn change(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    app.books.change(body::later(&headers, &bytes)?).await?;
    Ok(answer::text(StatusCode::OK, ""))
}

/// Searches for books by words of their titles and tags.
#[utoipa::path(
    get, path = "/books/search", operation_id = "searchBooks", tag = "library", security(("session" = [])),
    params(Search, Kinds, Part),
    responses(
        (status = 200, description = "The books.", body = Vec<Later>, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        InvalidQuery, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn search(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    let read =
        if query.flag("completion")?.unwrap_or(true) { Expression::parse } else { Expression::parse_whole };
    let expression = read(query.value("q").unwrap_or_default()).map_err(|e| invalid(e.to_string()))?;
    let tags = query.value("filter").filter(|text| !text.trim().is_empty());
    let tags = tags.map(Expression::parse_whole).transpose().map_err(|e| invalid(e.to_string()))?;
    let filter = Filter {
        kinds: query.later_kinds()?,
        renewed: Renewed::Hidden,
        tags,
        without: disliked(&app, &person, &query).await?,
        ..Filter::default()
    };
    let sort = query.later_rank()?;
    let books = app.books.search(&expression, Scope::Any, &filter, sort, query.page(25)?).await?;
    Ok(view::listed::<Later>(books))
}

/// Searches for tags by the beginnings of their words.
#[utoipa::path(
    get, path = "/books/tags/search", operation_id = "searchTags", tag = "library", security(("session" = [])),
    params(("q" = Option<String>, Query, description = "The beginnings.", example = "full"), Part),
    responses(
        (status = 200, description = "The tags.", body = Vec<NamedTag>, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        InvalidQuery, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn search_tags(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    let page = query.page(25)?;
    let beginnings =
        beginnings(query.value("q").unwrap_or_default()).map_err(|error| invalid(error.to_string()))?;
    // A query without a word would list every tag.
    let found =
        if beginnings.is_empty() { Vec::new() } else { app.books.tags(&beginnings, None, page).await? };
    let found: Vec<NamedTag> = found.into_iter().map(NamedTag::from).collect();
    Ok(json(StatusCode::OK, &found))
}

/// Returns a tag by `kind-name`. Names can contain dashes; if there is no such tag, its dashes stand for spaces.
#[utoipa::path(
    get, path = "/books/tags/{tag}", operation_id = "getTag", tag = "library", security(("session" = [])),
    params(("tag" = String, Path, description = "The kind and the name.", example = "misc-full-color")),
    responses(
        (status = 200, description = "The tag.", body = NamedTag, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        (status = 404, description = "The tag does not exist.", body = Refusal, content_type = JSON),
        Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn tag(State(app): State<App>, _: Person, text: One) -> Result<Response, Error> {
    let Path(text) = text.map_err(|_| Error::NoSuchPath)?;
    let not_found = || Error::NotFound("Not found book tag");
    let (kind, name) = text.split_once('-').ok_or_else(not_found)?;
    let exact = Tag { kind: kind.to_owned(), name: name.to_owned() };
    for tag in [exact, Tag::from_flat(&text)] {
        if app.books.has_tag(&tag).await? {
            return Ok(json(StatusCode::OK, &NamedTag::from(tag)));
        }
    }
    Err(not_found())
}

/// Lists the books that others are about to replace, the largest ids first: their renewal waits for the users service.
#[utoipa::path(
    get, path = "/books/currently-renewing", operation_id = "listRenewingBooks", tag = "library", security(("session" = [])),
    params(Part),
    responses(
        (status = 200, description = "The books.", body = Vec<Later>, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        InvalidQuery, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn renewing(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    let filter = Filter { renewing: true, ..Filter::default() };
    let books = app.books.list(&filter, Sort::Id(Way::Desc), query.page(100)?).await?;
    Ok(view::listed::<Later>(books))
}

/// Returns whether another book is about to replace a book.
#[utoipa::path(
    get, path = "/books/{id}/currently-renewing", operation_id = "isBookRenewing", tag = "library", security(("session" = [])),
    params(Id),
    responses(
        (status = 204, description = "It is."),
        InvalidId,
        (status = 404, description = "It is not.", body = Refusal, content_type = JSON),
        Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn is_renewing(State(app): State<App>, _: Person, id: One) -> Result<Response, Error> {
    if app.books.is_renewing(one_id(id)?).await? {
        Ok(answer::no_content())
    } else {
        Err(Error::NotFound("Not found book"))
    }
}

/// Lists the books that were never checked. Developers and bots may.
#[utoipa::path(
    get, path = "/books/need-check", operation_id = "listUncheckedBooks", tag = "library", security(("session" = [])),
    params(
        ("sort-by" = Option<String>, Query, description = "As for the list of all books.", example = "id-desc"),
        Part,
    ),
    responses(
        (status = 200, description = "The books.", body = Vec<Later>, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        InvalidQuery, LowRole, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn need_check(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    needs(&person, Role::DEVELOPER)?;
    let filter = Filter { unchecked: true, renewed: Renewed::Hidden, ..Filter::default() };
    let books = app.books.list(&filter, query.later_sort()?, query.page(25)?).await?;
    Ok(view::listed::<Later>(books))
}

/// Lists the ids of books, the largest first. Developers and bots may.
#[utoipa::path(
    get, path = "/books/ids", operation_id = "listBookIds", tag = "library", security(("session" = [])),
    params(Part),
    responses(
        (status = 200, description = "The ids.", body = Vec<i32>, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        InvalidQuery, LowRole, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn ids(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    needs(&person, Role::DEVELOPER)?;
    let ids = app.books.ids(&Filter::default(), query.page(100)?).await?;
    Ok(json(StatusCode::OK, &ids))
}

/// Returns a book.
#[utoipa::path(
    get, path = "/books/{id}", operation_id = "getBook", tag = "library", security(("session" = [])),
    params(Id),
    responses(
        (status = 200, description = "The book.", body = Later, content_type = JSON, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        InvalidId, NoBook, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn one(State(app): State<App>, _: Person, id: One) -> Result<Response, Error> {
    let book = app.books.one(one_id(id)?).await?;
    Ok(json(StatusCode::OK, &Later::from(book)))
}

/// Releases a book. Only bots may.
#[utoipa::path(
    patch, path = "/books/{id}/release", operation_id = "releaseBook", tag = "library", security(("session" = [])),
    params(Id),
    responses(
        (status = 204, description = "Released."),
        InvalidId, LowRole, NoBook, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn release(
    State(app): State<App>,
    Person(person): Person,
    id: One,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    app.books.release(one_id(id)?).await?;
    Ok(answer::no_content())
}

/// Records that a book was checked. Only bots may.
#[utoipa::path(
    patch, path = "/books/{id}/check", operation_id = "checkBook", tag = "library", security(("session" = [])),
    params(Id),
    responses(
        (status = 204, description = "Recorded."),
        InvalidId, LowRole, NoBook, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn check(
    State(app): State<App>,
    Person(person): Person,
    id: One,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    app.books.check(one_id(id)?).await?;
    Ok(answer::no_content())
}

/// Replaces a book by another one, which exists already. Only bots may.
#[utoipa::path(
    post, path = "/books/{old}/renew/{new}", operation_id = "renewBook", tag = "library", security(("session" = [])),
    params(
        ("old" = i32, Path, description = "The book that is replaced.", minimum = 1),
        ("new" = i32, Path, description = "The book that replaces it.", minimum = 1),
    ),
    responses(
        (status = 204, description = "Replaced."),
        InvalidId, LowRole, NoBook, Unauthenticated, Broken, Unavailable,
    ),
)]
pub(super) async fn renew(
    State(app): State<App>,
    Person(person): Person,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    let Path((old, new)) = path.map_err(|_| Error::NoSuchPath)?;
    renewal::renew(&app.books, &app.people, book_id(&old)?, book_id(&new)?).await?;
    Ok(answer::no_content())
}

/// Returns what a list leaves out for `person`: with `exclude-dislikes`, what they dislike at this moment.
async fn disliked(app: &App, person: &kit::Member, query: &Query) -> Result<Dislikes, Error> {
    if query.flag("exclude-dislikes")?.unwrap_or(false) {
        app.people.dislikes(person.tenant, person.subject).await.map_err(Error::Dislikes)
    } else {
        Ok(Dislikes::default())
    }
}

/// This is the check of the role: the shipped edges let every signed-in person reach the catalogue.
fn needs(person: &kit::Member, role: Role) -> Result<(), Error> {
    if person.role < Some(role) { Err(Error::Forbidden) } else { Ok(()) }
}
