//! Files that only their owner may read: private keys, secrets, databases.
//!
//! * [`read`] reads a private key or a shared secret, in every program here. It refuses a file that other
//!   users can read: such a secret must be replaced, and a program that continued would hide that.
//! * [`write`] writes such a file.
//! * [`restrict_new_files`] is the first call in `main`: from then on only the owner may read the files that
//!   the process creates, unless the creating code sets other permissions.
//! * [`make_directory`] creates a directory for its owner alone, and closes one that an earlier version left
//!   open.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

/// The permissions of the group and of all other users.
const OTHERS: u32 = 0o077;

/// The largest key file. A private key in PEM is below 4 KB for every algorithm in use. 64 KiB leave room for
/// a file with comments and several keys, and keep a mistaken path (a disk image, `/dev/zero`) from filling
/// the memory.
pub const MAX_KEY_BYTES: u64 = 64 * 1024;

/// The content of a secret file. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Returns the bytes, for the library that needs them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the content as text.
    ///
    /// # Errors
    /// When the content is not UTF-8. The error contains none of the bytes.
    pub fn as_text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// A secret file that cannot be used. The message names the file and the fix, never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}; check the path, and that this user may read it")]
    Unreadable {
        /// The path, as it was given.
        path: PathBuf,
        /// The I/O error of the system.
        source: io::Error,
    },
    /// The group or other users can access the file.
    #[error(
        "{path}: other users can read this secret (mode {mode:03o}); run `chmod 600 {path}`, and replace the secret if \
         others had access to this machine"
    )]
    Exposed {
        /// The path, as it was given.
        path: PathBuf,
        /// The permissions of the file.
        mode: u32,
    },
    /// The file is longer than any secret of its kind.
    #[error("{path} is larger than {max_bytes} bytes, so it cannot be such a secret; check the path")]
    TooLarge {
        /// The path, as it was given.
        path: PathBuf,
        /// The largest size that is read.
        max_bytes: u64,
    },
}

/// Reads the secret file `path`, of at most `max_bytes`.
///
/// The permissions of the opened file are checked, not those of the path, so that the file cannot be replaced
/// in between. A symbolic link (Kubernetes mounts secrets this way) counts as its target.
///
/// # Errors
/// [`SecretFileError`], which names the file and the fix.
pub fn read(path: &Path, max_bytes: u64) -> Result<Secret, SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(SecretFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max_bytes {
        return Err(SecretFileError::TooLarge { path: path.to_owned(), max_bytes });
    }
    Ok(Secret(bytes))
}

/// Writes `bytes` to the file `path`. Only its owner may read it from the first byte on, even if it was open
/// before.
///
/// # Errors
/// The I/O error of the system.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)
}

/// Creates all later files and directories of this process without any permission for other users (umask
/// 077). Call it before the process creates its first file; the mask applies to all of its threads.
pub fn restrict_new_files() {
    let _previous = rustix::process::umask(Mode::from_bits_truncate(OTHERS));
}

/// Creates the directory `path`, with its parents, for its owner alone. An existing directory that is open to
/// others is closed.
///
/// # Errors
/// The I/O error of the system, also when the directory belongs to another user and is open.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & OTHERS != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_that_another_user_can_use_is_refused_and_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key.pem");
        std::fs::write(&path, "hunter2").unwrap();
        for open in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o777] {
            std::fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            let error = read(&path, MAX_KEY_BYTES).unwrap_err().to_string();
            assert!(error.contains("key.pem") && error.contains("chmod 600"), "{error}");
            assert!(error.contains(&format!("{open:03o}")) && !error.contains("hunter2"), "{error}");
        }
        for closed in [0o600, 0o400] {
            std::fs::set_permissions(&path, Permissions::from_mode(closed)).unwrap();
            let secret = read(&path, MAX_KEY_BYTES).unwrap();
            assert_eq!(secret.as_text(), Ok("hunter2"));
            assert!(!format!("{secret:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_link_counts_as_the_file_that_it_leads_to() {
        let home = tempfile::tempdir().unwrap();
        let (path, link) = (home.path().join("key.pem"), home.path().join("link"));
        std::fs::write(&path, "x").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(read(&link, 1).is_ok(), "a link has no permissions of its own");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&link, 1), Err(SecretFileError::Exposed { .. })));
    }

    #[test]
    fn a_missing_or_too_large_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key.pem");
        assert!(matches!(read(&path, 3), Err(SecretFileError::Unreadable { .. })));
        std::fs::write(&path, "1234").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(read(&path, 3), Err(SecretFileError::TooLarge { max_bytes: 3, .. })));
        assert!(read(&path, 4).is_ok());
        // Endless, and readable without an error.
        assert!(read(Path::new("/dev/zero"), 4).is_err());
    }

    #[test]
    fn a_written_file_is_for_its_owner_alone_also_where_the_file_was_open() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key.pem");
        for _ in 0..2 {
            write(&path, b"hunter2").unwrap();
            assert_eq!((mode(&path), read(&path, 7).unwrap().as_bytes()), (0o600, &b"hunter2"[..]));
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        }
    }

    #[test]
    fn a_directory_is_for_its_owner_alone_also_one_that_was_open() {
        let home = tempfile::tempdir().unwrap();
        let (new, old) = (home.path().join("a/b"), home.path().join("old"));
        make_directory(&new).unwrap();
        assert_eq!((mode(&new), mode(&home.path().join("a"))), (0o700, 0o700));
        std::fs::create_dir(&old).unwrap();
        std::fs::set_permissions(&old, Permissions::from_mode(0o755)).unwrap();
        make_directory(&old).unwrap();
        assert_eq!(mode(&old), 0o700);
    }
}
