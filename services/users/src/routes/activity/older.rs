//! The handlers of the older surface.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use kit::body::Body;
use kit::{Person, answer};

use super::body::{ForgetBody, OlderTokenBody, ReadBody, SubjectBody};
use super::embedded::Books;
use super::query::{HISTORY_SORTS, NOTIFICATION_SORTS, Query, TASTE_SORTS};
use super::view::{OlderHistory, OlderLike, OlderNotification};
use crate::activity::histories::History;
use crate::activity::tastes::{Expressed, Subject, Taste, Wanted};
use crate::error::Error;
use crate::routes::App;
use crate::routes::body::json;

pub(super) async fn likes(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    let kind = query.kind(false)?;
    let page = query.page()?;
    let sort = query.sort(TASTE_SORTS)?;
    let wanted = Wanted { kind, is_dislike: Some(false), ..Wanted::default() };
    let found = app.activity.tastes(owner, &wanted, sort, page).await?;
    let books = Books::of(&app.catalogue, &found, || query.books_of_tags_unchecked()).await?;
    let shown: Vec<OlderLike> = found.into_iter().filter_map(|taste| like_with(taste, &books)).collect();
    Ok(Json(shown).into_response())
}

/// Shows a like, unless the library has nothing of it any more.
fn like_with(taste: Taste, books: &Books) -> Option<OlderLike> {
    let Taste { subject, is_dislike: _, created_at } = taste;
    match subject {
        Subject::Book(book_id) => {
            books.book(book_id).map(|book| OlderLike::Book { book_id, created_at, book })
        }
        Subject::Tag(tag) => {
            let books = books.with(&tag);
            let like = OlderLike::BookTag { tag_kind: tag.kind, tag_name: tag.name, created_at, books };
            Some(like).filter(OlderLike::has_books)
        }
    }
}

impl OlderLike {
    fn has_books(&self) -> bool {
        match self {
            Self::Book { .. } => true,
            Self::BookTag { books, .. } => !books.is_empty(),
        }
    }
}

pub(super) async fn like(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    let body: SubjectBody = json(&headers, &bytes)?;
    let subject = super::actions::in_library(&app, body).await?;
    match app.activity.express(owner, &subject, false).await? {
        Expressed::Stored => Ok(answer::created()),
        Expressed::Unchanged => Err(Error::Liked),
    }
}

pub(super) async fn unlike(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    let body: SubjectBody = json(&headers, &bytes)?;
    let missing = Error::Missing("Not found like");
    let Some(subject) = body.subject() else { return Err(missing) };
    let removed = app.activity.forget_taste(owner, &subject, Some(false)).await?;
    if removed { Ok(answer::no_content()) } else { Err(missing) }
}

/// The legacy backend has these routes, but ends the connection instead of an answer.
pub(super) async fn dislikes(State(app): State<App>, Person(person): Person) -> Result<Response, Error> {
    app.accounts.owner(&person).await?;
    Err(Error::Unanswered)
}

pub(super) async fn histories(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    // With `kind=book` the legacy backend ends the connection. Its other answers are those without it.
    query.only_books()?;
    let page = query.page()?;
    let sort = query.sort(HISTORY_SORTS)?;
    let found = app.activity.histories(owner, sort, page).await?;
    let books = app.catalogue.by_ids(found.iter().map(|history| history.book).collect()).await?;
    let with_book = |history: History| {
        let History { book: book_id, page: _, created_at, updated_at } = history;
        // A book can have two histories: one of before the legacy backend has another id.
        let book = books.get(&book_id)?.clone().into();
        Some(OlderHistory::Book { book_id, created_at, updated_at, book })
    };
    let shown: Vec<OlderHistory> = found.into_iter().filter_map(with_book).collect();
    Ok(Json(shown).into_response())
}

/// The legacy backend checks the page and stores 1. No client of this surface sees it, and those of the later one want it.
pub(super) async fn read(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    let body: ReadBody = json(&headers, &bytes)?;
    super::actions::read(&app, owner, body).await
}

pub(super) async fn forget_history(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    let body: ForgetBody = json(&headers, &bytes)?;
    super::actions::forget_history(&app, owner, &body).await
}

pub(super) async fn notifications(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    query.only_books()?;
    let page = query.page()?;
    let sort = query.sort(NOTIFICATION_SORTS)?;
    let found = app.activity.notifications(owner, sort, page).await?;
    let shown: Vec<OlderNotification> = found.into_iter().map(OlderNotification::from).collect();
    Ok(Json(shown).into_response())
}

pub(super) async fn keep_token(
    State(app): State<App>,
    Person(person): Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    let owner = app.accounts.owner(&person).await?;
    let (device, token) = json::<OlderTokenBody>(&headers, &bytes)?.check()?;
    app.activity.keep_token(owner, device, &token).await?;
    Ok(answer::created())
}
