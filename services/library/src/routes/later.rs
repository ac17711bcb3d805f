//! The handlers of the later surface.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use identity::Role;
use kit::body::Body;
use kit::{Person, answer};

use super::query::{One, Query, book_id, invalid, one_id};
use super::view::{self, Later, Object};
use super::{App, body};
use crate::book::Tag;
use crate::books::{Filter, Renewed, Scope};
use crate::error::{Error, json};
use crate::search::Expression;

pub(super) async fn list(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    if let Some(ids) = query.ids()? {
        let books = app.books.by_ids(&ids).await?;
        return Ok(view::listed::<Later>(books));
    }
    let only = query.flag("legacy-only")?.unwrap_or(false);
    let filter = Filter {
        kinds: query.later_kinds()?,
        released: query.flag("released")?,
        renewed: if only { Renewed::Only } else { Renewed::Hidden },
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

pub(super) async fn search(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    let expression =
        Expression::parse(query.value("q").unwrap_or_default()).map_err(|e| invalid(e.to_string()))?;
    let filter = Filter { kinds: query.later_kinds()?, renewed: Renewed::Hidden, ..Filter::default() };
    let sort = query.later_rank()?;
    let books = app.books.search(&expression, Scope::Any, &filter, sort, query.page(25)?).await?;
    Ok(view::listed::<Later>(books))
}

pub(super) async fn search_tags(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    let page = query.page(25)?;
    let q = query.value("q").unwrap_or_default();
    // A query without a word would list every tag.
    let found = match crate::book::words(q).next() {
        None => Vec::new(),
        Some(_) => app.books.tags(q, None, page).await?,
    };
    let found: Vec<Object> = found.into_iter().map(Object::from).collect();
    Ok(json(StatusCode::OK, &found))
}

/// A tag by `kind-name`. Names can contain dashes; if there is no such tag, its dashes stand for spaces.
pub(super) async fn tag(State(app): State<App>, _: Person, text: One) -> Result<Response, Error> {
    let Path(text) = text.map_err(|_| Error::NoSuchPath)?;
    let not_found = || Error::NotFound("Not found book tag");
    let (kind, name) = text.split_once('-').ok_or_else(not_found)?;
    let exact = Tag { kind: kind.to_owned(), name: name.to_owned() };
    for tag in [exact, Tag::from_flat(&text)] {
        if app.books.has_tag(&tag).await? {
            return Ok(json(StatusCode::OK, &Object::from(tag)));
        }
    }
    Err(not_found())
}

/// A renewal is one statement here, so none is ever under way.
pub(super) async fn renewing(_: Person) -> Response {
    json(StatusCode::OK, &[(); 0])
}

pub(super) async fn is_renewing(_: Person, id: One) -> Result<Response, Error> {
    one_id(id)?;
    Err(Error::NotFound("Not found book"))
}

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

pub(super) async fn ids(
    State(app): State<App>,
    Person(person): Person,
    query: Query,
) -> Result<Response, Error> {
    needs(&person, Role::DEVELOPER)?;
    let ids = app.books.ids(&Filter::default(), query.page(100)?).await?;
    Ok(json(StatusCode::OK, &ids))
}

pub(super) async fn one(State(app): State<App>, _: Person, id: One) -> Result<Response, Error> {
    let book = app.books.one(one_id(id)?).await?;
    Ok(json(StatusCode::OK, &Later::from(book)))
}

pub(super) async fn release(
    State(app): State<App>,
    Person(person): Person,
    id: One,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    app.books.release(one_id(id)?).await?;
    Ok(answer::no_content())
}

pub(super) async fn check(
    State(app): State<App>,
    Person(person): Person,
    id: One,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    app.books.check(one_id(id)?).await?;
    Ok(answer::no_content())
}

pub(super) async fn renew(
    State(app): State<App>,
    Person(person): Person,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    needs(&person, Role::BOT)?;
    let Path((old, new)) = path.map_err(|_| Error::NoSuchPath)?;
    app.books.renew(book_id(&old)?, book_id(&new)?).await?;
    Ok(answer::no_content())
}

/// The edge checks the role too, but a wrongly configured route must not open this.
fn needs(person: &kit::Member, role: Role) -> Result<(), Error> {
    if person.role < Some(role) { Err(Error::Forbidden) } else { Ok(()) }
}
