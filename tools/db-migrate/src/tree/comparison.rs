//! Compares two trees, directory by directory: memory holds the names of one directory of each depth, and one block of a file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, File, Metadata};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{TreeDifference, TreeParity, Trees};
use crate::digest;
use crate::failure::Failure;
use crate::progress::{Progress, REPORT_EVERY};

/// How many differences are listed. The report has their number, too.
const MAX_LISTED: usize = 1_000;

/// Bytes of a file that are read at once.
const BLOCK: usize = 256 * 1024;

struct Comparison<'a> {
    trees: &'a Trees,
    owners: bool,
    progress: Progress,
    reported: Instant,
    block: Vec<u8>,
    parity: TreeParity,
}

/// Compares the trees.
pub(super) fn compare(trees: &Trees, progress: Progress) -> Result<TreeParity, Failure> {
    let mut comparison = Comparison {
        trees,
        // Only root can give files to other owners, so only then rsync does.
        owners: rustix::process::geteuid().is_root(),
        progress,
        reported: Instant::now(),
        block: vec![0; BLOCK],
        parity: TreeParity::default(),
    };
    // The roots themselves: rsync sets their attributes, too.
    comparison.attributes(Path::new(""), &metadata(&trees.source)?, &metadata(&trees.target)?);
    let mut waiting = vec![PathBuf::new()];
    while let Some(directory) = waiting.pop() {
        comparison.directory(&directory, &mut waiting)?;
    }
    Ok(comparison.parity)
}

impl Comparison<'_> {
    fn directory(&mut self, path: &Path, waiting: &mut Vec<PathBuf>) -> Result<(), Failure> {
        let mut target = entries(&self.trees.target.join(path))?;
        for (name, own) in entries(&self.trees.source.join(path))? {
            let path = path.join(&name);
            self.count(&own);
            let Some(other) = target.remove(&name) else {
                self.add(&path, "presence", kind(&own), "missing");
                continue;
            };
            if kind(&own) != kind(&other) {
                self.add(&path, "kind", kind(&own), kind(&other));
                continue;
            }
            self.attributes(&path, &own, &other);
            if own.is_dir() {
                waiting.push(path);
            } else if own.is_symlink() {
                self.link(&path)?;
            } else if own.is_file() {
                self.content(&path, &own, &other)?;
            } else {
                self.add(&path, "kind", "neither a file, a directory nor a link", "not compared");
            }
        }
        for (name, other) in target {
            self.add(&path.join(name), "presence", "missing", kind(&other));
        }
        Ok(())
    }

    fn count(&mut self, metadata: &Metadata) {
        let parity = &mut self.parity;
        let counter = match metadata.file_type() {
            kind if kind.is_dir() => &mut parity.directories,
            kind if kind.is_symlink() => &mut parity.links,
            _ => &mut parity.files,
        };
        *counter = counter.saturating_add(1);
        if metadata.is_file() {
            parity.bytes = parity.bytes.saturating_add(metadata.len());
        }
    }

    fn attributes(&mut self, path: &Path, own: &Metadata, other: &Metadata) {
        // The permissions of a link have no meaning.
        if !own.is_symlink() {
            let mode = |metadata: &Metadata| format!("{:04o}", metadata.permissions().mode() & 0o7777);
            self.same(path, "permissions", &mode(own), &mode(other));
        }
        let modified = |metadata: &Metadata| format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec());
        self.same(path, "modified", &modified(own), &modified(other));
        if self.owners {
            let owner = |metadata: &Metadata| format!("{}:{}", metadata.uid(), metadata.gid());
            self.same(path, "owner", &owner(own), &owner(other));
        }
    }

    fn link(&mut self, path: &Path) -> Result<(), Failure> {
        let leads = |root: &Path| {
            let link = root.join(path);
            std::fs::read_link(&link).map_err(Failure::at(&link)).map(|to| shown(&to))
        };
        let (own, other) = (leads(&self.trees.source)?, leads(&self.trees.target)?);
        self.same(path, "link", &own, &other);
        Ok(())
    }

    fn content(&mut self, path: &Path, own: &Metadata, other: &Metadata) -> Result<(), Failure> {
        if own.len() != other.len() {
            // The content differs, so nothing is read.
            self.add(path, "size", &own.len().to_string(), &other.len().to_string());
            return Ok(());
        }
        let (source, target) = (self.trees.source.join(path), self.trees.target.join(path));
        let (own, other) = (self.sha256(&source)?, self.sha256(&target)?);
        self.same(path, "content", &own, &other);
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let TreeParity { files, bytes, found, .. } = &self.parity;
            self.progress.event("compare", &format!("{files} files, {bytes} bytes, {found} differences"));
        }
        Ok(())
    }

    fn sha256(&mut self, file: &Path) -> Result<String, Failure> {
        let mut stream = File::open(file).map_err(Failure::at(file))?;
        let mut digest = digest::Running::default();
        loop {
            let length = stream.read(&mut self.block).map_err(Failure::at(file))?;
            match self.block.get(..length) {
                Some(part) if !part.is_empty() => digest.bytes(part),
                _ => return Ok(digest.finish()),
            }
        }
    }

    fn same(&mut self, path: &Path, aspect: &'static str, own: &str, other: &str) {
        if own != other {
            self.add(path, aspect, own, other);
        }
    }

    fn add(&mut self, path: &Path, aspect: &'static str, source: &str, target: &str) {
        self.parity.found = self.parity.found.saturating_add(1);
        if self.parity.differences.len() < MAX_LISTED {
            let path = if path.as_os_str().is_empty() { ".".to_owned() } else { shown(path) };
            let difference =
                TreeDifference { path, aspect, source: source.to_owned(), target: target.to_owned() };
            self.parity.differences.push(difference);
        }
    }
}

fn entries(directory: &Path) -> Result<BTreeMap<OsString, Metadata>, Failure> {
    let read = |entry: std::io::Result<DirEntry>| {
        let entry = entry.map_err(Failure::at(directory))?;
        // Of a link, not of what it leads to.
        let metadata = entry.metadata().map_err(Failure::at(&entry.path()))?;
        Ok((entry.file_name(), metadata))
    };
    std::fs::read_dir(directory).map_err(Failure::at(directory))?.map(read).collect()
}

fn metadata(path: &Path) -> Result<Metadata, Failure> {
    std::fs::metadata(path).map_err(Failure::at(path))
}

fn kind(metadata: &Metadata) -> &'static str {
    match metadata.file_type() {
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        kind if kind.is_file() => "file",
        _ => "special",
    }
}

/// The path as text in which no two paths look the same.
fn shown(path: &Path) -> String {
    let bytes = OsStr::as_bytes(path.as_os_str());
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
