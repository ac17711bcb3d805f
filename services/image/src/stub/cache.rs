//! Keeps made-up pictures in a directory of bounded size.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moka::notification::RemovalCause;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{shared, stopped};
use crate::error::Error;

/// How many pictures are encoded at the same time: each takes a core and a few MiB. The others wait, at most as long as a
/// request may take.
const ENCODERS: usize = 2;

/// How often a picture is made again after its file vanished between the look and the open.
const TRIES: usize = 3;

/// A directory of pictures by name. The ones that were not read for longest are removed when it is full. Requests for the same
/// missing picture wait for one encoder.
#[derive(Clone)]
pub(super) struct Cache {
    directory: Arc<Path>,
    /// The length of each file.
    files: moka::future::Cache<String, u32>,
    encoders: Arc<Semaphore>,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Cache {
    pub(super) async fn open(directory: &Path, bytes: u64) -> io::Result<Self> {
        let directory: Arc<Path> = directory.into();
        let found = spawn_blocking({
            let directory = Arc::clone(&directory);
            move || found(&directory)
        });
        let found = found.await.map_err(io::Error::other)??;
        let removed = Arc::clone(&directory);
        let files = moka::future::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, length: &u32| *length)
            .eviction_listener(move |name: Arc<String>, _, cause| {
                if cause != RemovalCause::Replaced {
                    // A file that is gone already is what was wanted; another failure leaves a file that the next start finds.
                    drop(fs::remove_file(removed.join(name.as_str())));
                }
            })
            .build();
        for (name, length) in found {
            files.insert(name, length).await;
        }
        Ok(Self { directory, files, encoders: Arc::new(Semaphore::new(ENCODERS)) })
    }

    /// Opens the file `name`, which `make` makes if it is missing.
    pub(super) async fn get(
        &self,
        name: &str,
        make: impl Fn() -> Result<Vec<u8>, Error> + Clone + Send + 'static,
    ) -> Result<File, Error> {
        for _ in 0..TRIES {
            let written = self.write(name, make.clone());
            self.files.try_get_with_by_ref(name, written).await.map_err(|error| shared(&error))?;
            let path = self.directory.join(name);
            match spawn_blocking(move || File::open(path)).await.map_err(|_| stopped())? {
                // Removed to make room, or by hand.
                Err(error) if error.kind() == ErrorKind::NotFound => self.files.invalidate(name).await,
                opened => return opened.map_err(Error::Disk),
            }
        }
        Err(Error::Disk(io::Error::other(format!(
            "{name} vanishes as soon as it is written; is the cache too small?"
        ))))
    }

    async fn write(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Vec<u8>, Error> + Send + 'static,
    ) -> Result<u32, Error> {
        let slot = Arc::clone(&self.encoders).acquire_owned().await.map_err(|_| stopped())?;
        let (directory, path) = (Arc::clone(&self.directory), self.directory.join(name));
        let written = spawn_blocking(move || {
            let _slot = slot;
            let bytes = make()?;
            let mut file = tempfile::NamedTempFile::new_in(&directory)?;
            file.write_all(&bytes)?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
        });
        written.await.map_err(|_| stopped())?
    }
}

/// Creates the directory if it is missing, and returns the pictures in it. Drafts of a program that was killed are removed.
fn found(directory: &Path) -> io::Result<HashMap<String, u32>> {
    fs::create_dir_all(directory)?;
    let mut found = HashMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path: PathBuf = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with(".tmp") {
            fs::remove_file(&path)?;
        } else if entry.file_type()?.is_file() {
            found.insert(name, u32::try_from(entry.metadata()?.len()).unwrap_or(u32::MAX));
        }
    }
    Ok(found)
}
