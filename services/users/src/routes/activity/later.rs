//! The handlers of the later surface.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use kit::body::Body;
use kit::openapi::{Failed, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable};
use kit::{Member, Person, SessionExpiry, answer};

use super::actions;
use super::body::{ForgetBody, ReadBody, SubjectBody, TasteBody, TokenBody};
use super::embedded::Books;
use super::query::{HISTORY_SORTS, NOTIFICATION_SORTS, Query, TASTE_SORTS};
use super::view::{LaterHistory, LaterNotification, LaterTaste};
use crate::activity::histories::History;
use crate::activity::tag::Tag;
use crate::activity::tastes::{Expressed, Subject, Taste, Wanted};
use crate::error::Error;
use crate::routes::App;
use crate::routes::body::json;
use crate::routes::parameters::{BooksOfTags, HistoryOrder, NotificationOrder, Part, TasteList};

/// A kind and a value of a path.
type KindAndValue = Result<Path<(String, String)>, PathRejection>;

/// Lists what the caller likes and dislikes.
#[utoipa::path(
    get, path = "/users/@me/tastes", operation_id = "listTastes", tag = "users", security(("session" = [])),
    params(TasteList, BooksOfTags, Part),
    responses(
        (status = 200, description = "The tastes.", body = Vec<LaterTaste>, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        Invalid, Unauthenticated, NotFound, Failed, Unavailable,
    ),
)]
pub(super) async fn tastes(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    query: Query,
) -> impl IntoResponse {
    (expiry, list_tastes(&app, &person, &query).await)
}

async fn list_tastes(app: &App, person: &Member, query: &Query) -> Result<Response, Error> {
    let owner = app.accounts.owner(person).await?;
    let kind = query.kind(true)?;
    let is_dislike = query.flag("is-dislike")?;
    let books = query.books("book-ids")?;
    // A client that names books wants to know about each of them.
    let page = if books.is_some() { query.page_of_all()? } else { query.page()? };
    let sort = query.sort(TASTE_SORTS)?;
    let of_tags = query.books_of_tags()?;
    let wanted = Wanted { kind, is_dislike, books, tags: None };
    let found = app.activity.tastes(owner, &wanted, sort, page).await?;
    let books = Books::of(&app.catalogue, &found, || Ok(of_tags)).await?;
    let shown: Vec<LaterTaste> = found.into_iter().map(|taste| with_books(taste, &books)).collect();
    Ok(Json(shown).into_response())
}

fn with_books(taste: Taste, books: &Books) -> LaterTaste {
    let Taste { subject, is_dislike, created_at } = taste;
    match subject {
        Subject::Book(book_id) => {
            LaterTaste::Book { book_id, is_dislike, created_at, book: books.book(book_id) }
        }
        Subject::Tag(tag) => {
            let books = Some(books.with(&tag));
            LaterTaste::BookTag { tag_kind: tag.kind, tag_name: tag.name, is_dislike, created_at, books }
        }
    }
}

/// Returns the caller's taste about one book (`book`, its id) or one tag (`book-tag`, its kind and name joined by `-`;
/// dashes of the name can stand for spaces).
#[utoipa::path(
    get, path = "/users/@me/tastes/{kind}/{value}", operation_id = "getTaste", tag = "users", security(("session" = [])),
    params(
        ("kind" = String, Path, description = "`book`, `book-tag` or `book_tag`.", example = "book"),
        ("value" = String, Path, description = "The id of the book, or kind and name of the tag.", example = "7"),
    ),
    responses(
        (status = 200, description = "The taste, without books.", body = LaterTaste, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        Unauthenticated, NotFound, Failed, Unavailable,
    ),
)]
pub(super) async fn taste(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    path: KindAndValue,
) -> impl IntoResponse {
    (expiry, find_taste(&app, &person, path).await)
}

async fn find_taste(app: &App, person: &Member, path: KindAndValue) -> Result<Response, Error> {
    let owner = app.accounts.owner(person).await?;
    let missing = || Error::Missing("Not found like");
    let Path((kind, value)) = path.map_err(|_| missing())?;
    let subjects = match kind.as_str() {
        "book" => value.parse().map(Subject::Book).into_iter().collect(),
        "book-tag" | "book_tag" => tags_of(&value),
        _ => Vec::new(),
    };
    for subject in subjects {
        if let Some(taste) = app.activity.taste(owner, &subject).await? {
            return Ok(Json(LaterTaste::from(taste)).into_response());
        }
    }
    Err(missing())
}

