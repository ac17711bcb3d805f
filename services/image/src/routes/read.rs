//! Answers GET and HEAD.

use std::collections::VecDeque;

use axum::body::Body;
use axum::response::Response;
use headers::{AcceptRanges, ContentLength, HeaderMapExt as _, LastModified};
use http::header::{CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use tokio::task::spawn_blocking;

use super::Pictures;
use super::body::{self, Piece};
use super::precondition::{Span, Wanted, wanted};
use crate::content::Content;
use crate::error::Error;
use crate::path::PicturePath;

/// Two weeks, as the file host has always written it: a page never changes, and belongs to a session.
const CACHED: HeaderValue = HeaderValue::from_static("private,max-age=1209600");

pub(super) async fn answer(pictures: &Pictures, request: &Parts) -> Result<Response, Error> {
    let path = request.uri.path();
    if let Some((directory, names)) = listing(path, request.uri.query().unwrap_or_default()) {
        return list(pictures, directory, names, &request.method).await;
    }
    let path = PicturePath::parse(path)?;
    let content = match pictures {
        Pictures::Tree(tree) => {
            let tree = tree.clone();
            spawn_blocking(move || tree.find(&path)).await.map_err(std::io::Error::other)??
        }
        Pictures::Stub(stub) => stub.find(&path).await?,
    };
    file(request, content)
}

fn file(request: &Parts, content: Content) -> Result<Response, Error> {
    let wanted = wanted(&request.method, &request.headers, &content);
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    headers.typed_insert(AcceptRanges::bytes());
    headers.typed_insert(content.tag.clone());
    headers.insert(CACHE_CONTROL, CACHED);
    if let Some(modified) = content.modified {
        headers.typed_insert(LastModified::from(modified));
    }
    let length = content.length;
    let media_type = HeaderValue::from_static(content.format.media_type());
    let (status, length, pieces) = match wanted {
        // With the length that the file would have, as RFC 9110 15.4.5 allows; the framework would write 0.
        Wanted::Unchanged => (StatusCode::NOT_MODIFIED, length, VecDeque::new()),
        Wanted::Failed => (StatusCode::PRECONDITION_FAILED, 0, VecDeque::new()),
        Wanted::Outside => {
            headers.insert(CONTENT_RANGE, value(&format!("bytes */{length}"))?);
            (StatusCode::RANGE_NOT_SATISFIABLE, 0, VecDeque::new())
        }
        Wanted::Whole => {
            headers.insert(CONTENT_TYPE, media_type);
            let whole = (length > 0).then_some(Piece::Part(Span { start: 0, length }));
            (StatusCode::OK, length, whole.into_iter().collect())
        }
        Wanted::One(span) => {
            headers.insert(CONTENT_TYPE, media_type);
            headers.insert(CONTENT_RANGE, value(&content_range(span, length))?);
            (StatusCode::PARTIAL_CONTENT, span.length, VecDeque::from([Piece::Part(span)]))
        }
        Wanted::Several(spans) => {
            let boundary = uuid::Uuid::new_v4().simple().to_string();
            headers.insert(CONTENT_TYPE, value(&format!("multipart/byteranges; boundary={boundary}"))?);
            let pieces = parts(&spans, length, content.format.media_type(), &boundary);
            let total = pieces.iter().fold(0_u64, |total, piece| total.saturating_add(size(piece)));
            (StatusCode::PARTIAL_CONTENT, total, pieces)
        }
    };
    headers.typed_insert(ContentLength(length));
    *answer.status_mut() = status;
    if request.method == Method::GET && !pieces.is_empty() {
        *answer.body_mut() = body::of(content.file, pieces);
    }
    Ok(answer)
}

/// The parts of several ranges, each under a head of its own (RFC 9110, 14.6).
fn parts(spans: &[Span], length: u64, media_type: &str, boundary: &str) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    for span in spans {
        let break_before = if pieces.is_empty() { "" } else { "\r\n" };
        let range = content_range(*span, length);
        let head = format!(
            "{break_before}--{boundary}\r\ncontent-type: {media_type}\r\ncontent-range: {range}\r\n\r\n"
        );
        pieces.push_back(Piece::Text(head.into()));
        pieces.push_back(Piece::Part(*span));
    }
    pieces.push_back(Piece::Text(format!("\r\n--{boundary}--\r\n").into()));
    pieces
}

fn content_range(span: Span, length: u64) -> String {
    format!("bytes {}-{}/{length}", span.start, span.start.saturating_add(span.length).saturating_sub(1))
}

fn size(piece: &Piece) -> u64 {
    match piece {
        Piece::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
        Piece::Part(span) => span.length,
    }
}

fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|error| Error::Disk(std::io::Error::other(error)))
}

/// Which names a list has.
#[derive(Clone, Copy)]
enum Names {
    /// Pages. A file `image_list` that an older crawler keeps is none.
    Pages,
    /// The same with the cover.
    WithThumbnail,
    /// All pictures, as clients of 2022 read them.
    Pictures,
}

impl Names {
    fn has(self, name: &str) -> bool {
        match self {
            Self::Pages => !is_crawlers(name) && !name.starts_with("thumbnail"),
            Self::WithThumbnail => !is_crawlers(name),
            Self::Pictures => !is_crawlers(name) && !name.ends_with(".txt"),
        }
    }
}

fn is_crawlers(name: &str) -> bool {
    matches!(name, "image_list" | "image_list.txt")
}

/// Returns the directory that a request lists: `PATH/@`, or `PATH/image_list` of older clients, to which the library
/// redirects them. The list of an older crawler, `PATH/image_list.txt`, is a file unless the query has `madome-2022`.
fn listing<'r>(path: &'r str, query: &str) -> Option<(&'r str, Names)> {
    let pairs = serde_urlencoded::from_str::<Vec<(String, String)>>(query).unwrap_or_default();
    if let Some(directory) = path.strip_suffix("/@") {
        let has_thumbnail = pairs.iter().any(|(name, value)| name == "visible-thumbnail" && value == "true");
        return Some((directory, if has_thumbnail { Names::WithThumbnail } else { Names::Pages }));
    }
    let is_of_2022 = || pairs.iter().any(|(name, _)| name == "madome-2022");
    let directory = path
        .strip_suffix("/image_list")
        .or_else(|| path.strip_suffix("/image_list.txt").filter(|_| is_of_2022()))?;
    Some((directory, Names::Pictures))
}

async fn list(
    pictures: &Pictures,
    directory: &str,
    shown: Names,
    method: &Method,
) -> Result<Response, Error> {
    // The root itself has no pictures.
    let directory = PicturePath::parse(directory)?;
    let names = match pictures {
        Pictures::Tree(tree) => {
            let tree = tree.clone();
            spawn_blocking(move || tree.names(directory.as_str())).await.map_err(std::io::Error::other)??
        }
        Pictures::Stub(stub) => stub.names(directory.as_str()),
    };
    let shown: Vec<&String> = names.iter().filter(|name| shown.has(name)).collect();
    let body = serde_json::to_string(&shown).map_err(|error| Error::Disk(error.into()))?;
    let mut answer = Response::new(Body::empty());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    answer.headers_mut().typed_insert(ContentLength(length));
    if *method == Method::GET {
        *answer.body_mut() = Body::from(body);
    }
    Ok(answer)
}
