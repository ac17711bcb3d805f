//! The directory of pictures.
//!
//! The directory is opened once, and every path is resolved below it by the kernel ([`cap_std`]). Neither `..` nor a link
//! leads out of it.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cap_tempfile::TempFile;
use headers::ETag;

use crate::content::Content;
use crate::format::Format;
use crate::path::PicturePath;

/// The most names that a listing reads. The longest book has some thousand pages; a directory with more files than this is
/// not a book.
const MAX_NAMES: usize = 100_000;

/// The directory of pictures. Its methods block, as the disk does.
#[derive(Clone, Debug)]
pub struct Tree(Arc<Dir>);

impl Tree {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// The error of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(path, ambient_authority()).map(|dir| Self(Arc::new(dir)))
    }

    /// Reports whether the directory can be read at the moment.
    #[must_use]
    pub fn reachable(&self) -> bool {
        self.0.entries().is_ok()
    }

    /// Opens the file at `path`. If there is none, opens the one that [`best`] chooses in the same directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is neither, [`ErrorKind::PermissionDenied`] if the path leads out of the root, and
    /// the other errors of the system.
    pub fn find(&self, path: &PicturePath) -> io::Result<Content> {
        let (directory, name) = path.split();
        match self.open_file(path.as_str(), name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let names = self.names(directory)?;
                let best = best(name, names.iter().map(String::as_str)).ok_or(ErrorKind::NotFound)?;
                let path = if directory.is_empty() { best.to_owned() } else { format!("{directory}/{best}") };
                self.open_file(&path, best)
            }
            opened => opened,
        }
    }

    fn open_file(&self, path: &str, name: &str) -> io::Result<Content> {
        let format = Format::of(name).ok_or(ErrorKind::NotFound)?;
        // Before it is opened: opening a pipe would wait for a writer.
        if !self.0.metadata(path)?.is_file() {
            return Err(ErrorKind::NotFound.into());
        }
        let file = self.0.open(path)?.into_std();
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok();
        let nanoseconds =
            modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
        // Files are replaced whole, by another inode, so these three differ when the bytes do.
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        let tag = tag(&format!("{inode:x}-{nanoseconds:x}-{:x}", metadata.len()))?;
        Ok(Content { file, length: metadata.len(), format, tag, modified })
    }

    /// Returns the names of all files in a directory that have a known format, in the order of [`by_length`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such directory, or it has too many entries, and the other errors of the system.
    pub fn names(&self, directory: &str) -> io::Result<Vec<String>> {
        let entries = if directory.is_empty() { self.0.entries()? } else { self.0.read_dir(directory)? };
        let mut names = Vec::new();
        for (index, entry) in entries.enumerate() {
            if index >= MAX_NAMES {
                return Err(ErrorKind::NotFound.into());
            }
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || Format::of(&name).is_none() || entry.file_type()?.is_dir() {
                continue;
            }
            names.push(name);
        }
        names.sort_by(|a, b| by_length(a, b));
        Ok(names)
    }

    /// Begins to write the file at `path`: readers see it when [`Draft::publish`] is called, whole, and never before.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] if the path leads out of the root, and the other errors of the system.
    pub fn draft(&self, path: &PicturePath) -> io::Result<Draft> {
        let (directory, name) = path.split();
        let directory = if directory.is_empty() {
            self.0.try_clone()?
        } else {
            match self.0.create_dir_all(directory) {
                // Something else has the name: a file, or a link out of the root. Opening it says which.
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => self.0.open_dir(directory)?,
            }
        };
        // A directory in the place of the file cannot be replaced.
        if directory.metadata(name).is_ok_and(|found| found.is_dir()) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(Draft { directory, name: name.to_owned() })
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Draft {
    directory: Dir,
    name: String,
}

impl Draft {
    /// Opens the draft for writing. It has no name until it is published, and vanishes without.
    ///
    /// # Errors
    /// The error of the system.
    pub fn open(&self) -> io::Result<OpenDraft<'_>> {
        Ok(OpenDraft { file: TempFile::new(&self.directory)?, directory: &self.directory, name: &self.name })
    }
}

/// A draft, open for writing.
#[derive(Debug)]
pub struct OpenDraft<'d> {
    file: TempFile<'d>,
    directory: &'d Dir,
    name: &'d str,
}

impl OpenDraft<'_> {
    /// Writes more bytes.
    ///
    /// # Errors
    /// The error of the system.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self.file.as_file_mut(), bytes)
    }

    /// Puts the file in its place, over an older one.
    ///
    /// # Errors
    /// The error of the system.
    pub fn publish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.replace(self.name)?;
        // The name is in the directory, which has a place of its own on the disk.
        self.directory.open(".")?.sync_all()
    }
}

/// Chooses the file that a name without an exact match means: one called `NAME.ext`, else one that begins with the name.
/// The first by [`by_length`] wins, so that `1` never means `10.png` while there is `1.webp`, and the older formats, which
/// every client can show, come before `avif`.
///
/// ```
/// use image_service::tree::best;
/// assert_eq!(best("1", ["10.png", "1.avif", "1.png"]), Some("1.png"));
/// assert_eq!(best("thumb", ["thumbnail.jpg", "1.jpg"]), Some("thumbnail.jpg"));
/// assert_eq!(best("2", ["1.png"]), None);
/// ```
#[must_use]
pub fn best<'n>(name: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> Option<&'n str> {
    let exact = |candidate: &&str| {
        candidate
            .strip_prefix(name)
            .is_some_and(|rest| rest.matches('.').count() == 1 && rest.starts_with('.'))
    };
    let first = |names: &mut dyn Iterator<Item = &'n str>| names.min_by(|a, b| by_length(a, b));
    first(&mut names.clone().into_iter().filter(exact))
        .or_else(|| first(&mut names.into_iter().filter(|candidate| candidate.starts_with(name))))
}

/// The order of listings: shorter names first, then by bytes, so that `2.png` comes before `10.png`.
#[must_use]
pub fn by_length(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Returns `text` as a strong validator.
pub(crate) fn tag(text: &str) -> io::Result<ETag> {
    format!("\"{text}\"").parse().map_err(|_| io::Error::other(format!("{text} is not an entity tag")))
}
