//! Previews of links to books and tags: a page whose only content is its Open Graph metadata (<https://ogp.me>).
//!
//! Programs that show such previews have no session, so a page tells no more than a title, and its routes need no person.
//! Both surfaces answer alike, and paths are compared byte for byte, as the legacy backend does.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use super::App;
use crate::book::Tag;
use crate::error::{Error, text, typed};

/// The content type of a page.
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The longest id in a path, as the table's largest one, 2147483647.
const MAX_DIGITS: usize = 10;

/// Returns the preview of a book.
#[utoipa::path(
    get, path = "/open-graph/books/{id}", operation_id = "previewBook", tag = "library", security(()),
    params(("id" = String, Path, description = "The id of the book, of at most ten digits.", example = "1")),
    responses(
        (status = 200, description = "A page with the title as Open Graph metadata.", body = String, content_type = "text/html; charset=utf-8"),
        (status = 404, description = "The book does not exist.", body = String, content_type = "text/plain; charset=utf-8"),
        super::refusals::Broken, kit::openapi::Unavailable,
    ),
)]
pub(super) async fn book(State(app): State<App>, uri: Uri) -> Result<Response, Error> {
    let Some(id) = uri.path().strip_prefix("/open-graph/books/").and_then(id) else {
        return Ok(missing());
    };
    match app.books.one(id).await {
        Ok(book) => Ok(page(&book.title)),
        Err(Error::NotFound(_)) => Ok(missing()),
        Err(error) => Err(error),
    }
}

/// Returns the preview of a tag that a book has or had.
#[utoipa::path(
    get, path = "/open-graph/books/tags/{kind}/{name}", operation_id = "previewTag", tag = "library", security(()),
    params(
        ("kind" = String, Path, description = "The kind of the tag.", example = "misc"),
        ("name" = String, Path, description = "The name of the tag.", example = "full color"),
    ),
    responses(
        (status = 200, description = "A page with kind and name as Open Graph metadata.", body = String, content_type = "text/html; charset=utf-8"),
        (status = 404, description = "The tag does not exist.", body = String, content_type = "text/plain; charset=utf-8"),
        super::refusals::Broken, kit::openapi::Unavailable,
    ),
)]
pub(super) async fn tag(State(app): State<App>, uri: Uri) -> Result<Response, Error> {
    let path = uri.path().strip_prefix("/open-graph/books/tags/").unwrap_or_default();
    let Some((kind, name)) = path.split_once('/') else { return Ok(missing()) };
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let tag = Tag { kind: decoded(kind), name: decoded(name) };
    let title = format!("{}/{}", tag.kind, tag.name);
    Ok(if app.books.has_tag(&tag).await? { page(&title) } else { missing() })
}

/// Answers every other path below `/open-graph`.
pub(super) async fn other() -> Response {
    missing()
}

fn id(text: &str) -> Option<i32> {
    let digits = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn missing() -> Response {
    text(StatusCode::NOT_FOUND, "Not Found")
}

fn page(title: &str) -> Response {
    let title = escaped(title);
    let document = format!(
        "<!doctype html>\n<html prefix=\"og: https://ogp.me/ns#\"><head><title>{title}</title>\
         <meta property=\"og:title\" content=\"{title}\"><meta property=\"og:type\" content=\"website\"></head></html>\n"
    );
    typed(kit::answer::text(StatusCode::OK, document), HTML)
}

/// Titles are the text of strangers: here it is between tags and in a quoted attribute.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#x27;")
}

#[cfg(test)]
mod tests {
    use super::{escaped, id};

    #[test]
    fn a_title_stays_a_text() {
        assert_eq!(escaped("<b> & \"c\" 'd'"), "&lt;b&gt; &amp; &quot;c&quot; &#x27;d&#x27;");
    }

    #[test]
    fn an_id_is_a_short_number() {
        assert_eq!([id("7"), id("007"), id("2147483647")], [Some(7), Some(7), Some(i32::MAX)]);
        assert_eq!([id(""), id("-1"), id("+1"), id("2147483648"), id("%31"), id("1/")], [None; 6]);
    }
}
