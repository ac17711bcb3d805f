//! Made-up pictures for a development edge.
//!
//! A picture is made up from the SHA-256 of its path and a salt: its ratio, its size, its colours, its pattern. So every
//! machine with the same salt has the same bytes, and a byte comparison needs no files. The formats are `avif`, `png`, `jpg` and
//! `webp`; a name without a format means `png`. Pages up to the largest number of a made-up book exist in each directory;
//! a listing names as many as the hash of the directory says.

mod cache;
pub mod drawing;

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::cache::Cache;
use self::drawing::{Hash, Shape};
use crate::content::Content;
use crate::error::Error;
use crate::format::Format;
use crate::path::PicturePath;
use crate::tree;

/// The name of the cover.
const THUMBNAIL: &str = "thumbnail";

/// The highest page that exists.
const MAX_PAGE: u32 = drawing::MAX_PAGES;

/// Makes up pictures, and keeps them in a directory of bounded size.
#[derive(Clone, Debug)]
pub struct Stub {
    salt: Arc<str>,
    cache: Cache,
}

impl Stub {
    /// Opens the directory `cache`, which may hold `bytes` bytes. Pictures that it has already are kept.
    ///
    /// # Errors
    /// The error of the system, if the directory cannot be created or read.
    pub async fn open(salt: &str, cache: &Path, bytes: u64) -> io::Result<Self> {
        Ok(Self { salt: salt.into(), cache: Cache::open(cache, bytes).await? })
    }

    /// Opens the picture at `path`.
    ///
    /// # Errors
    /// [`Error::Absent`] if no picture can have this name, and the errors of the disk and of the encoder.
    pub async fn find(&self, path: &PicturePath) -> Result<Content, Error> {
        let (_, name) = path.split();
        let (stem, format) = match name.rsplit_once('.') {
            Some((stem, _)) => (stem, Format::of(name).ok_or(Error::Absent)?),
            None => (name, Format::Png),
        };
        let shape = if stem == THUMBNAIL {
            Shape::Thumbnail
        } else {
            page(stem).map(|_| Shape::Page).ok_or(Error::Absent)?
        };
        if !drawing::FORMATS.contains(&format) {
            return Err(Error::Absent);
        }
        let (directory, _) = path.split();
        let hash = self.hash(&format!("{directory}/{stem}.{}", extension(format)));
        let name = format!("{}.{}", hash.hex(), extension(format));
        let file = self.cache.get(&name, move || drawing::encoded(&hash, shape, format)).await?;
        let length = file.metadata()?.len();
        Ok(Content { file, length, format, tag: tree::tag(&name)?, modified: None })
    }

    /// Returns the names in a directory, in the order of [`tree::by_length`].
    #[must_use]
    pub fn names(&self, directory: &str) -> Vec<String> {
        let pages = self.hash(directory).pages();
        let names = (1..=pages).map(|page| format!("{page}.png"));
        let mut names: Vec<String> = names.chain([format!("{THUMBNAIL}.png")]).collect();
        names.sort_by(|a, b| tree::by_length(a, b));
        names
    }

    fn hash(&self, path: &str) -> Hash {
        Hash(Sha256::digest(format!("{path}:{}", self.salt)).into())
    }
}

/// Reads the number of a page, as listings write it.
fn page(stem: &str) -> Option<u32> {
    let number = stem.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number))?;
    (stem == number.to_string()).then_some(number)
}

/// The extension under which a format is kept. `jpeg` is `jpg`, so that both are one picture.
const fn extension(format: Format) -> &'static str {
    match format {
        Format::Avif => "avif",
        Format::Gif => "gif",
        Format::Jpeg => "jpg",
        Format::Png => "png",
        Format::Webp => "webp",
        Format::List => "txt",
    }
}

/// Turns the failure of a picture that several requests waited for into each one's own.
fn shared(failure: &Arc<Error>) -> Error {
    match failure.as_ref() {
        Error::Disk(error) => Error::Disk(io::Error::new(error.kind(), error.to_string())),
        failure @ (Error::Unauthenticated
        | Error::Forbidden
        | Error::Absent
        | Error::Invalid(_)
        | Error::MadeUp
        | Error::NoSuchMethod
        | Error::Encoding(_)) => Error::Encoding(failure.to_string()),
    }
}

/// A task of the pool that ended without a result, which happens when the program stops.
fn stopped() -> Error {
    Error::Disk(ErrorKind::Interrupted.into())
}
