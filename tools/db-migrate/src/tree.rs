//! A tree of files: copied by rsync, and compared file by file afterwards.
//!
//! rsync goes on where an earlier run ended: it skips files of equal size and time, and keeps the beginning of a file that
//! was under way. It therefore does not see a changed byte in a file of equal size and time. The comparison does: it reads
//! every file on both sides.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::client;
use crate::failure::Failure;
use crate::progress::{Progress, REPORT_EVERY};

mod comparison;

/// How many lines of a plan are kept.
const MAX_PLANNED: usize = 10_000;

/// The directory inside each directory of the target that keeps files under way. rsync removes it when it is empty.
const UNDER_WAY: &str = ".db-migrate-partial";

/// The two trees. Neither is in the other one.
#[derive(Clone, Debug)]
pub struct Trees {
    /// The directory that is copied, without symbolic links in its path.
    source: PathBuf,
    /// The directory that receives its content, likewise.
    target: PathBuf,
}

/// How to copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether files are copied by content instead of size and time.
    pub checksum: bool,
    /// Whether the target loses what the source does not have.
    pub delete_extra: bool,
    /// Whether only the list of changes is made.
    pub plan: bool,
}

/// One difference between the trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeDifference {
    /// The path below both trees. Bytes that are not UTF-8 are shown as `\xNN`.
    pub path: String,
    /// `presence`, `kind`, `size`, `content`, `permissions`, `modified`, `owner` or `link`.
    pub aspect: &'static str,
    /// How it is in the source.
    pub source: String,
    /// How it is in the target.
    pub target: String,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TreeParity {
    /// How many files the source has.
    pub files: u64,
    /// How many directories it has below itself.
    pub directories: u64,
    /// How many symbolic links it has.
    pub links: u64,
    /// The bytes of its files.
    pub bytes: u64,
    /// The number of differences.
    pub found: u64,
    /// The first thousand of them.
    pub differences: Vec<TreeDifference>,
}

impl TreeParity {
    /// Returns whether the trees are equal.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.found == 0
    }
}

impl Trees {
    /// Takes two directories. The target need not exist. One directory as both, or one inside the other, is refused
    /// however it is written: it would be compared with itself, or copied into itself.
    ///
    /// # Errors
    /// [`Failure::Invalid`] names both. [`Failure::File`] if one cannot be read.
    pub fn between(source: &Path, target: &Path) -> Result<Self, Failure> {
        let trees = Self { source: resolved(source)?, target: resolved(target)? };
        // The number of a directory is the same by every path, also by a mount of it elsewhere.
        let (own, other) = (numbers(&trees.source)?, numbers(&trees.target)?);
        let has = |all: &[Option<(u64, u64)>], directory: Option<&Option<(u64, u64)>>| {
            directory.is_some_and(|one| one.is_some() && all.contains(one))
        };
        let relation = match (has(&own, other.first()), has(&other, own.first())) {
            (true, true) => "are the same directory",
            (true, false) => "overlap: the target contains the source",
            (false, true) => "overlap: the source contains the target",
            (false, false) => return Ok(trees),
        };
        Err(Failure::Invalid(format!(
            "the source {} and the target {} {relation}; name two directories, neither in the other",
            source.display(),
            target.display()
        )))
    }

    /// Copies the source's content with rsync. With [`Options::plan`] nothing changes, and the result lists what would.
    ///
    /// # Errors
    /// [`Failure::Program`] if rsync is missing or fails. The same command goes on later.
    pub async fn copy(&self, options: Options, progress: Progress) -> Result<Vec<String>, Failure> {
        if options.delete_extra && is_empty(&self.source)? {
            return Err(Failure::Invalid(format!(
                "the source {} is empty, and --delete-extra would empty the target; is it mounted?",
                self.source.display()
            )));
        }
        for directory in [&self.source, &self.target] {
            if !options.plan && directory == &self.target {
                std::fs::create_dir_all(directory).map_err(Failure::at(directory))?;
            }
            let found = std::fs::canonicalize(directory).map_err(Failure::at(directory))?;
            if !found.is_dir() {
                return Err(Failure::Invalid(format!("{} is not a directory", directory.display())));
            }
        }
        let mut rsync = Command::new("rsync");
        rsync.args(["--archive", "--hard-links", "--numeric-ids", "--no-specials", "--no-devices"]);
        // rsync would otherwise compare times in whole seconds.
        rsync.arg("--modify-window=-1");
        rsync.arg(format!("--partial-dir={UNDER_WAY}")).args(["--itemize-changes", "--no-human-readable"]);
        for (wanted, flag) in [
            (options.checksum, "--checksum"),
            (options.delete_extra, "--delete-after"),
            (options.plan, "--dry-run"),
        ] {
            if wanted {
                rsync.arg(flag);
            }
        }
        // A slash at its end means the content of the directory. `--` because a path may begin with a dash. The paths
        // begin with a slash, because rsync takes `a:b` for a directory of another machine.
        let mut from = self.source.clone().into_os_string();
        from.push("/");
        rsync.arg("--").arg(from).arg(&self.target).env("LC_ALL", "C");
        let changes = run(rsync, options.plan, progress).await?;
        if !options.plan {
            let target = self.target.clone();
            let removed = tokio::task::spawn_blocking(move || remove_what_was_under_way(&target)).await;
            removed.map_err(|error| Failure::Program(format!("the copy ended early: {error}")))??;
        }
        Ok(changes)
    }

