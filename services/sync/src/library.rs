//! Books go to the library through its route for services (`PUT /_/books`), with a service token.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use kit::startup::StartError;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use service_client::{Account, Tokens};
use utoipa::ToSchema;

use crate::error::Error;
use crate::settings::Settings;

/// How long the library may take for a batch: less than the request that waits for it.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The longest answer: two lists of fifty ids are under 2 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A tag of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// The kind, such as `artist`.
    pub kind: String,
    /// The name, with spaces.
    pub name: String,
}

/// A book, in the form of the library. The library says whether it is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// The number that the source of the book gave it.
    #[schema(minimum = 1)]
    pub id: i32,
    /// The title.
    pub title: String,
    /// `doujinshi`, `manga`, `game-cg`, `artist-cg` or `image-set`.
    pub kind: String,
    /// The tags.
    pub tags: Vec<Tag>,
    /// The language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The number of pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<i16>,
    /// When the book appeared at its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Releases the book. One that was released before keeps its time, and `false` takes nothing back.
    // Left out where it is false, so that a book without it has the digest that earlier versions recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
}

/// What the library did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Written {
    /// The ids of new books.
    pub added: Vec<i32>,
    /// The ids of books that were there with other content, or were released.
    pub changed: Vec<i32>,
}

#[derive(Serialize)]
struct Batch<'a> {
    books: &'a [Book],
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

/// The way to the library.
#[derive(Clone, Debug)]
pub struct Library(Tokens);

impl Library {
    /// Prepares calls as the service `sync`, with its key.
    ///
    /// # Errors
    /// [`StartError::File`], which names the key.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let account = Account {
            name: "sync".parse().map_err(|error| StartError::File(format!("the service's name: {error}")))?,
            key: settings.base.home.key("sync.pem"),
            issuer: settings.issuer.clone(),
            edge_url: settings.edge_url.clone(),
            tenant: None,
        };
        Tokens::new(&account, clock).map(Self).map_err(|error| StartError::File(error.to_string()))
    }

    /// Adds or replaces `books`. Doing this twice is the same as doing it once.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the library's reason if a book is not valid, [`Error::Library`] otherwise.
    pub async fn put(&self, books: &[Book]) -> Result<Written, Error> {
        let unavailable = |why: &dyn std::fmt::Display| Error::Library(why.to_string());
        let request = self.0.request(Method::PUT, "/_/books").await.map_err(|error| unavailable(&error))?;
        let mut answer = request
            .timeout(TIMEOUT)
            .json(&Batch { books })
            .send()
            .await
            .map_err(|error| unavailable(&error.without_url()))?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| unavailable(&error.without_url()))? {
            if body.len().saturating_add(part.len()) > MAX_ANSWER_BYTES {
                return Err(unavailable(&"the answer is too long"));
            }
            body.extend_from_slice(&part);
        }
        match answer.status() {
            StatusCode::OK => serde_json::from_slice(&body).map_err(|error| unavailable(&error)),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
                let complaint: Option<Complaint> = serde_json::from_slice(&body).ok();
                Err(Error::Invalid(
                    complaint.map_or_else(|| "the library refused the books".to_owned(), |it| it.message),
                ))
            }
            status => Err(unavailable(&format!("it answered {status}"))),
        }
    }
}
