//! Which request gets a file, which one the entry document, and which one 404.
//!
//! The application has its own routes in the browser (the History API), so a deep link and a reload ask this service for
//! paths that are not files. They get the entry document, and the application shows the page. A missing script must
//! not get it: a browser would run HTML as a script, and a cache would keep it. So only a request for a page does.
//!
//! Paths below `/openapi` belong to the OpenAPI document alone ([`crate::openapi`]), whatever the build contains.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use kit::Metrics;
use kit::answer;
use kit::surface::{Ready, surround_open};
use tower::ServiceExt as _;
use tower_http::services::ServeDir;

use crate::openapi::{self, Documents};
use crate::site::Build;

/// Names in here contain a hash of the content, so such a file never changes.
const HASHED: &str = "/assets/";

/// No page is at or below these, whatever a client accepts. The API has a host of its own, and a client that looks for it
/// here must not read HTML with 200.
const NO_PAGES: [&str; 2] = ["/assets", "/api"];

/// Of files with a hash: a year, the longest lifetime that caches honour, without asking again (RFC 8246).
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Of everything else: kept, and used after the service has confirmed it, so that a new build is seen at once.
const CONFIRMED: HeaderValue = HeaderValue::from_static("no-cache");
/// Of refusals: a file that is missing during a rollout may be there a second later.
const NEVER: HeaderValue = HeaderValue::from_static("no-store");

/// What decides whether a path without a file is a page, and in which form: one line, because Envoy joins several.
const VARY: HeaderValue = HeaderValue::from_static("accept-encoding, accept, sec-fetch-dest");

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The type of a page. `ServeDir` leaves the encoding out, and the legacy backend names it.
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What a person reads in the place of a page while no application is built.
const UNBUILT: &str = "The web application is not built here. In a clone of the repository `make pages` builds it, and the \
                       next request gets it.\n";
/// Of that text: nothing in it may run, and no other site may frame it.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

struct Pages {
    files: ServeDir,
    build: Build,
    documents: Documents,
}

/// The service without a socket: the application of `build`, and the OpenAPI document.
pub fn router(build: Build, documents: Documents, metrics: &Metrics) -> Router {
    // Without its own redirects and index documents: `/` is a page like any other.
    let files = ServeDir::new(build.root())
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip();
    let routes = Router::new().fallback(serve).with_state(Arc::new(Pages { files, build, documents }));
    let ready: Ready = Arc::new(|| Box::pin(async { true }));
    surround_open(routes, ready, metrics)
}

async fn serve(State(pages): State<Arc<Pages>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if is_below(&path, openapi::PREFIX) {
        let answer = pages.documents.answer(request.method(), &path, request.headers());
        return surrounded(answer, &path, NOTHING);
    }
    match pages.build.site().await {
        Ok(site) => surrounded(pages.page_or_file(request, &path).await, &path, site.policy.clone()),
        // The start logged why.
        Err(_) => {
            let mut answer = answer::text(StatusCode::SERVICE_UNAVAILABLE, UNBUILT);
            answer.headers_mut().insert(header::CONTENT_TYPE, TEXT);
            surrounded(answer, &path, NOTHING)
        }
    }
}

/// Adds the headers that every answer has.
fn surrounded(mut answer: Response, path: &str, policy: HeaderValue) -> Response {
    let cache = match answer.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => {
            if path.starts_with(HASHED) { FOR_EVER } else { CONFIRMED }
        }
        _ => NEVER,
    };
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    // Also on scripts and images: opened as a document, such a file can do nothing either.
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    answer
}

impl Pages {
    async fn page_or_file(&self, request: Request, path: &str) -> Response {
        let page = is_page(request.method(), path, request.headers());
        let again = page.then(|| entry_request(&request));
        let mut answer = self.file(request).await;
        if answer.status() == StatusCode::NOT_FOUND
            && let Some(entry) = again
        {
            answer = self.file(entry).await;
            answer.headers_mut().insert(header::VARY, VARY);
        }
        let kind = answer.headers_mut().get_mut(header::CONTENT_TYPE);
        if let Some(kind) = kind.filter(|kind| *kind == "text/html") {
            *kind = HTML;
        }
        answer
    }

    async fn file(&self, request: Request) -> Response {
        match self.files.clone().oneshot(request).await {
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
                answer::text(StatusCode::NOT_FOUND, "Not found")
            }
            Ok(answer) => answer.map(Body::new),
            Err(error) => answer::internal(&error),
        }
    }
}

/// The same request for the entry document.
fn entry_request(request: &Request) -> Request {
    let mut entry = Request::new(Body::empty());
    entry.method_mut().clone_from(request.method());
    entry.headers_mut().clone_from(request.headers());
    *entry.uri_mut() = Uri::from_static("/index.html");
    entry
}

/// Whether a page of the application is asked for, and not one of its files.
///
/// Browsers say what they will use an answer for (`Sec-Fetch-Dest`, [Fetch Metadata](https://www.w3.org/TR/fetch-metadata/)).
/// For all others `Accept` decides: one that names HTML asks for a page, and one that takes anything asks for a page
/// unless the path looks like the name of a file.
fn is_page(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    if ![Method::GET, Method::HEAD].contains(method) || NO_PAGES.iter().any(|prefix| is_below(path, prefix)) {
        return false;
    }
    if let Some(purpose) = headers.get(SEC_FETCH_DEST) {
        return ["document", "iframe"].iter().any(|page| purpose == page);
    }
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let names = |kind: &str| {
        accepted
            .iter()
            .any(|line| line.split(',').any(|one| one.split(';').next().unwrap_or("").trim() == kind))
    };
    let is_named_like_a_file = path.rsplit('/').next().is_some_and(|last| last.contains('.'));
    names("text/html") || (!is_named_like_a_file && (accepted.is_empty() || names("*/*") || names("text/*")))
}

/// Whether `path` is `prefix` or below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