    /// Compares both trees: presence, kind, size, content, permissions, times, targets of links, and owners if this process
    /// can set them (as root).
    ///
    /// # Errors
    /// [`Failure::File`] if something cannot be read.
    pub async fn compare(&self, progress: Progress) -> Result<TreeParity, Failure> {
        let trees = self.clone();
        let compared = tokio::task::spawn_blocking(move || comparison::compare(&trees, progress)).await;
        compared.map_err(|error| Failure::Program(format!("the comparison ended early: {error}")))?
    }
}

/// The path without symbolic links, `.` and `..`, also of a directory that does not exist yet.
fn resolved(path: &Path) -> Result<PathBuf, Failure> {
    let error = match std::fs::canonicalize(path) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if error.kind() == std::io::ErrorKind::NotFound => {
            // A relative name alone has an empty parent.
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(resolved(parent)?.join(name))
        }
        (_, _) => Err(Failure::at(path)(error)),
    }
}

/// Device and number of the directory and of each one above it, itself first. `None` stands for what does not exist.
fn numbers(path: &Path) -> Result<Vec<Option<(u64, u64)>>, Failure> {
    let number = |directory: &Path| match std::fs::metadata(directory) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::at(directory)(error)),
    };
    path.ancestors().map(number).collect()
}

/// Removes the files that an earlier run left under way and whose originals are gone: rsync never deletes them. After a copy
/// nothing is under way. The directory around keeps its time, which is compared.
fn remove_what_was_under_way(target: &Path) -> Result<(), Failure> {
    let mut directories = vec![target.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).map_err(Failure::at(&directory))? {
            let entry = entry.map_err(Failure::at(&directory))?;
            let path = entry.path();
            if !entry.file_type().map_err(Failure::at(&path))?.is_dir() {
                continue;
            }
            if entry.file_name() == UNDER_WAY {
                let around = std::fs::File::open(&directory).map_err(Failure::at(&directory))?;
                let modified = around.metadata().and_then(|metadata| metadata.modified());
                let modified = modified.map_err(Failure::at(&directory))?;
                std::fs::remove_dir_all(&path).map_err(Failure::at(&path))?;
                around.set_modified(modified).map_err(Failure::at(&directory))?;
            } else {
                directories.push(path);
            }
        }
    }
    Ok(())
}

fn is_empty(directory: &Path) -> Result<bool, Failure> {
    Ok(std::fs::read_dir(directory).map_err(Failure::at(directory))?.next().is_none())
}

/// Runs rsync and returns its lines if they are `kept`.
async fn run(mut rsync: Command, kept: bool, progress: Progress) -> Result<Vec<String>, Failure> {
    let failed = |what: &dyn std::fmt::Display| {
        Failure::Program(format!("rsync: {what}; the same command goes on later"))
    };
    rsync.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = rsync.spawn().map_err(|error| {
        Failure::Program(format!("rsync: {error}; install it (`make setup` or apt-get install rsync)"))
    })?;
    let (mut lines, mut count, mut last) = (Vec::new(), 0u64, tokio::time::Instant::now());
    let complaints = child.stderr.take().map(|stderr| tokio::spawn(client::end_of(stderr)));
    if let Some(stdout) = child.stdout.take() {
        let mut output = BufReader::new(stdout).split(b'\n');
        while let Some(line) = output.next_segment().await.map_err(|error| failed(&error))? {
            count = count.saturating_add(1);
            if kept && lines.len() < MAX_PLANNED {
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
            if last.elapsed() >= REPORT_EVERY {
                progress.event("copy", &format!("{count} changes"));
                last = tokio::time::Instant::now();
            }
        }
    }
    let status = child.wait().await.map_err(|error| failed(&error))?;
    if !status.success() {
        let complaint = match complaints {
            Some(complaints) => complaints.await.unwrap_or_default(),
            None => String::new(),
        };
        return Err(failed(&format!("{status}: {complaint}")));
    }
    progress.event("copy", &format!("{count} changes"));
    Ok(lines)
}
