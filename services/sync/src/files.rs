//! Pictures come in parts, because the edge checks the signature of a body before it passes it on, and so holds it. A part is
//! appended to a draft below `.sync` in the directory of pictures, and digested as it arrives. After the last part the draft
//! gets its name in one step if it has the digest that was promised, and is removed if not.
//!
//! A draft outlives the process: the program asks how much has arrived and goes on there.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions};
use clock::{Clock, UnixTime};
use futures_util::StreamExt as _;
use kit::disk::PathFault;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::Error;

mod name;

pub use name::Upload;

/// The directory of drafts. The image service serves no name that begins with a dot.
const DRAFTS: &str = ".sync";

/// The longest file, as the contract has it for pictures: 20 MB.
pub const MAX_FILE_BYTES: u64 = 20 * 1024 * 1024;

/// The longest part, as long as the edge takes signed bodies.
pub const MAX_PART_BYTES: usize = 1024 * 1024;

/// How many parts are written at the same time. Each holds one chunk of a body in memory.
const MAX_AT_ONCE: usize = 16;

/// How many drafts there may be. Together they take at most 20 GB.
const MAX_DRAFTS: usize = 1_000;

/// When a draft is given up: a program that is repaired within a week goes on.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many unfinished digests are remembered, 100 bytes each. Any other one is computed from the draft again.
const MAX_DIGESTS: usize = 1_000;

/// How much of a file has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The bytes so far; the offset of the next part.
    pub bytes: u64,
    /// Whether the file is in its place.
    pub is_complete: bool,
}

/// The directory of pictures.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    root: Dir,
    drafts: Dir,
    clock: Arc<dyn Clock>,
    slots: Semaphore,
    /// The drafts that a request writes at the moment.
    busy: Mutex<HashSet<String>>,
    /// The digest of each draft so far, with the bytes it covers.
    digests: Mutex<HashMap<String, (u64, Sha256)>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("root", &self.0.root).finish_non_exhaustive()
    }
}

/// Frees the draft when the request has ended, also in the middle, and the disk has done what it began for it: a thread that
/// writes cannot be interrupted, and goes on after the request.
struct Claim {
    inner: Arc<Inner>,
    draft: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.inner.busy.lock().remove(&self.draft);
    }
}

impl Files {
    /// Opens the directory at `root`.
    ///
    /// # Errors
    /// The error of the system.
    pub fn open(root: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let root = Dir::open_ambient_dir(root, ambient_authority())?;
        root.create_dir_all(DRAFTS)?;
        let drafts = root.open_dir(DRAFTS)?;
        Ok(Self(Arc::new(Inner {
            root,
            drafts,
            clock,
            slots: Semaphore::new(MAX_AT_ONCE),
            busy: Mutex::default(),
            digests: Mutex::default(),
        })))
    }

    /// Returns whether the directory can be read at the moment.
    #[must_use]
    pub fn reachable(&self) -> bool {
        self.0.root.entries().is_ok()
    }

    /// Returns how much of `upload` has arrived.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path that no file can have, [`Error::Disk`].
    pub async fn received(&self, upload: Upload) -> Result<Received, Error> {
        let inner = Arc::clone(&self.0);
        spawn_blocking(move || {
            let draft = length(&inner.drafts, &upload.draft())?;
            if draft == 0 && is_published(&inner.root, &upload).map_err(of_place)? {
                return Ok(Received { bytes: upload.length, is_complete: true });
            }
            Ok(Received { bytes: draft, is_complete: false })
        })
        .await
        .map_err(io::Error::from)?
    }

