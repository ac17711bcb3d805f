//! The access key of an AWS account.

use std::fmt;
use std::path::Path;

use secret_file::MAX_KEY_BYTES;

/// An access key id with its secret. `Debug` shows the id alone.
#[derive(Clone)]
pub struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A file without a usable access key. The message names the file and the fix, never the secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusableKeys(String);

impl Keys {
    /// Reads `file`: the access key id on the first line, its secret on the second. Only its owner may read it.
    ///
    /// # Errors
    /// [`UnusableKeys`].
    pub fn read(file: &Path) -> Result<Self, UnusableKeys> {
        let secret =
            secret_file::read(file, MAX_KEY_BYTES).map_err(|error| UnusableKeys(error.to_string()))?;
        let mut lines = secret.as_text().unwrap_or_default().lines().map(str::trim);
        let is_usable = |line: &&str| !line.is_empty() && line.chars().all(|c| c.is_ascii_graphic());
        match (lines.next().filter(is_usable), lines.next().filter(is_usable), lines.next()) {
            (Some(id), Some(secret), None) => Ok(Self { id: id.to_owned(), secret: secret.to_owned() }),
            _ => Err(UnusableKeys(format!(
                "{}: write the access key id on the first line and its secret on the second, and nothing else",
                file.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_two_lines_and_its_secret_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("ses");
        secret_file::write(&file, b"AKIDEXAMPLE\nhunter2\n").unwrap();
        let keys = Keys::read(&file).unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str()), ("AKIDEXAMPLE", "hunter2"));
        assert!(!format!("{keys:?}").contains("hunter2"));
        for text in ["", "hunter2", "hunter2\n\n", "a\nhunter2\nb", "a b\nhunter2", "a\nhunter 2"] {
            secret_file::write(&file, text.as_bytes()).unwrap();
            let error = Keys::read(&file).unwrap_err().to_string();
            assert!(error.contains("second") && !error.contains("hunter2"), "{error}");
        }
    }
}
