//! Reads the edge file, and reads it again when it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use edge_config::{Edge, Faults};

/// The time between two polls: a change is in force within a second, as in the authorizer.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The edge in force.
#[derive(Clone, Debug)]
pub struct EdgeFile {
    path: PathBuf,
    current: Arc<ArcSwap<Edge>>,
}

impl EdgeFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn open(path: &Path) -> Result<Self, Faults> {
        let edge = read(path)?;
        Ok(Self { path: path.to_owned(), current: Arc::new(ArcSwap::from_pointee(edge)) })
    }

    /// The edge in force.
    #[must_use]
    pub fn current(&self) -> Arc<Edge> {
        self.current.load_full()
    }

    /// Follows the file. A text with faults is logged once and ignored; the old one stays in force.
    pub async fn follow(self) {
        let mut seen = fs::read(&self.path).ok();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Ok(text) = fs::read(&self.path) else { continue };
            if seen.as_ref() == Some(&text) {
                continue;
            }
            seen = Some(text);
            match read(&self.path) {
                Ok(edge) => {
                    tracing::info!(revision = %edge.revision, "a new edge file is in force");
                    self.current.store(Arc::new(edge));
                }
                Err(faults) => {
                    tracing::warn!(%faults, "the new edge file has faults; the old one stays in force")
                }
            }
        }
    }
}

fn read(path: &Path) -> Result<Edge, Faults> {
    edge_config::load(path, &|name: &str| std::env::var(name).ok())
}
