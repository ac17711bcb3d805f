//! The refusals of the later surface, for the OpenAPI document.

#![expect(dead_code, reason = "these types describe answers")]

use utoipa::IntoResponses;

use crate::error::Refusal;

/// A query that is not valid.
#[derive(IntoResponses)]
#[response(
    status = 400,
    description = "The query is not valid; the message says why.",
    content_type = "application/json; charset=utf-8"
)]
pub(super) struct InvalidQuery(Refusal<'static>);

/// An id in a path that is not valid.
#[derive(IntoResponses)]
#[response(
    status = 400,
    description = "The id is not a number from 1 on.",
    content_type = "application/json; charset=utf-8"
)]
pub(super) struct InvalidId(Refusal<'static>);

/// A body that is not a book.
#[derive(IntoResponses)]
#[response(
    status = 400,
    description = "The book is not valid; the message says why. A body that is not JSON gets the text `Bad Request`."
)]
pub(super) struct InvalidBook;

/// A caller who may not do this.
#[derive(IntoResponses)]
#[response(status = 403, description = "The caller's role is too low, or the tenant is suspended.")]
pub(super) struct LowRole;

/// A book that does not exist.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "The book does not exist.",
    content_type = "application/json; charset=utf-8"
)]
pub(super) struct NoBook(Refusal<'static>);

/// A caller for whom the route does not exist.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "The caller is not a service of the platform.",
    content_type = "text/plain; charset=utf-8"
)]
pub(super) struct NoService(String);

/// A failure of the service.
#[derive(IntoResponses)]
#[response(
    status = 500,
    description = "The service failed; the log has the reason.",
    content_type = "application/json; charset=utf-8"
)]
pub(super) struct Broken(Refusal<'static>);
