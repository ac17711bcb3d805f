//! The public OpenAPI document at `/openapi/`, as a static file.
//!
//! It is part of the program, not a directory beside it: program and document are of one version, and no path leads to
//! another file, such as the document of the routes between services. Clients of the legacy backend read JSON at
//! [`JSON_PATHS`], so the same document is there in that form.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use headers::{ETag, HeaderMapExt as _, IfNoneMatch};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use kit::answer;
use kit::startup::StartError;
use sha2::{Digest as _, Sha256};

/// Everything at or below this path is answered here.
pub const PREFIX: &str = "/openapi";

/// Where the document is in YAML, byte for byte as in the repository.
pub const YAML_PATHS: &[&str] = &["/openapi/public.yaml"];

/// Where it is in JSON: the paths of the legacy backend.
pub const JSON_PATHS: &[&str] = &["/openapi/", "/openapi/openapi.json"];

/// The document, as `openapi-aggregate write` merges it from the services' own.
const PUBLIC: &str = include_str!("../../../contracts/openapi/public.yaml");

/// One form of the document.
#[derive(Clone, Debug)]
struct Document {
    paths: &'static [&'static str],
    kind: HeaderValue,
    tag: ETag,
    bytes: Bytes,
}

/// The document in all its forms.
#[derive(Clone, Debug)]
pub struct Documents([Document; 2]);

impl Documents {
    /// Makes the JSON of the YAML.
    ///
    /// # Errors
    /// [`StartError::File`] when the document is not valid YAML.
    pub fn new() -> Result<Self, StartError> {
        let failed = |why: String| StartError::File(format!("the public OpenAPI document: {why}"));
        let read: serde_json::Value =
            serde_saphyr::from_str(PUBLIC).map_err(|error| failed(error.to_string()))?;
        let json = serde_json::to_vec(&read).map_err(|error| failed(error.to_string()))?;
        // RFC 9512 registered the type of YAML.
        let yaml = Document::new(YAML_PATHS, "application/yaml", Bytes::from_static(PUBLIC.as_bytes()))?;
        Ok(Self([yaml, Document::new(JSON_PATHS, "application/json", json.into())?]))
    }

    /// Answers a request for `path`, which is [`PREFIX`] or below it. Only exact paths lead to a document: no spelling
    /// of one is decoded or resolved.
    #[must_use]
    pub fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        let Self(documents) = self;
        match documents.iter().find(|document| document.paths.contains(&path)) {
            None => answer::text(StatusCode::NOT_FOUND, "Not found"),
            Some(document) if [Method::GET, Method::HEAD].contains(method) => document.answer(headers),
            Some(_) => {
                let mut refused = answer::text(StatusCode::METHOD_NOT_ALLOWED, "");
                refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
                refused
            }
        }
    }
}

impl Document {
    fn new(paths: &'static [&'static str], kind: &'static str, bytes: Bytes) -> Result<Self, StartError> {
        // The bytes alone make the tag: every replica of one version has the same.
        let digest = Bytes::from(Sha256::digest(&bytes).to_vec());
        let tag = format!("\"{digest:x}\"")
            .parse()
            .map_err(|_| StartError::File(format!("{kind}: no entity tag can be made of its digest")))?;
        Ok(Self { paths, kind: HeaderValue::from_static(kind), tag, bytes })
    }

    /// The document, or 304 for a client that has it. The library leaves the body of a HEAD out and keeps its length.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let condition: Option<IfNoneMatch> = headers.typed_get();
        let is_known = condition.is_some_and(|known| !known.precondition_passes(&self.tag));
        let mut answer = if is_known {
            let mut unchanged = Response::new(Body::empty());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        } else {
            let mut whole = Response::new(Body::from(self.bytes.clone()));
            whole.headers_mut().insert(header::CONTENT_TYPE, self.kind.clone());
            whole
        };
        let headers = answer.headers_mut();
        headers.typed_insert(self.tag.clone());
        // Viewers of such documents are pages of other origins. The legacy backend lets every origin read it.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        answer
    }
}
