//! The handlers of the older surface.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use kit::Person;
use kit::body::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::query::{One, Query, book_id, invalid, one_id};
use super::view::{self, Older};
use super::{App, body};
use crate::books::{Filter, Scope, Sort, Way};
use crate::error::{Error, json, text, typed};
use crate::search::{Expression, beginnings};

/// What stays unencoded in the name of a file: what an element of a URL may contain, except for quotes.
const FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

pub(super) async fn list(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    if let Some(ids) = query.ids()? {
        let books = app.books.by_ids(&ids).await?;
        return Ok(view::listed::<Older>(books));
    }
    let tags = query.tags()?;
    if !tags.is_empty() {
        let sort = sort(&query)?;
        let page = query.page(3)?;
        let found = app.books.by_tags(tags, &Filter::default(), sort, page).await?;
        return Ok(json(StatusCode::OK, &view::by_tag::<Older>(found)));
    }
    let (more_than, less_than) = query.window()?;
    // With a window the kind is ignored, as clients have known it.
    let windowed = more_than.is_some() || less_than.is_some();
    let kinds = if windowed { Vec::new() } else { query.older_kind("kind", "kind")? };
    let filter = Filter { more_than, less_than, kinds, ..Filter::default() };
    let sort = sort(&query)?;
    let books = app.books.list(&filter, sort, query.page(25)?).await?;
    Ok(view::listed::<Older>(books))
}

fn sort(query: &Query) -> Result<Sort, Error> {
    Ok(query.older_sort()?.unwrap_or(Sort::Id(Way::Desc)))
}

pub(super) async fn create(
    State(app): State<App>,
    _: Person,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Result<Response, Error> {
    #[derive(Serialize)]
    struct Created {
        id: i32,
    }
    let book = body::older(&headers, &bytes)?;
    let created = Created { id: book.id };
    app.books.add(book).await?;
    Ok(json(StatusCode::CREATED, &created))
}

pub(super) async fn search(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    let scope = query.scope()?;
    let expression = expression(&query)?;
    let filter = Filter { kinds: query.older_kind("book-kind", "bookKind")?, ..Filter::default() };
    let sort = query.older_sort()?;
    let books = app.books.search(&expression, scope, &filter, sort, query.page(25)?).await?;
    Ok(view::listed::<Older>(books))
}

fn expression(query: &Query) -> Result<Expression, Error> {
    Expression::parse(query.value("q").unwrap_or_default()).map_err(|e| invalid(e.to_string()))
}

/// A title, or a tag with the query that its choice completes.
#[derive(Serialize)]
struct Completion {
    keyword: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion: Option<String>,
}

pub(super) async fn complete(State(app): State<App>, _: Person, query: Query) -> Result<Response, Error> {
    let scope = query.scope()?;
    let q = query.value("q").unwrap_or_default().trim();
    if q.is_empty() {
        return Ok(json(StatusCode::OK, &[(); 0]));
    }
    let expression = expression(&query)?;
    let page = query.page(15)?;
    let found: Vec<Completion> = if scope == Scope::Title {
        let titles = app.books.titles(&expression, page).await?;
        titles.into_iter().map(|keyword| Completion { keyword, completion: None }).collect()
    } else {
        // The last word is what is completed; those before it stay.
        let end = q.trim_end_matches([')', ' ']);
        let last = end.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or(end);
        let before = end.strip_suffix(last).unwrap_or_default();
        let sought = beginnings(last).map_err(|error| invalid(error.to_string()))?;
        let tags = app.books.tags(&sought, Some(&expression), page).await?;
        let completed = |tag: crate::book::Tag| {
            let keyword = format!("{}-{}", tag.kind, tag.name);
            let completion = Some(format!("{before}{}", keyword.replace(' ', "-")));
            Completion { keyword, completion }
        };
        tags.into_iter().map(completed).collect()
    };
    Ok(json(StatusCode::OK, &found))
}

pub(super) async fn one(State(app): State<App>, _: Person, id: One) -> Result<Response, Error> {
    let book = app.books.one(one_id(id)?).await?;
    Ok(json(StatusCode::OK, &Older::from(book)))
}

pub(super) async fn images(
    State(app): State<App>,
    _: Person,
    headers: HeaderMap,
    id: One,
) -> Result<Response, Error> {
    redirect(&app, &headers, one_id(id)?, "image_list").await
}

pub(super) async fn image(
    State(app): State<App>,
    _: Person,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    let Path((id, file)) = path.map_err(|_| Error::NoSuchPath)?;
    redirect(&app, &headers, book_id(&id)?, &file).await
}

/// Redirects to a file of a book, with the legacy framework's text or HTML.
async fn redirect(app: &App, headers: &HeaderMap, id: i32, file: &str) -> Result<Response, Error> {
    let book = app.books.one(id).await?;
    let file = utf8_percent_encode(file, FILE_NAME);
    let url = format!("{}/v1/image/library/{}/{file}?madome-2022=true", app.files, book.id);
    let location = HeaderValue::try_from(url.as_str()).map_err(|_| Error::NoSuchPath)?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut answer = if accept.contains("html") {
        // The only character of the URL that HTML reads in another way.
        let link = url.replace('&', "&amp;");
        let body = format!("Redirecting to <a href=\"{link}\">{link}</a>.");
        typed(
            kit::answer::text(StatusCode::FOUND, body),
            HeaderValue::from_static("text/html; charset=utf-8"),
        )
    } else {
        text(StatusCode::FOUND, format!("Redirecting to {url}."))
    };
    answer.headers_mut().insert(LOCATION, location);
    Ok(answer.into_response())
}
