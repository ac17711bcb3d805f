//! The rendered configuration on disk.
//!
//! Every configuration has a directory of its own under `revisions/`, complete and never changed afterwards;
//! the link `current` says which one counts. Moving the link is one rename, so Envoy sees either the old
//! configuration or the new one, and the old one is still there to go back to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{InvalidModule, Paths, TemplateError};
use edge_config::Edge;

/// What [`store`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Where the configuration is.
    pub directory: PathBuf,
    /// The bootstrap that Envoy is started with.
    pub bootstrap: PathBuf,
    /// Whether `current` points to it for the first time.
    pub changed: bool,
    /// Where `current` pointed before.
    pub previous: Option<PathBuf>,
}

/// Why a configuration could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The compiled guard is not there.
    #[error("cannot read the guard {path}: {source}; `make wasm` compiles it, or `make native`")]
    NoGuard {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The compiled guard is no module.
    #[error("the guard {path} is unusable: {source}; `make wasm` compiles it anew, or `make native`")]
    BadGuard {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidModule,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Envoy, or whoever was asked, does not take it.
    #[error("{0}")]
    Refused(String),
    /// A built-in template is broken.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Older configurations to keep, for going back.
const KEEP: usize = 10;

/// Renders `edge` and makes it current. The guard is copied beside the configuration, under a name that
/// changes with its content, so that a rebuild of it never changes what a running Envoy has loaded.
///
/// `accept` is asked about it, in one piece, before the configuration becomes current.
///
/// # Errors
/// [`StoreError`], naming the file and the mend.
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

/// Makes the configuration current that was before ([`Rendered::previous`]); nothing to go back to changes nothing.
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

/// Writes a file so that it is there whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    fs::write(&unfinished, bytes).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

/// Moves the link `current`. Says whether it pointed elsewhere before.
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

/// Removes all but the newest configurations. What cannot be removed stays: it does no harm.
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
