//! Changing a key file.
//!
//! A change is written beside the file and renamed over it, so that a reader has the old keys or the new ones.
//! Two changes at the same time wait for each other (an advisory lock on `FILE.lock`), so none is lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::record::Record;
use crate::table;

/// Why a key file cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot use the key file {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A line makes no sense.
    #[error("{path}: {what}; correct the line, or put the last good file back")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Which line, and why.
        what: String,
    },
}

/// Every record of `path`, in the order of the file. A file that is not there has none.
///
/// # Errors
/// [`FileError`], naming the file and the line.
pub fn read(path: &Path) -> Result<Vec<Record>, FileError> {
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(FileError::Io { path: path.to_owned(), source }),
    };
    let mut records = Vec::new();
    let kept = table::for_each(&content, |_, record| {
        records.push(record);
        Ok(())
    });
    kept.map_err(|what| FileError::Content { path: path.to_owned(), what })?;
    Ok(records)
}

/// Changes the records of `path`. What `change` gives is given on.
///
/// # Errors
/// [`FileError`]; then the file is as it was.
pub fn update<T>(path: &Path, change: impl FnOnce(&mut Vec<Record>) -> T) -> Result<T, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let lock = beside(path, ".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(lock).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut records = read(path)?;
    let given = change(&mut records);
    let mut content = Vec::new();
    for record in &records {
        serde_json::to_writer(&mut content, record).map_err(|e| failed(e.into()))?;
        content.push(b'\n');
    }
    let next = beside(path, ".next");
    // Left behind by an interrupted change; the holder of the lock may remove it.
    let _ = std::fs::remove_file(&next);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next).map_err(failed)?;
    file.write_all(&content).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&next, path).map_err(failed)?;
    Ok(given)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::generate;
    use std::os::unix::fs::PermissionsExt as _;

    fn record() -> Record {
        let (id, _, sha256) = generate(&crate::text::Prefix::default()).unwrap();
        Record {
            id,
            sha256,
            imported: false,
            client: "ci".parse().unwrap(),
            roles: Vec::new(),
            tenant: Some("00000000-0000-7000-8000-000000000001".parse().unwrap()),
            role: None,
            scopes: vec!["a".to_owned()],
            plan: None,
            created: 1,
            expires: None,
            revoked: None,
        }
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("below/keys.jsonl");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| update(&path, |records| records.push(record())).unwrap());
            }
        });
        assert_eq!(read(&path).unwrap().len(), 8);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_broken_file_is_not_written_over() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("keys.jsonl");
        std::fs::write(&path, "nonsense\n").unwrap();
        let message = update(&path, |records| records.push(record())).unwrap_err().to_string();
        assert!(message.contains("keys.jsonl") && message.contains("line 1"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "nonsense\n");
    }
}
