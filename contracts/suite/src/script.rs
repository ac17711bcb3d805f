//! Parses and runs one hurl file, and says what went wrong in its own terms.

use std::time::Duration;

use hurl::runner::{RunnerOptionsBuilder, VariableSet, run_entries};
use hurl::util::logger::{Logger, LoggerOptionsBuilder};
use hurl::util::path::ContextDir;
use hurl::util::term::{Stderr, Stdout, WriteMode};
use hurl_core::ast::HurlFile;
use hurl_core::error::{DisplaySourceError, OutputFormat};
use hurl_core::input::Input;
use hurl_core::parser::parse_hurl_file;
use thiserror::Error;

use crate::{MailError, NeedsError, contracts_dir};

/// A file that did not run, or ran and saw something else than it expects.
#[derive(Debug, Error)]
pub enum Failure {
    /// The file is not there.
    #[error("contracts/{script}: {error}")]
    Unreadable {
        /// Path below `contracts/`.
        script: String,
        /// Why it cannot be read.
        error: std::io::Error,
    },
    /// The file is not Hurl; the text shows where.
    #[error("{0}")]
    Syntax(String),
    /// A request failed or an answer differs; one block for each, with file, line, expected and actual.
    #[error("{0}")]
    Unexpected(String),
    /// A leading comment asks for something unknown.
    #[error(transparent)]
    Needs(#[from] NeedsError),
    /// No login code arrived.
    #[error(transparent)]
    Mail(#[from] MailError),
}

pub(crate) fn read(script: &str) -> Result<String, Failure> {
    std::fs::read_to_string(contracts_dir().join(script))
        .map_err(|error| Failure::Unreadable { script: script.to_owned(), error })
}

/// Parses `script`, a path below `contracts/`, its needs included, and runs nothing.
///
/// # Errors
/// When it cannot be read or is not Hurl.
pub fn check_syntax(script: &str) -> Result<(), Failure> {
    let source = read(script)?;
    crate::Needs::of(script, &source)?;
    let parsed = parse(script, &source)?;
    if parsed.entries.is_empty() {
        return Err(Failure::Syntax(format!("contracts/{script}: holds no request, so it can never fail")));
    }
    Ok(())
}

fn parse(script: &str, source: &str) -> Result<HurlFile, Failure> {
    parse_hurl_file(source).map_err(|error| Failure::Syntax(rendered(&error, script, source)))
}

fn rendered(error: &impl DisplaySourceError, script: &str, source: &str) -> String {
    error.render(&format!("contracts/{script}"), source, None, OutputFormat::Plain)
}

/// Runs every request of the file, also after one failed, and returns the variables at its end.
pub(crate) fn run(script: &str, source: &str, variables: &VariableSet) -> Result<VariableSet, Failure> {
    let parsed = parse(script, source)?;
    let options = RunnerOptionsBuilder::new()
        .context_dir(&ContextDir::new(contracts_dir(), contracts_dir()))
        // One run should show all that is wrong with a file.
        .continue_on_error(true)
        // Cookies go exactly where a file writes them, and no proxy of the machine stands in between.
        .use_cookie_store(false)
        .no_proxy(Some("*".to_owned()))
        // Loopback connects at once or never; the longest wait in any file is the authorizer's own.
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .build();
    let logging = LoggerOptionsBuilder::new().build();
    // Failures are rendered below, once; what the runner would print itself is dropped with its buffer.
    let mut logger = Logger::new(&logging, Stderr::new(WriteMode::Buffered), &[]);
    let mut stdout = Stdout::new(WriteMode::Buffered);
    let input = Input::new(script);
    let result = run_entries(
        &parsed.entries,
        source,
        Some(&input),
        &options,
        variables,
        &mut stdout,
        None,
        &mut logger,
    );
    if result.success {
        return Ok(result.variables);
    }
    let mut text = String::new();
    for (error, entry) in result.errors() {
        let name = format!("contracts/{script}");
        text.push_str(&error.render(&name, source, Some(entry), OutputFormat::Plain));
        text.push('\n');
    }
    if text.is_empty() {
        text = format!("contracts/{script}: failed without saying why");
    }
    Err(Failure::Unexpected(text))
}