/// Returns the tags that `kind-name` can mean: with its dashes, then with spaces for them.
fn tags_of(value: &str) -> Vec<Subject> {
    let Some((kind, name)) = value.split_once('-') else { return Vec::new() };
    let tag = |name: String| Subject::Tag(Tag { kind: kind.to_owned(), name });
    vec![tag(name.to_owned()), tag(name.replace('-', " "))]
}

/// Expresses a taste. The opposite one of before is replaced.
#[utoipa::path(
    post, path = "/users/@me/tastes", operation_id = "expressTaste", tag = "users", security(("session" = [])),
    request_body = TasteBody,
    responses(
        (status = 201, description = "Stored."),
        (status = 409, description = "The same taste is stored: `Already exists like`."),
        Invalid, Unauthenticated, NotFound, TooLarge, Failed, Unavailable,
    ),
)]
pub(super) async fn express(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    headers: HeaderMap,
    Body(bytes): Body,
) -> impl IntoResponse {
    let express = async {
        let owner = app.accounts.owner(&person).await?;
        let (subject, is_dislike) = json::<TasteBody>(&headers, &bytes)?.split();
        let subject = actions::in_library(&app, subject).await?;
        match app.activity.express(owner, &subject, is_dislike).await? {
            Expressed::Stored => Ok(answer::created()),
            Expressed::Unchanged => Err(Error::Liked),
        }
    };
    (expiry, express.await)
}

/// Removes a taste, whether it is a like or a dislike.
#[utoipa::path(
    delete, path = "/users/@me/tastes", operation_id = "forgetTaste", tag = "users", security(("session" = [])),
    request_body = SubjectBody,
    responses(
        (status = 204, description = "Removed."),
        Invalid, Unauthenticated, NotFound, TooLarge, Failed, Unavailable,
    ),
)]
pub(super) async fn forget_taste(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    headers: HeaderMap,
    Body(bytes): Body,
) -> impl IntoResponse {
    let forget = async {
        let owner = app.accounts.owner(&person).await?;
        let missing = Error::Missing("Not found like");
        let Some(subject) = json::<SubjectBody>(&headers, &bytes)?.subject() else { return Err(missing) };
        let removed = app.activity.forget_taste(owner, &subject, None).await?;
        if removed { Ok(answer::no_content()) } else { Err(missing) }
    };
    (expiry, forget.await)
}

/// Lists what the caller has read.
#[utoipa::path(
    get, path = "/users/@me/histories", operation_id = "listHistories", tag = "users", security(("session" = [])),
    params(HistoryOrder, Part),
    responses(
        (status = 200, description = "The histories.", body = Vec<LaterHistory>, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        Invalid, Unauthenticated, NotFound, Failed, Unavailable,
    ),
)]
pub(super) async fn histories(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    query: Query,
) -> impl IntoResponse {
    let list = async {
        let owner = app.accounts.owner(&person).await?;
        query.only_books()?;
        let page = query.page()?;
        let sort = query.sort(HISTORY_SORTS)?;
        let found = app.activity.histories(owner, sort, page).await?;
        let ids = found.iter().map(|history| history.book).collect();
        let books = app.catalogue.by_ids(ids).await?;
        let with_book = |history: History| {
            // A book can have two histories: one of before the legacy backend has another id.
            let book = books.get(&history.book).cloned().map(Into::into);
            LaterHistory::with(history, book)
        };
        Ok::<_, Error>(Json(found.into_iter().map(with_book).collect::<Vec<_>>()))
    };
    (expiry, list.await)
}

