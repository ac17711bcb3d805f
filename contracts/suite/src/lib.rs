//! Runs the contract's `.hurl` files against a listening edge, from Rust.
//!
//! The files under `contracts/http` and `contracts/cookies` are plain Hurl: they say what a client sends and what
//! must come back, and nothing about how the edge was started. This crate adds the two things that Hurl cannot
//! do: it reads the login code out of the mail directory, and it hands each file the session that its first
//! comment asks for ([`Needs`]). `tests/` holds one test for each file, so that a failing file is a failing test.
//!
//! | variable | is |
//! |---|---|
//! | `api` | base address, `http://HOST:PORT` |
//! | `root_domain`, `root_domain_pattern` | the configured domain, and the same escaped for a regular expression |
//! | `email`, `code` | with `# needs code: ADDRESS`: a fresh, unused login code |
//! | `access_token`, `refresh_token` | with `# needs session: ADDRESS`: a fresh session's two cookies |
//! | `NAME_access_token`, `NAME_refresh_token` | with `# needs session: ADDRESS as NAME` |

mod mail;
mod needs;
mod script;

use std::path::{Path, PathBuf};

pub use mail::{MailError, newest_code};
pub use needs::{Need, Needs, NeedsError};
pub use script::{Failure, check_syntax};

use hurl::runner::{Value, VariableSet};

/// Trades an address for a code: `contracts/` + this.
const ASK_FOR_A_CODE: &str = "http/steps/ask_for_a_code.hurl";
/// Trades a code for a session: `contracts/` + this.
const SIGN_IN: &str = "http/steps/sign_in.hurl";

/// Every file that is run only as part of another.
pub const STEPS: [&str; 2] = [ASK_FOR_A_CODE, SIGN_IN];

/// What listens, and where the mail that it sends ends up.
#[derive(Clone, Debug)]
pub struct Target {
    /// Base address without a slash at the end, such as `http://127.0.0.1:8080`.
    pub api: String,
    /// `CUTOVER_HOME` of the edge that answers there: codes are read from its `mail/`.
    pub home: PathBuf,
    /// The domain in the cookies, and the bare name of the web host.
    pub root_domain: String,
}

impl Target {
    /// A target of the development edge's domain.
    pub fn new(api: impl Into<String>, home: impl Into<PathBuf>) -> Self {
        Self { api: api.into(), home: home.into(), root_domain: "dev-domain.test".to_owned() }
    }

    /// Runs `script`, a path below `contracts/` such as `http/books.hurl`, after getting what it needs.
    ///
    /// # Errors
    /// When the file cannot be read or parsed, when a step before it fails, and when an answer is not what the
    /// file says: then the text names file, line, expected and actual, for every request that went wrong.
    pub fn run(&self, script: &str) -> Result<(), Failure> {
        let source = script::read(script)?;
        let mut variables = self.variables();
        for need in Needs::of(script, &source)?.0 {
            match need {
                Need::Code { email } => {
                    let code = self.code(&email)?;
                    insert(&mut variables, "email", email);
                    insert(&mut variables, "code", code);
                }
                Need::Session { email, name } => {
                    let prefix = name.map(|name| format!("{name}_")).unwrap_or_default();
                    let session = self.sign_in(email)?;
                    for token in ["access_token", "refresh_token"] {
                        let value =
                            session.get(token).map_or(Value::Null, |variable| variable.value().clone());
                        variables.insert(format!("{prefix}{token}"), value);
                    }
                }
            }
        }
        script::run(script, &source, &variables).map(|_| ())
    }

    fn code(&self, email: &str) -> Result<String, Failure> {
        let mut variables = self.variables();
        insert(&mut variables, "email", email.to_owned());
        script::run(ASK_FOR_A_CODE, &script::read(ASK_FOR_A_CODE)?, &variables)?;
        Ok(newest_code(&self.home, email)?)
    }

    fn sign_in(&self, email: String) -> Result<VariableSet, Failure> {
        let mut variables = self.variables();
        insert(&mut variables, "code", self.code(&email)?);
        insert(&mut variables, "email", email);
        script::run(SIGN_IN, &script::read(SIGN_IN)?, &variables)
    }

    fn variables(&self) -> VariableSet {
        let mut variables = VariableSet::new();
        insert(&mut variables, "api", self.api.clone());
        insert(&mut variables, "root_domain", self.root_domain.clone());
        insert(&mut variables, "root_domain_pattern", self.root_domain.replace('.', "\\."));
        variables
    }
}

fn insert(variables: &mut VariableSet, name: &str, value: String) {
    variables.insert(name.to_owned(), Value::String(value));
}

/// The repository's `contracts/` directory: hurl files and golden data are named relative to it.
#[must_use]
pub fn contracts_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// Every `.hurl` file below `contracts/`, relative to it and sorted. The requests to applications of others (`apps`) are
/// left out: `cutover contract` captures them.
///
/// # Errors
/// When a directory cannot be listed.
pub fn all_scripts() -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![contracts_dir().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                // `whole` is the set that `harness` compares two backends with.
                if !["apps", "whole"].map(|other| contracts_dir().join(other)).contains(&path) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "hurl") {
                let relative = path.strip_prefix(contracts_dir()).unwrap_or(&path);
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
