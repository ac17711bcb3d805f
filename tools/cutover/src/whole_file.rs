//! Writes files that exist completely or not at all.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes `bytes` beside `path` and renames the result over it, with `mode`, narrowed by the process's mask, from the
/// first byte on. A program that reads `path`
/// meanwhile has the old content or the new one. A failure leaves no file behind.
///
/// # Errors
/// The I/O error of the system.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    draft(path, bytes, mode)?.persist(path)?;
    Ok(())
}

/// Writes `bytes` beside `path`, for a caller that decides afterwards whether they replace it (`persist`). Dropped, the
/// draft is removed.
///
/// # Errors
/// The I/O error of the system.
pub(crate) fn draft(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    // In the same directory, because only there a rename is one step, and with a name that no watcher accepts as an edge
    // file.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    let mut file = tempfile::Builder::new()
        .prefix(&name)
        .suffix(".unfinished")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_nothing_is_left_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key.pem");
        for (content, mode) in [("one", 0o644), ("two", 0o600)] {
            replace(&path, content.as_bytes(), mode).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
        drop(draft(&path, b"three", 0o600).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert!(replace(&home.path().join("absent/key.pem"), b"", 0o600).is_err());
        assert_eq!(listed(home.path()), ["key.pem"]);
    }
}
