//! Writes events to a file, one JSON object on each line.
//!
//! The file is rotated at [`Limits::bytes`]: `audit.jsonl` becomes `audit.jsonl.1`, that one `.2`, and the
//! last is deleted. So the audit never takes more than `bytes × files` of the disk; an operator who must keep
//! more ships the files away or sets AMQP_URL.
//!
//! Any client can cause any number of refusals. Refusals of unverified callers take at most a quarter of each
//! file; further ones go to files of their own (`audit-anonymous.jsonl`, [`ANONYMOUS_FILES`] of them), where
//! newer ones replace older ones. So a flood of them rotates out no event about a verified caller.
//!
//! An event that cannot be written (a full disk, a directory without permission) is dropped and counted, and
//! the next event tries again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;

use crate::observe::audit::event::Event;
use crate::observe::audit::sink::{self, Counts, MAX_WAITING, Strangers, Waiting};

/// The disk space of the audit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The size at which a file is rotated.
    pub bytes: u64,
    /// The number of files, the open one included.
    pub files: usize,
}

impl Default for Limits {
    /// Eight files of 64 MiB: half a gigabyte is a million and a half refusals.
    fn default() -> Self {
        Self { bytes: 67_108_864, files: 8 }
    }
}

/// The share of unverified callers' refusals in a file: one part in this many.
const ANONYMOUS_PART: u64 = 4;

/// The number of files for the refusals without room there.
pub const ANONYMOUS_FILES: usize = 2;

/// An event to write, or the end of the thread.
#[derive(Debug)]
pub(super) enum Item {
    Event(Arc<Event>),
    End,
}

impl Waiting for SyncSender<Item> {
    fn offer(&self, event: Arc<Event>) -> Result<(), Arc<Event>> {
        match self.try_send(Item::Event(event)) {
            Err(TrySendError::Full(Item::Event(event)) | TrySendError::Disconnected(Item::Event(event))) => {
                Err(event)
            }
            // The end is never offered here.
            Ok(()) | Err(TrySendError::Full(Item::End) | TrySendError::Disconnected(Item::End)) => Ok(()),
        }
    }
}

pub(super) type Queue = sink::Queue<SyncSender<Item>>;

/// The thread that writes; dropping it writes the queued events.
#[derive(Debug)]
pub(super) struct FileSink {
    items: SyncSender<Item>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for FileSink {
    fn drop(&mut self) {
        let _ = self.items.send(Item::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(super) fn open(path: &Path, limits: Limits, counts: Counts) -> io::Result<(Queue, FileSink)> {
    let (items, waiting) = sync_channel(MAX_WAITING);
    let strangers = Strangers::default();
    let of_strangers = Limits { files: ANONYMOUS_FILES, ..limits };
    let writer = Writer {
        all: Files::new(path.to_owned(), limits, counts.clone()),
        anonymous: Files::new(anonymous(path), of_strangers, counts.clone()),
        strangers: strangers.clone(),
    };
    let thread =
        std::thread::Builder::new().name("audit-file".to_owned()).spawn(move || writer.run(&waiting))?;
    let queue = Queue::new(items.clone(), counts, strangers);
    Ok((queue, FileSink { items, thread: Some(thread) }))
}

/// `audit-anonymous.jsonl` beside `audit.jsonl`.
fn anonymous(path: &Path) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push("-anonymous");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

struct Writer {
    all: Files,
    /// For refusals of unverified callers without room in `all`.
    anonymous: Files,
    strangers: Strangers,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Item>) {
        while let Ok(Item::Event(event)) = waiting.recv() {
            self.write(&event);
            // All queued events are written at once.
            loop {
                match waiting.try_recv() {
                    Ok(Item::Event(event)) => self.write(&event),
                    Ok(Item::End) | Err(TryRecvError::Disconnected) => return self.flush(),
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.flush();
        }
        self.flush();
    }

    fn write(&mut self, event: &Event) {
        self.strangers.leave(event);
        if !event.is_anonymous() {
            self.all.write(event, false);
        } else if self.all.has_room_for_strangers() {
            self.all.write(event, true);
        } else {
            self.anonymous.write(event, true);
        }
    }

    fn flush(&mut self) {
        self.all.flush();
        self.anonymous.flush();
    }
}

/// A file that is rotated.
struct Files {
    path: PathBuf,
    limits: Limits,
    counts: Counts,
    open: Option<Open>,
    trouble: bool,
    /// Bytes of unverified callers' refusals in the open file. A restart begins at zero.
    of_strangers: u64,
}

struct Open {
    file: BufWriter<File>,
    bytes: u64,
    /// Events in the buffer, which a failing flush loses.
    unflushed: u64,
}

impl Files {
    const fn new(path: PathBuf, limits: Limits, counts: Counts) -> Self {
        Self { path, limits, counts, open: None, trouble: false, of_strangers: 0 }
    }

    const fn has_room_for_strangers(&self) -> bool {
        self.of_strangers < self.limits.bytes / ANONYMOUS_PART
    }

    fn write(&mut self, event: &Event, anonymous: bool) {
        match self.append(event) {
            Ok(length) => self.of_strangers += if anonymous { length } else { 0 },
            Err(error) => {
                self.counts.dropped.inc();
                self.lost(&error);
            }
        }
    }

    /// Appends `event` and returns its size in bytes.
    fn append(&mut self, event: &Event) -> io::Result<u64> {
        let mut line = event.json()?;
        line.push(b'\n');
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.open.as_ref().is_some_and(|open| open.bytes.saturating_add(length) > self.limits.bytes) {
            self.flush();
            self.open = None;
            self.turn_over()?;
            self.of_strangers = 0;
        }
        if self.open.is_none() {
            self.open = Some(self.reopen()?);
        }
        let Some(open) = &mut self.open else { return Err(io::Error::other("no file")) };
        open.file.write_all(&line)?;
        open.bytes = open.bytes.saturating_add(length);
        open.unflushed += 1;
        Ok(length)
    }

    fn flush(&mut self) {
        let Some(open) = &mut self.open else { return };
        match open.file.flush() {
            Ok(()) => {
                self.counts.written.inc_by(open.unflushed);
                open.unflushed = 0;
                self.trouble = false;
            }
            Err(error) => {
                self.counts.dropped.inc_by(open.unflushed);
                self.lost(&error);
            }
        }
    }

    fn lost(&mut self, error: &io::Error) {
        // The file may end with half a line: the next file begins with a whole one.
        if let Some(open) = self.open.take() {
            let _ = open.file.into_parts();
        }
        if !std::mem::replace(&mut self.trouble, true) {
            tracing::error!(file = %self.path.display(), %error, "cannot write the audit; events are dropped");
        }
    }

    fn reopen(&self) -> io::Result<Open> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = private().create(true).append(true).read(true).open(&self.path)?;
        let bytes = file.metadata()?.len();
        Ok(Open { file: BufWriter::with_capacity(65_536, file), bytes, unflushed: 0 })
    }

    fn turn_over(&self) -> io::Result<()> {
        for number in (1..self.limits.files).rev() {
            let older = self.numbered(number);
            let newer = if number == 1 { self.path.clone() } else { self.numbered(number - 1) };
            match fs::rename(&newer, &older) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

/// Only the auditor may read people's ids.
fn private() -> fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.mode(0o640);
    options
}

#[cfg(test)]
mod tests;