/// Returns how far the caller has read a book.
#[utoipa::path(
    get, path = "/users/@me/histories/{kind}/{value}", operation_id = "getHistory", tag = "users", security(("session" = [])),
    params(
        ("kind" = String, Path, description = "`book`.", example = "book"),
        ("value" = String, Path, description = "The id of the book.", example = "7"),
    ),
    responses(
        (status = 200, description = "The history, without the book.", body = LaterHistory, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        Unauthenticated, NotFound, Failed, Unavailable,
    ),
)]
pub(super) async fn history(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    path: KindAndValue,
) -> impl IntoResponse {
    let find = async {
        let owner = app.accounts.owner(&person).await?;
        let missing = || Error::Missing("Not found history");
        let Path((kind, value)) = path.map_err(|_| missing())?;
        let book: i32 = value.parse().map_err(|_| missing())?;
        if kind != "book" {
            return Err(missing());
        }
        let found = app.activity.histories_of(owner, &[book]).await?;
        let history = found.into_iter().next().ok_or_else(missing)?;
        Ok(Json(LaterHistory::with(history, None)))
    };
    (expiry, find.await)
}

/// Records how far the caller has read a book.
#[utoipa::path(
    post, path = "/users/@me/histories", operation_id = "recordHistory", tag = "users", security(("session" = [])),
    request_body = ReadBody,
    responses(
        (status = 201, description = "Recorded."),
        Invalid, Unauthenticated, NotFound, TooLarge, Failed, Unavailable,
    ),
)]
pub(super) async fn read(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    headers: HeaderMap,
    Body(bytes): Body,
) -> impl IntoResponse {
    let read = async {
        let owner = app.accounts.owner(&person).await?;
        actions::read(&app, owner, json(&headers, &bytes)?).await
    };
    (expiry, read.await)
}

/// Forgets that the caller has read a book.
#[utoipa::path(
    delete, path = "/users/@me/histories", operation_id = "forgetHistory", tag = "users", security(("session" = [])),
    request_body = ForgetBody,
    responses(
        (status = 204, description = "Forgotten."),
        Invalid, Unauthenticated, NotFound, TooLarge, Failed, Unavailable,
    ),
)]
pub(super) async fn forget_history(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    headers: HeaderMap,
    Body(bytes): Body,
) -> impl IntoResponse {
    let forget = async {
        let owner = app.accounts.owner(&person).await?;
        let body: ForgetBody = json(&headers, &bytes)?;
        actions::forget_history(&app, owner, &body).await
    };
    (expiry, forget.await)
}

/// Lists the books of which the caller was told, because they have a tag that the caller likes.
#[utoipa::path(
    get, path = "/users/@me/notifications", operation_id = "listNotifications", tag = "users", security(("session" = [])),
    params(NotificationOrder, Part),
    responses(
        (status = 200, description = "The notifications.", body = Vec<LaterNotification>, headers(
            ("x-madome-access-token-expires" = u64, description = "When the access token expires, in Unix seconds."),
        )),
        Invalid, Unauthenticated, NotFound, Failed, Unavailable,
    ),
)]
pub(super) async fn notifications(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    query: Query,
) -> impl IntoResponse {
    let list = async {
        let owner = app.accounts.owner(&person).await?;
        query.only_books()?;
        let page = query.page()?;
        let sort = query.sort(NOTIFICATION_SORTS)?;
        let found = app.activity.notifications(owner, sort, page).await?;
        Ok::<_, Error>(Json(found.into_iter().map(LaterNotification::from).collect::<Vec<_>>()))
    };
    (expiry, list.await)
}

/// Stores the push token of the caller's device.
#[utoipa::path(
    post, path = "/users/@me/fcm-token", operation_id = "keepDeviceToken", tag = "users", security(("session" = [])),
    request_body = TokenBody,
    responses(
        (status = 201, description = "Stored."),
        Invalid, Unauthenticated, NotFound, TooLarge, Failed, Unavailable,
    ),
)]
pub(super) async fn keep_token(
    State(app): State<App>,
    Person(person): Person,
    expiry: SessionExpiry,
    headers: HeaderMap,
    Body(bytes): Body,
) -> impl IntoResponse {
    let keep = async {
        let owner = app.accounts.owner(&person).await?;
        let (device, token) = json::<TokenBody>(&headers, &bytes)?.check()?;
        app.activity.keep_token(owner, device, &token).await?;
        Ok::<_, Error>(answer::created())
    };
    (expiry, keep.await)
}
