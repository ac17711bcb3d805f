//! Faults of an edge file: all of them at once, each with its place and its fix.

mod shown;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

pub use shown::without_credentials;

/// A place in the edge file; lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

/// The severity of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably should not be.
    Warning,
}

impl Severity {
    /// The severity in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One fault of an edge file, or a warning about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where the value stands that is to be changed.
    pub place: Place,
    /// The problem, with the value.
    pub problem: String,
    /// The fix. The field has the name of the JSON key.
    pub mend: String,
    /// Its severity.
    pub severity: Severity,
}

impl Fault {
    fn without_credentials(self) -> Self {
        let shown = |text: String| without_credentials(&text).into_owned();
        Self { problem: shown(self.problem), mend: shown(self.mend), ..self }
    }
}

/// Every fault of one edge file, in the order of the file, or every warning about a usable file.
#[derive(Debug)]
pub struct Faults {
    /// The path of the file, as it was given.
    pub file: PathBuf,
    /// The faults; empty only in a list of warnings.
    pub faults: Vec<Fault>,
    lines: Vec<String>,
}

impl Faults {
    pub(crate) fn new(file: &Path, text: &str, faults: Vec<Fault>) -> Self {
        let mut faults: Vec<Fault> = faults.into_iter().map(Fault::without_credentials).collect();
        faults.sort();
        faults.dedup();
        Self { file: file.to_owned(), faults, lines: text.lines().map(str::to_owned).collect() }
    }

    /// Adds `more` from a check beyond the text, such as a check of the files that it names.
    pub fn extend(&mut self, more: impl IntoIterator<Item = Fault>) {
        self.faults.extend(more.into_iter().map(Fault::without_credentials));
        self.faults.sort();
        self.faults.dedup();
    }

    pub(crate) fn without_warnings(mut self) -> Self {
        self.faults.retain(|fault| fault.severity == Severity::Error);
        self
    }

    /// Whether the file cannot be used.
    #[must_use]
    pub fn prevent(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// `2 faults and 1 warning`.
    fn count(&self) -> String {
        let of = |severity: Severity, noun: &str| {
            let count = self.faults.iter().filter(|fault| fault.severity == severity).count();
            (count > 0).then(|| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        };
        let parts = [of(Severity::Error, "fault"), of(Severity::Warning, "warning")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }

    fn line(&self, number: u64) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.lines.get(index).map(|line| line.trim_end())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(
                f,
                "{}:{}:{}: {}{}",
                self.file.display(),
                fault.place.line,
                fault.place.column,
                match fault.severity {
                    Severity::Error => "",
                    Severity::Warning => "warning: ",
                },
                fault.problem
            )?;
            if let Some(line) = self.line(fault.place.line) {
                writeln!(f, "  {:>4} | {}", fault.place.line, without_credentials(line.trim_start()))?;
            }
            writeln!(f, "  help | {}", fault.mend)?;
        }
        write!(f, "{} in {}", self.count(), self.file.display())
    }
}

impl std::error::Error for Faults {}

/// Collects faults while a file is read. Shared by reference, so that every reader can report.
#[derive(Debug, Default)]
pub(crate) struct Collector(RefCell<Vec<Fault>>);

impl Collector {
    pub(crate) fn report(&self, place: Place, problem: impl Into<String>, mend: impl Into<String>) {
        self.put(Severity::Error, place, problem.into(), mend.into());
    }

    /// Reports a value that can be used, but probably should not be.
    pub(crate) fn warn(&self, place: Place, problem: impl Into<String>, mend: impl Into<String>) {
        self.put(Severity::Warning, place, problem.into(), mend.into());
    }

    fn put(&self, severity: Severity, place: Place, problem: String, mend: String) {
        self.0.borrow_mut().push(Fault { place, problem, mend, severity });
    }

    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.0.into_inner()
    }
}

/// The name among `known` that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min()
        .map(|(_, name)| name)
}

/// "did you mean …", or the list of known names.
#[must_use]
pub fn suggest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(name) = nearest(wrong, known.clone()) {
        return format!("did you mean `{name}`?");
    }
    let names: Vec<_> = known.into_iter().collect();
    if names.is_empty() {
        "none is defined yet: define it first".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_recognised() {
        assert_eq!(nearest("userz", ["auth", "users", "legacy"]), Some("users"));
        assert_eq!(nearest("completely-else", ["auth", "users"]), None);
    }
}
