//! A small file that is read again whenever it changes.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The attributes that distinguish one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signature {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// After a change the content is compared this many more times. A file's times move in steps of some
/// milliseconds, so a second write of the same length within one step shows only in the content.
const AFTERLOOKS: u8 = 2;

/// A small file that is read again whenever it changes.
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    max_bytes: u64,
    signature: Option<Signature>,
    /// SHA-256 of the content: a directory of a million tenants is not kept twice.
    content: Option<[u8; 32]>,
    afterlooks: u8,
    refused: bool,
}

impl WatchedFile {
    /// Watches `path`, which may have at most `max_bytes`.
    #[must_use]
    pub fn new(path: &Path, max_bytes: u64) -> Self {
        let path = path.to_owned();
        Self { path, max_bytes, signature: None, content: None, afterlooks: 0, refused: false }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content when it differs from the last poll's, `None` when it is the same.
    ///
    /// # Errors
    /// When the file is missing, unreadable or too large. The next readable content counts as new.
    pub fn poll(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.look().inspect_err(|_| {
            self.signature = None;
            self.content = None;
        })
    }

    /// Marks the current content as refused, see [`is_refused`](Self::is_refused).
    pub const fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether the last content that [`poll`](Self::poll) returned was [refused](Self::refuse).
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.refused
    }

    fn look(&mut self) -> io::Result<Option<Vec<u8>>> {
        let signature = Signature::of(&std::fs::metadata(&self.path)?);
        if self.signature == Some(signature) {
            if self.afterlooks == 0 {
                return Ok(None);
            }
            self.afterlooks -= 1;
        } else {
            self.afterlooks = AFTERLOOKS;
        }
        let content = self.read()?;
        self.signature = Some(signature);
        let digest = Sha256::digest(&content).into();
        if self.content == Some(digest) {
            return Ok(None);
        }
        self.content = Some(digest);
        self.refused = false;
        Ok(Some(content))
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let file = File::open(&self.path)?;
        file.take(self.max_bytes.saturating_add(1)).read_to_end(&mut content)?;
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > self.max_bytes {
            return Err(io::Error::other(format!("more than {} bytes", self.max_bytes)));
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_whatever_it_looks_like() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let mut file = WatchedFile::new(&path, 10);
        assert!(file.poll().is_err(), "missing");
        std::fs::write(&path, "one").unwrap();
        assert_eq!(file.poll().unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(file.poll().unwrap(), None);
        // The same length, very likely within one step of the file's times.
        std::fs::write(&path, "two").unwrap();
        assert_eq!(file.poll().unwrap().as_deref(), Some(&b"two"[..]));
        // Renamed over, as careful programs do.
        std::fs::write(home.path().join("next"), "two").unwrap();
        std::fs::rename(home.path().join("next"), &path).unwrap();
        assert_eq!(file.poll().unwrap(), None, "another file, the same content");
        std::fs::write(&path, "eleven bytes").unwrap();
        assert!(file.poll().is_err(), "too large");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(file.poll().unwrap().as_deref(), Some(&b"two"[..]), "back after trouble counts as new");
        std::fs::remove_file(&path).unwrap();
        assert!(file.poll().is_err());
    }

    #[test]
    fn a_swapped_symlink_is_a_change() {
        let home = tempfile::tempdir().unwrap();
        for version in ["v1", "v2"] {
            std::fs::create_dir(home.path().join(version)).unwrap();
            std::fs::write(home.path().join(version).join("file"), version).unwrap();
        }
        let link = home.path().join("data");
        std::os::unix::fs::symlink(home.path().join("v1"), &link).unwrap();
        let mut file = WatchedFile::new(&link.join("file"), 10);
        assert_eq!(file.poll().unwrap().as_deref(), Some(&b"v1"[..]));
        let next = home.path().join("next");
        std::os::unix::fs::symlink(home.path().join("v2"), &next).unwrap();
        std::fs::rename(&next, &link).unwrap();
        assert_eq!(file.poll().unwrap().as_deref(), Some(&b"v2"[..]));
    }
}
