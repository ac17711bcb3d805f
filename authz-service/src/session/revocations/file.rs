//! Follows the revocation file line by line.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clock::{Clock, UnixTime};
use prometheus::IntCounter;
use tokio::time::Instant;
use validity::revocation::Revocation;

use super::Revocations;
use crate::source::trouble::Trouble;
use crate::source::{Hanging, Source};

/// A longer line was not written by the auth service.
const MAX_LINE_BYTES: usize = 1_024;

/// How many bytes are read at once.
const CHUNK_BYTES: usize = 65_536;

/// Polls between two sweeps of expired entries: about 20 s.
pub(super) const POLLS_PER_SWEEP: u32 = 200;

/// Follows the file.
#[derive(Debug)]
pub struct RevocationFile {
    path: PathBuf,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
    bad_lines: IntCounter,
    /// Device and inode of the current file.
    at: Option<(u64, u64)>,
    offset: u64,
    /// The beginning of a line without its end yet.
    partial: Vec<u8>,
    polls: u32,
    /// How far the file had been read before it is read again for entries without room: up to there leases
    /// know every end.
    known_to: u64,
    /// How many bytes were read since the start, for any reason.
    work: u64,
}

impl RevocationFile {
    /// Follows `path` into `revocations`, counting malformed lines.
    #[must_use]
    pub fn new(
        path: &Path,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
        bad_lines: IntCounter,
    ) -> Self {
        let path = path.to_owned();
        Self {
            path,
            revocations,
            clock,
            bad_lines,
            at: None,
            offset: 0,
            partial: Vec::new(),
            polls: 0,
            known_to: 0,
            work: 0,
        }
    }

    /// How many bytes were read since the start, for any reason.
    #[cfg(test)]
    pub(super) const fn work(&self) -> u64 {
        self.work
    }

    fn restart(&mut self) {
        self.offset = 0;
        self.partial.clear();
    }

    fn follow(&mut self, now: UnixTime) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.at = None;
                self.restart();
                self.known_to = 0;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let this = (metadata.dev(), metadata.ino());
        if self.at != Some(this) || metadata.len() < self.offset {
            self.restart();
            self.known_to = 0;
            self.at = Some(this);
        }
        if metadata.len() == self.offset {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = file.read(&mut chunk)?;
            let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else { return Ok(()) };
            self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            self.work = self.work.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            self.take(read, now);
        }
    }

    fn take(&mut self, mut bytes: &[u8], now: UnixTime) {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            bytes = rest.get(1..).unwrap_or_default();
            if self.partial.is_empty() {
                lines.extend(self.parse(line));
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                lines.extend(self.parse(&whole));
            }
        }
        // Beyond the limit it only matters that the line is too long.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
        if self.offset <= self.known_to {
            self.revocations.add_again(lines, now);
        } else {
            self.revocations.add(lines, now);
        }
    }

    fn parse(&self, line: &[u8]) -> Option<Revocation> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let parsed = (line.len() <= MAX_LINE_BYTES).then(|| serde_json::from_slice::<Revocation>(line));
        if let Some(Ok(line)) = parsed {
            return Some(line);
        }
        self.bad_lines.inc();
        tracing::error!(file = %self.path.display(), bytes = line.len(), "malformed revocation line skipped");
        None
    }
}

impl Source for RevocationFile {
    fn name(&self) -> &'static str {
        "revocations"
    }

    fn poll(&mut self) {
        let (now, began) = (self.clock.now(), Instant::now());
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_PER_SWEEP) {
            self.revocations.sweep(now);
        }
        // Entries without room get some as soon as it is free.
        if self.revocations.has_room_again(now) {
            self.revocations.begin_again(now);
            self.known_to = self.known_to.max(self.offset);
            self.restart();
        }
        match self.follow(now) {
            Ok(()) => {
                self.revocations.end_again();
                if self.revocations.trouble.load().is_some() {
                    self.revocations.trouble.store(Arc::new(None));
                }
                self.revocations.loaded.store(true, Ordering::Release);
                self.revocations.seen.note(began);
            }
            Err(error) => note(&self.revocations, &self.path, &error.to_string(), now),
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (path, revocations) = (self.path.clone(), Arc::clone(&self.revocations));
        let clock = Arc::clone(&self.clock);
        Some(Box::new(move |what| note(&revocations, &path, what, clock.now())))
    }
}

fn note(revocations: &Revocations, path: &Path, what: &str, now: UnixTime) {
    if Trouble::note(&revocations.trouble, what.to_owned(), now) {
        tracing::error!(file = %path.display(), what, "cannot read the revocations");
    }
}
