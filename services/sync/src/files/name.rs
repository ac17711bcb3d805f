//! Which file, and which bytes it promises to have.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::MAX_FILE_BYTES;
use crate::error::Error;

/// The longest path. `image/library/1234567/1234.avif` has 31 bytes.
const MAX_PATH_BYTES: usize = 200;

/// The deepest path.
const MAX_SEGMENTS: usize = 8;

/// The formats that the image service serves.
const FORMATS: [&str; 7] = ["avif", "gif", "jpg", "jpeg", "png", "webp", "txt"];

/// A file that is to arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The path below the directory of pictures.
    pub(super) path: String,
    /// The bytes of the whole file.
    pub(super) length: u64,
    /// Their digest.
    pub(super) sha256: [u8; 32],
}

impl Upload {
    /// Checks a path, the number of bytes and the digest in 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn new(path: String, length: u64, sha256: &str) -> Result<Self, Error> {
        if !is_plain(&path) {
            return Err(Error::Invalid(format!(
                "`path` has letters, digits, dots, dashes and underscores between slashes, at most {MAX_PATH_BYTES}, and ends \
                 with one of {}",
                FORMATS.join(", ")
            )));
        }
        if !(1..=MAX_FILE_BYTES).contains(&length) {
            return Err(Error::Invalid(format!("`length` is 1 to {MAX_FILE_BYTES}")));
        }
        let sha256 = read_digest(sha256)
            .ok_or_else(|| Error::Invalid("`sha256` has 64 hexadecimal digits in lower case".to_owned()))?;
        Ok(Self { path, length, sha256 })
    }

    /// The name of its draft: another path, length or digest is another draft.
    pub(super) fn draft(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.sha256);
        digest.update(self.length.to_be_bytes());
        digest.update(&self.path);
        digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The directory and the name in it.
    pub(super) fn place(&self) -> (&str, &str) {
        self.path.rsplit_once('/').unwrap_or(("", &self.path))
    }
}

fn is_plain(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(byte)
    };
    let segments: Vec<&str> = path.split('/').take(MAX_SEGMENTS + 1).collect();
    let format = path.rsplit_once('.').map(|(_, format)| format);
    path.len() <= MAX_PATH_BYTES
        && segments.len() <= MAX_SEGMENTS
        && segments.iter().all(|segment| is_segment(segment))
        && format.is_some_and(|format| FORMATS.contains(&format))
}

fn read_digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn only_plain_paths_of_known_formats_are_taken() {
        let taken = |path: &str| Upload::new(path.to_owned(), 1, DIGEST).is_ok();
        assert!(taken("image/library/7/1.png") && taken("1.avif"));
        for path in [
            "",
            "/1.png",
            "a//1.png",
            "../1.png",
            "a/../1.png",
            ".sync/1.png",
            "a/.png",
            "a/1.exe",
            "a/1",
            "a\\1.png",
            "a%2f1.png",
            "\u{e9}.png",
            "a/1.png/",
            "1/2/3/4/5/6/7/8/9.png",
        ] {
            assert!(!taken(path), "{path}");
        }
        assert!(!taken(&format!("{}.png", "a".repeat(200))));
    }

    #[test]
    fn another_promise_is_another_draft() {
        let upload =
            |path: &str, length, digest: &str| Upload::new(path.to_owned(), length, digest).unwrap().draft();
        let one = upload("a/1.png", 5, DIGEST);
        assert_ne!(one, upload("a/2.png", 5, DIGEST));
        assert_ne!(one, upload("a/1.png", 6, DIGEST));
        assert_ne!(one, upload("a/1.png", 5, &DIGEST.replace('e', "f")));
        assert!(Upload::new("1.png".to_owned(), 0, DIGEST).is_err());
        assert!(Upload::new("1.png".to_owned(), MAX_FILE_BYTES + 1, DIGEST).is_err());
        assert!(Upload::new("1.png".to_owned(), 1, &DIGEST.to_uppercase()).is_err());
    }
}
