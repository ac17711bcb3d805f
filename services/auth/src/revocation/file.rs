//! Follows the revocation file as it grows.
//!
//! A refresh checks whether another program ended its session, and the cost must not depend on the length of
//! the file. So the parsed lines stay in memory, and each lookup reads only the bytes appended since.
//!
//! | what happened to the file | then |
//! |---|---|
//! | lines were appended, by this service or another program | only these are read |
//! | it was replaced (another inode), truncated, or rewritten in place | it is read from its beginning |
//! | it was removed | no session is listed; the database still holds the sessions that this service ended |
//! | it ends with half a line (a crash, or a writer in the middle) | the line counts once it is complete |

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use validity::revocation::{Ends, Revocation};

/// How many bytes before the current offset are remembered. When they have changed, the file is not the one
/// that was read, even if its inode and its length are the same. A line has two UUIDs' worth of randomness in
/// less.
const TAIL_BYTES: usize = 64;

/// A longer line was not written by Cutover: its longest line has about 120 bytes.
const MAX_LINE_BYTES: usize = 1_024;

/// How much is read at once.
const CHUNK_BYTES: usize = 65_536;

/// The revocations in the file, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Index {
    ends: Ends,
    /// The lines that were read since they were last fetched, for a reader that keeps none.
    news: Option<Vec<Revocation>>,
    /// Device and inode of the file that was read.
    file: Option<(u64, u64)>,
    /// The offset up to which the file was read.
    offset: u64,
    /// The last bytes before `offset`.
    tail: Vec<u8>,
    /// The beginning of a line whose end is not written yet.
    partial: Vec<u8>,
    /// How many bytes were read since the start, for any purpose.
    work: u64,
}

