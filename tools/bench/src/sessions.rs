//! The sessions of the load.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::tokens::Mint;

/// Access tokens of different people. Requests use them in turn, and the next measurement continues where the one before
/// ended.
#[derive(Debug)]
pub(crate) struct Sessions {
    tokens: Arc<Vec<String>>,
    file: PathBuf,
    next: AtomicUsize,
}

impl Sessions {
    /// `count` sessions of one edge; their tokens are also in `file`, one on each line, for wrk.
    pub(crate) fn new(mint: &Mint, count: usize, file: PathBuf) -> Self {
        Self::of((0..count).map(|_| mint.good(0)).collect(), file)
    }

    /// The sessions of `tokens`.
    pub(crate) fn of(tokens: Vec<String>, file: PathBuf) -> Self {
        std::fs::write(&file, tokens.join("\n")).expect("the directory is writable");
        Self { tokens: Arc::new(tokens), file, next: AtomicUsize::new(0) }
    }

    /// The number of sessions.
    pub(crate) fn count(&self) -> usize {
        self.tokens.len()
    }

    /// All tokens.
    pub(crate) fn tokens(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.tokens)
    }

    /// The first one.
    pub(crate) fn first(&self) -> &str {
        self.tokens.first().map(String::as_str).unwrap_or_default()
    }

    /// The file of the tokens.
    pub(crate) fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// The number of the next session.
    pub(crate) fn next(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Notes how many were used.
    pub(crate) fn advance(&self, used: u64) {
        let used = usize::try_from(used).unwrap_or_default();
        self.next.store((self.next() + used) % self.tokens.len().max(1), Ordering::Relaxed);
    }
}
