//! The path of a picture, as far as it can be checked without a disk.
//!
//! `/image/library/7/1.png` and `/v1/image/library/7/1.png` are the same picture: older clients write the prefix.

use std::fmt;

use percent_encoding::percent_decode_str;

/// The longest name of a file or directory in bytes, as Linux has it.
const MAX_NAME_BYTES: usize = 255;

/// The most directories above a file. The catalogue needs three.
const MAX_DEPTH: usize = 16;

/// A path below the root: names joined by `/`, none of them `.`, `..`, hidden, or with control characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PicturePath(String);

/// Why a path cannot name a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It leads upwards.
    #[error("the path leads out of the root")]
    Outside,
    /// No picture has such a path.
    #[error("no picture has such a path")]
    Absent,
}

impl PicturePath {
    /// Reads the path of a request, percent-encoded as it came.
    ///
    /// # Errors
    /// [`InvalidPath::Outside`] for `..`, in any spelling; [`InvalidPath::Absent`] for whatever else cannot be a name.
    pub fn parse(path: &str) -> Result<Self, InvalidPath> {
        let path = path.strip_prefix('/').ok_or(InvalidPath::Absent)?;
        let path = path.strip_prefix("v1/").unwrap_or(path);
        let mut names = Vec::new();
        for encoded in path.split('/') {
            let name = percent_decode_str(encoded).decode_utf8().map_err(|_| InvalidPath::Absent)?;
            // A decoded slash is a separator for the disk, so its parts are judged one by one.
            if name.split(['/', '\\']).any(|part| part == "..") {
                return Err(InvalidPath::Outside);
            }
            let valid = !name.is_empty()
                && name.len() <= MAX_NAME_BYTES
                && !name.starts_with('.')
                && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
            if !valid || names.len() > MAX_DEPTH {
                return Err(InvalidPath::Absent);
            }
            names.push(name);
        }
        Ok(Self(names.join("/")))
    }

    /// Returns the path below the root, without a slash at its beginning.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the directory, which is empty at the root, and the name of the file.
    #[must_use]
    pub fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for PicturePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_with_and_without_the_older_prefix() {
        for path in ["/image/library/7/1.png", "/v1/image/library/7/1.png", "/image/library/7/%31.png"] {
            assert_eq!(
                PicturePath::parse(path),
                Ok(PicturePath("image/library/7/1.png".to_owned())),
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_upwards_is_outside_in_every_spelling() {
        for path in [
            "/..",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a/..%2fb",
            "/a%2f..%2fb",
            "/a/..%5cb",
            "/v1/../b",
            "/a/..",
        ] {
            assert_eq!(PicturePath::parse(path), Err(InvalidPath::Outside), "{path}");
        }
    }

    #[test]
    fn what_no_picture_can_be_called_is_absent() {
        let long = format!("/{}", "x".repeat(256));
        let deep = "/x".repeat(18);
        for path in [
            "", "x", "/", "//x", "/x/", "/x//y", "/.hidden", "/x/.part", "/%00", "/x%0ay", "/a%2fb", "/%ff",
            "/.", &long, &deep,
        ] {
            assert_eq!(PicturePath::parse(path), Err(InvalidPath::Absent), "{path}");
        }
    }
}
