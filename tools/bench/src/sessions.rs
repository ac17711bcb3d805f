//! The sessions that ask.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::tokens::Mint;

/// Access tokens of different people. Requests take them in turn, and go on in the next measurement where the
/// one before ended.
#[derive(Debug)]
pub(crate) struct Sessions {
    tokens: Arc<Vec<String>>,
    file: PathBuf,
    next: AtomicUsize,
}

impl Sessions {
    /// `count` sessions of one edge's; their tokens also stand in `file`, one a line, for wrk.
    pub(crate) fn new(mint: &Mint, count: usize, file: PathBuf) -> Self {
        let tokens: Vec<String> = (0..count).map(|_| mint.good(0)).collect();
        std::fs::write(&file, tokens.join("\n")).expect("the directory is writable");
        Self { tokens: Arc::new(tokens), file, next: AtomicUsize::new(0) }
    }

    /// How many there are.
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

    /// Where the tokens stand.
    pub(crate) fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// The number of the session that is next.
    pub(crate) fn next(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// How many have been used.
    pub(crate) fn advance(&self, used: u64) {
        let used = usize::try_from(used).unwrap_or_default();
        self.next.store((self.next() + used) % self.tokens.len().max(1), Ordering::Relaxed);
    }
}
