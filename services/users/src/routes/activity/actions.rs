//! What both surfaces do after they have read a request.

use axum::response::Response;
use kit::answer;

use super::body::{ForgetBody, ReadBody, SubjectBody};
use crate::account::Owner;
use crate::activity::tastes::Subject;
use crate::error::Error;
use crate::routes::App;

/// Returns the subject of a body, which the library must have.
pub(super) async fn in_library(app: &App, body: SubjectBody) -> Result<Subject, Error> {
    let missing = body.missing();
    let Some(subject) = body.subject() else { return Err(missing) };
    let has = match &subject {
        Subject::Book(id) => app.catalogue.has_book(*id).await?,
        Subject::Tag(tag) => app.catalogue.has_tag(tag).await?,
    };
    if has { Ok(subject) } else { Err(missing) }
}

/// Records that a person reads a book, which the library must have.
pub(super) async fn read(app: &App, owner: Owner, body: ReadBody) -> Result<Response, Error> {
    let missing = Error::Missing("Not found book in library");
    let (book, page) = body.check()?;
    let Some(book) = book else { return Err(missing) };
    if !app.catalogue.has_book(book).await? {
        return Err(missing);
    }
    app.activity.read(owner, book, page).await?;
    Ok(answer::created())
}

/// Forgets that a person has read a book.
pub(super) async fn forget_history(app: &App, owner: Owner, body: &ForgetBody) -> Result<Response, Error> {
    let missing = Error::Missing("Not found history");
    let ForgetBody::Book { book_id } = body;
    let Ok(book) = i32::try_from(*book_id) else { return Err(missing) };
    if app.activity.forget_history(owner, book).await? { Ok(answer::no_content()) } else { Err(missing) }
}