impl Index {
    /// Reads what was added to `path` and returns all its revocations.
    ///
    /// # Errors
    /// The I/O error of the system. The next call continues at the same place.
    pub(super) fn up_to_date(&mut self, path: &Path) -> io::Result<&Ends> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget();
                return Ok(&self.ends);
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let this = (metadata.dev(), metadata.ino());
        if self.file != Some(this) || metadata.len() < self.offset || !self.continues(&mut file)? {
            self.forget();
            self.file = Some(this);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = file.read(&mut chunk)?;
            let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
                return Ok(&self.ends);
            };
            self.take(read);
        }
    }

    /// An index that hands its lines on and keeps none.
    pub(super) fn following() -> Self {
        Self { news: Some(Vec::new()), ..Self::default() }
    }

    /// Reads what was added to `path` and returns it. A file that was replaced is returned as a whole.
    ///
    /// # Errors
    /// The I/O error of the system. The next call continues at the same place.
    pub(super) fn news(&mut self, path: &Path) -> io::Result<Vec<Revocation>> {
        self.up_to_date(path)?;
        Ok(self.news.as_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Returns how many bytes were read since the start.
    pub(super) const fn work(&self) -> u64 {
        self.work
    }

    fn forget(&mut self) {
        *self = Self { work: self.work, news: self.news.take(), ..Self::default() };
    }

    /// Returns whether the last bytes that were read are still before the current offset.
    fn continues(&mut self, file: &mut File) -> io::Result<bool> {
        let length = self.tail.len();
        let Some(start) = self.offset.checked_sub(u64::try_from(length).unwrap_or(u64::MAX)) else {
            return Ok(false);
        };
        let mut now = vec![0; length];
        file.seek(SeekFrom::Start(start))?;
        match file.read_exact(&mut now) {
            Ok(()) => {}
            // The file was truncated after its length was read.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        self.work = self.work.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(now == self.tail)
    }

    fn take(&mut self, mut bytes: &[u8]) {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(count);
        self.work = self.work.saturating_add(count);
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            bytes = rest.get(1..).unwrap_or_default();
            let mut whole = std::mem::take(&mut self.partial);
            let room = (MAX_LINE_BYTES + 1).saturating_sub(whole.len());
            whole.extend_from_slice(line.get(..line.len().min(room)).unwrap_or_default());
            let line = read_line(&whole);
            match &mut self.news {
                Some(news) => news.extend(line),
                None => self.ends.extend(line),
            }
        }
        // Beyond the limit it matters only that the line is too long.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
    }
}

/// Parses the revocation in `line`. A malformed line is skipped: a crash leaves half a line, and the database
/// has the whole one.
pub(super) fn read_line(line: &[u8]) -> Option<Revocation> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return None;
    }
    if line.len() > MAX_LINE_BYTES {
        tracing::warn!(bytes = line.len(), "revocation line too long; skipped");
        return None;
    }
    serde_json::from_slice(line)
        .inspect_err(|error| tracing::warn!(%error, "malformed revocation line; skipped"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::path::PathBuf;

    use uuid::Uuid;
    use validity::revocation::{Issued, SessionEnd};

    struct Fixture {
        home: tempfile::TempDir,
        index: Index,
    }

    fn line(number: u128) -> String {
        let end = SessionEnd { sid: Uuid::from_u128(number).into(), from: 1, until: 9 };
        format!("{}\n", serde_json::to_string(&Revocation::Session(end)).unwrap())
    }

    impl Fixture {
        fn new() -> Self {
            Self { home: tempfile::tempdir().unwrap(), index: Index::default() }
        }

        fn path(&self) -> PathBuf {
            self.home.path().join("revoked.jsonl")
        }

        fn append(&self, text: &str) {
            let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn listed(&mut self, number: u128) -> bool {
            let nil = Uuid::nil();
            let issued = Issued {
                session: Uuid::from_u128(number).into(),
                subject: nil.into(),
                tenant: nil.into(),
                at: 0,
            };
            let path = self.path();
            self.index.up_to_date(&path).unwrap().end(&issued, 5)
        }

        /// Returns how many bytes a lookup reads.
        fn cost(&mut self) -> u64 {
            let before = self.index.work();
            assert!(!self.listed(u128::MAX));
            self.index.work() - before
        }
    }

    #[test]
    fn a_question_costs_the_same_with_ten_lines_and_with_three_hundred_thousand() {
        let mut f = Fixture::new();
        f.append(&(1..=10).map(line).collect::<String>());
        assert!(f.listed(10));
        let few = f.cost();
        f.append(&(11..=300_000).map(line).collect::<String>());
        assert!(f.listed(300_000) && f.listed(1));
        assert_eq!(f.cost(), few, "bytes read for a lookup");
        // A new line costs its own length and no more.
        let new = line(300_001);
        f.append(&new);
        assert_eq!(f.cost(), few + u64::try_from(new.len()).unwrap());
        assert!(f.listed(300_001));
    }

    #[test]
    fn it_follows_appends_torn_lines_replacement_truncation_and_removal() {
        let mut f = Fixture::new();
        assert!(!f.listed(1), "there is no file");
        f.append(&line(1));
        assert!(f.listed(1));
        let second = line(2);
        let (head, tail) = second.split_at(20);
        f.append(head);
        assert!(!f.listed(2), "half a line");
        f.append(tail);
        assert!(f.listed(2));

        // Replaced by a longer one.
        let next = f.home.path().join("next");
        std::fs::write(&next, (3..=20).map(line).collect::<String>()).unwrap();
        std::fs::rename(&next, f.path()).unwrap();
        assert!(f.listed(3) && f.listed(20) && !f.listed(1));

        // Rewritten in place, to the same length and then to a greater one.
        std::fs::write(f.path(), (103..=120).map(line).collect::<String>()).unwrap();
        assert!(f.listed(103) && !f.listed(3));
        std::fs::write(f.path(), (203..=230).map(line).collect::<String>()).unwrap();
        assert!(f.listed(203) && f.listed(230) && !f.listed(103));

        std::fs::write(f.path(), "").unwrap();
        assert!(!f.listed(203));
        f.append(&line(4));
        assert!(f.listed(4));
        std::fs::remove_file(f.path()).unwrap();
        assert!(!f.listed(4));
        f.append(&line(5));
        assert!(f.listed(5));
    }

    #[test]
    fn an_invalid_line_is_skipped_and_takes_no_room() {
        let mut f = Fixture::new();
        f.append(&format!("\n  \nnonsense\n{{}}\n{}\n\n{}", "x".repeat(300_000), line(1)));
        assert!(f.listed(1));
        f.append(&"y".repeat(300_000));
        assert!(f.listed(1));
        assert!(f.index.partial.len() <= MAX_LINE_BYTES + 1);
        f.append(&format!("\n{}", line(2)));
        assert!(f.listed(2));
    }
}
