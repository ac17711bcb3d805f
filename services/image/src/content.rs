//! One opened picture.

use std::fs::File;
use std::time::SystemTime;

use headers::ETag;

use crate::format::Format;

/// A picture that was found: its file, open for reading, and what an answer says of it.
#[derive(Debug)]
pub struct Content {
    /// The file.
    pub file: File,
    /// Its length in bytes when it was opened.
    pub length: u64,
    /// Its format.
    pub format: Format,
    /// A strong validator (RFC 9110, 8.8.3): equal only for equal bytes.
    pub tag: ETag,
    /// The time of its last change. Made-up pictures have none.
    pub modified: Option<SystemTime>,
}