    /// Appends `body` to `upload` at `offset`, and publishes the file when it is whole. A file that is in its place already,
    /// with this digest, is complete: the answer to its last part may have been lost.
    ///
    /// # Errors
    /// [`Error::OtherPart`] if the file has fewer bytes so far, [`Error::Digest`] if the whole file is another one,
    /// [`Error::Busy`], [`Error::Full`], [`Error::Disk`], and [`Error::Invalid`] for a part that is too long or a path that no
    /// file can have.
    pub async fn append(&self, upload: &Upload, offset: u64, body: Body) -> Result<Received, Error> {
        let inner = &*self.0;
        let draft = upload.draft();
        let _slot = inner.slots.try_acquire().map_err(|_| Error::Full)?;
        if !inner.busy.lock().insert(draft.clone()) {
            return Err(Error::Busy);
        }
        let claim = Arc::new(Claim { inner: Arc::clone(&self.0), draft });
        let earlier = self.received(upload.clone()).await?;
        if earlier.is_complete {
            return Ok(earlier);
        }
        let (mut file, mut digest) = self.begin(&claim, offset).await?;
        let (mut bytes, mut part) = (offset, 0usize);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Error::Invalid("the body broke off".to_owned()))?;
            part = part.saturating_add(chunk.len());
            bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if part > MAX_PART_BYTES || bytes > upload.length {
                return Err(Error::Invalid(format!(
                    "a part has at most {MAX_PART_BYTES} bytes and ends with the file"
                )));
            }
            digest.update(&chunk);
            let held = Arc::clone(&claim);
            let write = move || {
                let written = file.write_all(&chunk).map(|()| file);
                drop(held);
                written
            };
            file = spawn_blocking(write).await.map_err(io::Error::from)??;
        }
        if bytes < upload.length {
            remember(inner, &claim.draft, bytes, digest);
            return Ok(Received { bytes, is_complete: false });
        }
        inner.digests.lock().remove(&claim.draft);
        let is_right = digest.finalize().as_slice() == upload.sha256;
        let upload = upload.clone();
        let is_right = spawn_blocking(move || {
            finish(&claim.inner, &mut file, &upload, is_right).or_else(|error| {
                // No other part makes this path a possible one.
                if is_of_place(&error) {
                    claim.inner.drafts.remove_file(&claim.draft)?;
                }
                Err(of_place(error))
            })
        })
        .await
        .map_err(io::Error::from)??;
        if is_right { Ok(Received { bytes, is_complete: true }) } else { Err(Error::Digest) }
    }

    /// Opens the draft so that the next byte is at `offset`, with the digest of those before.
    async fn begin(&self, claim: &Arc<Claim>, offset: u64) -> Result<(File, Sha256), Error> {
        let known = self.0.digests.lock().remove(&claim.draft).filter(|(bytes, _)| *bytes == offset);
        let claim = Arc::clone(claim);
        spawn_blocking(move || {
            let Claim { inner, draft } = &*claim;
            let received = length(&inner.drafts, draft)?;
            if offset > received {
                return Err(Error::OtherPart { received });
            }
            if received == 0 {
                make_room(&inner.drafts, inner.clock.now())?;
            }
            let mut options = OpenOptions::new();
            let mut file = inner.drafts.open_with(draft, options.read(true).write(true).create(true))?;
            file.set_len(offset)?;
            let digest = match known {
                Some((_, digest)) => digest,
                None => digested(&mut file)?,
            };
            io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
            Ok((file, digest))
        })
        .await
        .map_err(io::Error::from)?
    }
}

/// The digest of everything in `file`.
fn digested(file: &mut File) -> io::Result<Sha256> {
    let (mut digest, mut block) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let length = file.read(&mut block)?;
        match block.get(..length) {
            Some(part) if !part.is_empty() => digest.update(part),
            _ => return Ok(digest),
        }
    }
}

fn remember(inner: &Inner, draft: &str, bytes: u64, digest: Sha256) {
    let mut digests = inner.digests.lock();
    if digests.len() >= MAX_DIGESTS {
        // Any of them can be computed again.
        digests.clear();
    }
    digests.insert(draft.to_owned(), (bytes, digest));
}

/// Whether something else is in the place of a file: a link that leads out of the directory, a file where a directory is
/// needed, or the reverse. What is missing there is created, so a missing file is another one.
fn is_of_place(error: &io::Error) -> bool {
    error.kind() != ErrorKind::NotFound && PathFault::of(error).is_some()
}

fn of_place(error: io::Error) -> Error {
    if is_of_place(&error) {
        let why = "no file can have this `path`: something else is in its place, or above it";
        return Error::Invalid(why.to_owned());
    }
    error.into()
}

/// Gives the draft its name if it `arrived` with the right digest and the disk has the same bytes, or removes it. Returns which.
/// Another replica on the same directory may have written to the draft, too.
fn finish(inner: &Inner, file: &mut File, upload: &Upload, arrived: bool) -> io::Result<bool> {
    let draft = upload.draft();
    file.sync_all()?;
    io::Seek::seek(file, io::SeekFrom::Start(0))?;
    if !arrived || digested(file)?.finalize().as_slice() != upload.sha256 {
        return inner.drafts.remove_file(draft).map(|()| false);
    }
    let (directory, name) = upload.place();
    let directory = match directory {
        "" => inner.root.try_clone()?,
        directory => {
            inner.root.create_dir_all(directory)?;
            inner.root.open_dir(directory)?
        }
    };
    inner.drafts.rename(draft, &directory, name)?;
    // The name is in the directory, which has a place of its own on the disk.
    directory.open(".")?.sync_all()?;
    Ok(true)
}

fn length(directory: &Dir, name: &str) -> io::Result<u64> {
    match directory.symlink_metadata(name) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Whether the file in the place of `upload` is this one.
fn is_published(root: &Dir, upload: &Upload) -> io::Result<bool> {
    let is_file = |found: cap_std::fs::Metadata| found.is_file() && found.len() == upload.length;
    match root.metadata(&upload.path).map(is_file) {
        Ok(true) => Ok(digested(&mut root.open(&upload.path)?)?.finalize().as_slice() == upload.sha256),
        Ok(false) => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes old drafts if there are too many.
fn make_room(drafts: &Dir, now: UnixTime) -> Result<(), Error> {
    let mut left = 0usize;
    for entry in drafts.entries()? {
        left = left.saturating_add(1);
        let entry = entry?;
        let modified =
            entry.metadata().and_then(|found| found.modified()).map(cap_std::time::SystemTime::into_std);
        let modified = modified.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let millis = u64::try_from(modified.as_millis()).unwrap_or(u64::MAX);
        if now.since(UnixTime::from_millis(millis)) > KEPT && entry.remove_file().is_ok() {
            left = left.saturating_sub(1);
        }
    }
    if left < MAX_DRAFTS { Ok(()) } else { Err(Error::Full) }
}
