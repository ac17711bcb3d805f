//! What a move has done so far, in a directory of its own: `state.json` and the dump. Each step is recorded when it is
//! done, and the freeze of the source before it begins, so that a killed process loses nothing that must be undone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The form of `state.json`. Another program version refuses a state that it does not know.
const VERSION: u32 = 1;

/// The file of the steps.
const RECORD: &str = "state.json";

/// The largest state file. A move of 100,000 tables records about 20 MB.
const MAX_STATE_BYTES: u64 = 64 * 1024 * 1024;

/// The steps of a move that are done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    version: u32,
    /// The source, as `host:port/database`.
    pub source: String,
    /// The target, as `host:port/database`.
    pub target: String,
    /// Set from before the source is frozen until it takes writes again.
    pub frozen: Option<Frozen>,
    /// The dump. Void when the source took writes again.
    pub dump: Option<Dump>,
    /// Whether a restore began. It leaves all or nothing, so a target with tables is a restored one.
    pub restoring: bool,
    /// Whether the dump is in the target.
    pub restored: bool,
    /// The content of both databases when they were equal, so that a rollback sees later changes of the target.
    pub content: Option<String>,
    /// Whether the move ended well and holds the source: services may use the target, and no further run may release
    /// the source.
    #[serde(default)]
    pub held: bool,
    /// The statements that create the target again, recorded before it is dropped.
    #[serde(default)]
    pub recreation: Option<Vec<String>>,
}

/// How the source was before it was frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// The database's own `default_transaction_read_only`; absent when it had none.
    pub previous: Option<String>,
}

/// The dump in the directory of the move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// The directory of a move. One process at a time uses it; the lock ends with the process.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    _lock: File,
    /// The steps, as they were recorded last.
    pub steps: Steps,
}

impl State {
    /// Opens the directory of a move that began. Without a record of its steps there is nothing to go by.
    ///
    /// # Errors
    /// As [`State::open`], and [`Failure::State`] if `directory` has no record.
    pub fn open_existing(directory: &Path, source: &str, target: &str) -> Result<Self, Failure> {
        if !directory.join(RECORD).try_exists().map_err(Failure::at(directory))? {
            return Err(Failure::State(format!(
                "{} has no record of a move; name the directory of the move with --state",
                directory.display()
            )));
        }
        Self::open(directory, source, target)
    }

    /// Opens `directory`, and creates it if it is missing.
    ///
    /// # Errors
    /// [`Failure::State`] if another process uses it or it belongs to another move, [`Failure::File`].
    pub fn open(directory: &Path, source: &str, target: &str) -> Result<Self, Failure> {
        secret_file::make_directory(directory).map_err(Failure::at(directory))?;
        let lock_file = directory.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_file);
        let lock = lock.map_err(Failure::at(&lock_file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::State(format!(
                    "another db-migrate works in {}; wait for its end, or name another directory with --state",
                    directory.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(Failure::at(&lock_file)(error)),
        }
        let steps = match read(&directory.join(RECORD))? {
            Some(steps) => steps,
            None => Steps {
                version: VERSION,
                source: source.to_owned(),
                target: target.to_owned(),
                ..Steps::default()
            },
        };
        if (steps.source.as_str(), steps.target.as_str()) != (source, target) {
            return Err(Failure::State(format!(
                "{} belongs to the move from {} to {}; name another directory with --state",
                directory.display(),
                steps.source,
                steps.target
            )));
        }
        Ok(Self { directory: directory.to_owned(), _lock: lock, steps })
    }

    /// Returns the path of the dump.
    #[must_use]
    pub fn dump_file(&self) -> PathBuf {
        self.directory.join("source.dump")
    }

    /// Records the steps. The file is replaced whole, and is on the disk when this returns.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn record(&self) -> Result<(), Failure> {
        let path = self.directory.join(RECORD);
        let text =
            serde_json::to_vec_pretty(&self.steps).map_err(|error| Failure::at(&path)(error.into()))?;
        let mut file =
            tempfile::NamedTempFile::new_in(&self.directory).map_err(Failure::at(&self.directory))?;
        file.write_all(&text).and_then(|()| file.as_file().sync_all()).map_err(Failure::at(&path))?;
        file.persist(&path).map_err(|error| Failure::at(&path)(error.error))?;
        let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
        directory.map_err(Failure::at(&self.directory))
    }

    /// Records that the source takes writes again. A dump of it may be outdated from now on.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub fn released(&mut self) -> Result<(), Failure> {
        self.steps.frozen = None;
        self.steps.dump = None;
        self.steps.held = false;
        self.record()
    }
}

fn read(path: &Path) -> Result<Option<Steps>, Failure> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::at(path)(error)),
    };
    if metadata.len() > MAX_STATE_BYTES {
        return Err(Failure::State(format!("{} is larger than {MAX_STATE_BYTES} bytes", path.display())));
    }
    let text = std::fs::read(path).map_err(Failure::at(path))?;
    let invalid = |what: &dyn std::fmt::Display| {
        Failure::State(format!(
            "{}: {what}; use the program version that began this move, or another directory with --state",
            path.display()
        ))
    };
    let steps: Steps = serde_json::from_slice(&text).map_err(|error| invalid(&error))?;
    if steps.version != VERSION {
        return Err(invalid(&format!("unknown version {}", steps.version)));
    }
    Ok(Some(steps))
}
