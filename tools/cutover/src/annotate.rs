//! Prints what a check found in the formats that CI systems read.
//!
//! | format | read by |
//! |---|---|
//! | `sarif` | code scanning, editors (OASIS SARIF 2.1.0) |
//! | `junit` | test reports of most CI systems |
//! | `github` | GitHub Actions: annotations on the lines of a pull request |
//!
//! A command that knows these formats also prints text for people and JSON for scripts, each with everything it found.

mod github;
mod junit;
mod sarif;

use std::path::PathBuf;

use clap::ValueEnum;

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// Everything, for scripts.
    Json,
    /// SARIF 2.1.0, for code scanning and editors.
    Sarif,
    /// JUnit XML, for test reports.
    Junit,
    /// Commands of GitHub Actions, which annotate lines of a pull request.
    Github,
}

/// How much an annotation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The command fails because of it.
    Error,
    /// The command fails because of it only when asked to.
    Warning,
    /// It is to be known.
    Notice,
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What kind of thing it is: one of the rules of its [`Report`].
    pub rule: &'static str,
    /// How much it matters.
    pub level: Level,
    /// The file that it is about, as the caller named it.
    pub file: PathBuf,
    /// Line and column, from 1; absent for a thing about the whole file.
    pub place: Option<(u64, u64)>,
    /// One sentence, with the value.
    pub message: String,
    /// How to fix it, when that is known.
    pub fix: Option<String>,
}

impl Annotation {
    /// The message, with the fix on a second line.
    fn whole(&self) -> String {
        match &self.fix {
            Some(fix) => format!("{}\nhelp: {fix}", self.message),
            None => self.message.clone(),
        }
    }
}

/// A kind of annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, as reports show it.
    pub name: &'static str,
    /// One sentence that says what it finds.
    pub about: &'static str,
}

/// Everything that one run of a command found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The command: `lint`, `plan`.
    pub command: &'static str,
    /// The kinds of things that it finds.
    pub rules: &'static [Rule],
    /// The files that it checked, also those in which it found nothing.
    pub files: Vec<PathBuf>,
    /// What it found.
    pub annotations: Vec<Annotation>,
}

impl Report {
    /// The report in `format`; `None` for text and JSON, which each command prints in its own form.
    #[must_use]
    pub fn render(&self, format: Format) -> Option<String> {
        match format {
            Format::Text | Format::Json => None,
            Format::Sarif => Some(sarif::render(self)),
            Format::Junit => Some(junit::render(self)),
            Format::Github => Some(github::render(self)),
        }
    }
}
