//! Stores the rendered configuration on disk.
//!
//! Every configuration has a directory of its own under `revisions/`, complete and never changed afterwards. The link
//! `current` points to the one in use. Moving the link is one rename, so Envoy reads either the old configuration or the
//! new one, and the old one stays available for a rollback.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{InvalidModule, Paths, TemplateError};
use crate::whole_file;
use edge_config::Edge;

/// The result of [`store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The directory of the configuration.
    pub directory: PathBuf,
    /// The bootstrap with which Envoy starts.
    pub bootstrap: PathBuf,
    /// Whether `current` pointed elsewhere before.
    pub changed: bool,
    /// The target of `current` before.
    pub previous: Option<PathBuf>,
}

/// Why a configuration could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The compiled guard does not exist.
    #[error("cannot read the guard {path}: {source}; `make wasm` compiles it, or `make native`")]
    NoGuard {
        /// Its expected path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The compiled guard is not a valid module.
    #[error("the guard {path} is unusable: {source}; `make wasm` compiles it again, or `make native`")]
    BadGuard {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidModule,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Envoy, or another check before the change, refused it.
    #[error("{0}")]
    Refused(String),
    /// A built-in template is broken.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// The number of older configurations to keep for a rollback.
const KEEP: usize = 10;

/// Renders `edge` and makes it current. The guard is copied beside the configuration, under a name that changes with its
/// content, so that a rebuild never changes the guard that a running Envoy has loaded.
///
/// `accept` checks the configuration, in one piece, before it becomes current.
///
/// # Errors
/// [`StoreError`], naming the file and the fix.
pub fn store(
    edge: &Edge,
    paths: &Paths,
    accept: &dyn Fn(&Path) -> Result<(), String>,
) -> Result<Rendered, StoreError> {
    let guard =
        fs::read(&paths.guard).map_err(|source| StoreError::NoGuard { path: paths.guard.clone(), source })?;
    let form = super::check_module(&guard)
        .map_err(|source| StoreError::BadGuard { path: paths.guard.clone(), source })?;
    // Envoy opens its access log before anything else and does not make directories.
    if let Some(logs) = paths.access_log.parent() {
        fs::create_dir_all(logs).map_err(|source| StoreError::Write { path: logs.to_owned(), source })?;
    }
    let guard_copy = paths.directory.join("guard").join(format!("{}.{}", digest(&[&guard]), form.ending()));
    if !guard_copy.exists() {
        write(&guard_copy, &guard)?;
    }

    let configuration = super::configuration(edge, &Paths { guard: guard_copy, ..paths.clone() })?;
    let mut files = vec![
        ("bootstrap.json", &configuration.bootstrap),
        ("validation.json", &configuration.validation),
        ("listeners.json", &configuration.listeners),
        ("clusters.json", &configuration.clusters),
    ];
    files.extend(configuration.secrets.iter().map(|(file, text)| (file.as_str(), text)));
    files.extend(configuration.filters.iter().map(|(file, text)| (file.as_str(), text)));
    files.extend(configuration.routes.iter().map(|(file, text)| (file.as_str(), text)));
    let texts: Vec<_> = files.iter().map(|(_, text)| text.as_bytes()).collect();
    let content = digest(&texts);
    let name = format!("{}-{content}", edge.revision);
    let directory = paths.directory.join("revisions").join(&name);
    for (file, text) in files {
        let path = directory.join(file);
        if fs::read(&path).is_ok_and(|existing| existing == text.as_bytes()) {
            continue;
        }
        write(&path, text.as_bytes())?;
    }
    accept(&directory.join("validation.json")).map_err(StoreError::Refused)?;
    let previous = fs::read_link(paths.directory.join("current")).ok();
    let changed = point_to(&paths.directory, &Path::new("revisions").join(&name))?;
    forget_old(&paths.directory.join("revisions"), &name);
    Ok(Rendered { bootstrap: directory.join("bootstrap.json"), directory, changed, previous })
}

/// Makes the previous configuration current again ([`Rendered::previous`]). Without one, nothing changes.
///
/// # Errors
/// [`StoreError`] when the link cannot be moved.
pub fn go_back(paths: &Paths, previous: Option<&Path>) -> Result<(), StoreError> {
    previous.map_or(Ok(()), |target| point_to(&paths.directory, target).map(|_| ()))
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file so that it exists completely or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    // The process's mask decides who may read it.
    whole_file::replace(path, bytes, 0o666).map_err(failed)
}

/// Moves the link `current`. Returns whether it pointed elsewhere before.
fn point_to(directory: &Path, target: &Path) -> Result<bool, StoreError> {
    let link = directory.join("current");
    if fs::read_link(&link).is_ok_and(|present| present == target) {
        return Ok(false);
    }
    let failed = |source| StoreError::Write { path: link.clone(), source };
    let unfinished = directory.join(format!("current.{}.unfinished", std::process::id()));
    let _ = fs::remove_file(&unfinished);
    std::os::unix::fs::symlink(target, &unfinished).map_err(failed)?;
    fs::rename(&unfinished, &link).map_err(failed)?;
    Ok(true)
}

/// Removes all but the newest configurations. One that cannot be removed stays and does no harm.
fn forget_old(revisions: &Path, current: &str) {
    let Ok(entries) = fs::read_dir(revisions) else { return };
    let mut others: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name() != current)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    others.sort();
    let surplus = others.len().saturating_sub(KEEP);
    for (_, path) in others.into_iter().take(surplus) {
        let _ = fs::remove_dir_all(path);
    }
}
