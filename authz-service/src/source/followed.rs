//! A state that is read from one file, and again whenever the file changes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use clock::{Clock, UnixTime};
use tokio::time::Instant;

use crate::source::file::WatchedFile;
use crate::source::last_good::{Cause, LastGood};
use crate::source::{Hanging, Reloads, Source};

/// A state that has its content from a file.
pub trait FromFile: Send + Sync + 'static {
    /// The parsed content.
    type Content;

    /// Where the last good content is kept.
    fn last_good(&self) -> &LastGood<Self::Content>;

    /// Parses the content of the file; the error is a message.
    ///
    /// # Errors
    /// A sentence, without the file's name.
    fn parse(&self, content: &[u8]) -> Result<Self::Content, String>;

    /// Puts `content` in force. `began` is when its poll began.
    fn install(&self, content: Self::Content, began: Instant) {
        let _ = began;
        self.last_good().replace(content);
    }

    /// Called when a poll that began at `began` found the content in force unchanged.
    fn unchanged(&self, began: Instant) {
        let _ = began;
    }

    /// How much there is in `content`, for the log: a count, or names that are not secret.
    fn summary(&self, content: &Self::Content) -> String {
        let _ = content;
        String::new()
    }
}

/// Parses the content of a file; the error is a message.
pub type Read<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;

/// A [`LastGood`] that needs nothing but a parser.
pub struct Parsed<T> {
    /// The parser.
    pub read: Read<T>,
    /// Where the last good content is kept.
    pub into: Arc<LastGood<T>>,
}

impl<T: Send + Sync + 'static> FromFile for Parsed<T> {
    type Content = T;

    fn last_good(&self) -> &LastGood<T> {
        &self.into
    }

    fn parse(&self, content: &[u8]) -> Result<T, String> {
        (self.read)(content)
    }
}

impl<T> fmt::Debug for Parsed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed").finish_non_exhaustive()
    }
}

/// Keeps a state fresh from one file.
pub struct Followed<S> {
    name: &'static str,
    file: WatchedFile,
    state: Arc<S>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    help: &'static str,
}

impl<S> fmt::Debug for Followed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("file", &self.file.path()).finish_non_exhaustive()
    }
}

impl<S> Followed<S> {
    /// Watches `file`, a source named `name`, for `state`.
    #[must_use]
    pub fn new(
        name: &'static str,
        file: WatchedFile,
        state: impl Into<Arc<S>>,
        clock: Arc<dyn Clock>,
        reloads: Reloads,
    ) -> Self {
        Self { name, file, state: state.into(), clock, reloads, help: "" }
    }

    /// The same with `help` behind every fault message: how to fix it.
    #[must_use]
    pub fn advising(self, help: &'static str) -> Self {
        Self { help, ..self }
    }
}

/// Notes `what` about `path`, and logs it once.
fn fail<T>(
    name: &str,
    path: &Path,
    cause: Cause,
    what: &str,
    into: &LastGood<T>,
    now: UnixTime,
    reloads: &Reloads,
) {
    let file = path.display().to_string();
    if into.note(cause, format!("{file}: {what}"), now) {
        reloads.failed.inc();
        tracing::error!(source = name, file, what, "not loaded; the last good one serves");
    }
}

impl<S: FromFile> Source for Followed<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn poll(&mut self) {
        let began = Instant::now();
        let (cause, what) = match self.file.poll() {
            Ok(None) if self.file.is_refused() => return self.state.last_good().is_readable(),
            Ok(None) => {
                self.state.last_good().mend();
                return self.state.unchanged(began);
            }
            Ok(Some(content)) => match self.state.parse(&content) {
                Ok(content) => {
                    let content_summary = self.state.summary(&content);
                    self.state.install(content, began);
                    self.reloads.done.inc();
                    let file = self.file.path().display();
                    tracing::info!(source = self.name, %file, content = content_summary, "loaded");
                    return;
                }
                Err(what) => {
                    self.file.refuse();
                    (Cause::Broken, what)
                }
            },
            Err(error) => (Cause::Missing, error.to_string()),
        };
        let what = format!("{what}{}", self.help);
        let now = self.clock.now();
        fail(self.name, self.file.path(), cause, &what, self.state.last_good(), now, &self.reloads);
    }

    fn hanging(&self) -> Option<Hanging> {
        let (name, path) = (self.name, self.file.path().to_owned());
        let (state, clock, reloads) =
            (Arc::clone(&self.state), Arc::clone(&self.clock), self.reloads.clone());
        Some(Box::new(move |what| {
            fail(name, &path, Cause::Missing, what, state.last_good(), clock.now(), &reloads);
        }))
    }
}
