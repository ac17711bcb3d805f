//! Reads the login code out of the mail that would have been sent.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why no code could be read. The code itself is never part of the text.
#[derive(Debug, Error)]
pub enum MailError {
    /// The directory or the letter cannot be read.
    #[error("{path}: {error}: is this the CUTOVER_HOME of the edge that was asked for a code?")]
    Unreadable {
        /// What was read.
        path: PathBuf,
        /// Why it could not be.
        error: std::io::Error,
    },
    /// There is no mail for the address.
    #[error("{0}: no NNNN.json in it, though a code was asked for")]
    Empty(PathBuf),
    /// The newest letter holds no code.
    #[error("{0}: has no text at /variables/authcode")]
    NoCode(PathBuf),
}

/// The code in the newest mail to `email` below `home`: `mail/ADDRESS/NNNN.json`, the highest number.
///
/// # Errors
/// When there is no such mail, or it cannot be read, or it holds no code.
pub fn newest_code(home: &Path, email: &str) -> Result<String, MailError> {
    let folder = home.join("mail").join(email);
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        move |error| MailError::Unreadable { path, error }
    };
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(&folder).map_err(unreadable(&folder))? {
        let path = entry.map_err(unreadable(&folder))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_letter = path.extension().is_some_and(|extension| extension == "json");
        if let (true, Ok(number)) = (is_letter, stem.parse())
            && newest.as_ref().is_none_or(|(highest, _)| number > *highest)
        {
            newest = Some((number, path));
        }
    }
    let (_, letter) = newest.ok_or_else(|| MailError::Empty(folder.clone()))?;
    let text = std::fs::read_to_string(&letter).map_err(unreadable(&letter))?;
    serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|mail| Some(mail.pointer("/variables/authcode")?.as_str()?.to_owned()))
        .ok_or(MailError::NoCode(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_is_the_newest() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mail/a@example.com");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, code) in [("0002", "second"), ("10000", "last"), ("0009", "ninth")] {
            let mail = format!(r#"{{"variables":{{"authcode":"{code}"}}}}"#);
            std::fs::write(folder.join(format!("{name}.json")), mail).unwrap();
        }
        std::fs::write(folder.join("99999.draft"), "half a let").unwrap();
        assert_eq!(newest_code(home.path(), "a@example.com").unwrap(), "last");
    }

    #[test]
    fn no_mail_and_no_code_name_the_file() {
        let home = tempfile::tempdir().unwrap();
        let missing = newest_code(home.path(), "a@example.com").unwrap_err().to_string();
        assert!(missing.contains("mail/a@example.com"), "{missing}");
        let folder = home.path().join("mail/a@example.com");
        std::fs::create_dir_all(&folder).unwrap();
        assert!(matches!(newest_code(home.path(), "a@example.com"), Err(MailError::Empty(_))));
        std::fs::write(folder.join("0001.json"), "{}").unwrap();
        assert!(matches!(newest_code(home.path(), "a@example.com"), Err(MailError::NoCode(_))));
    }
}
