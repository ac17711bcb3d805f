//! `cutover apikey import` adds keys that clients hold already.
//!
//! The input has one JSON object on each line, because an export of another product becomes that with one `jq`:
//!
//! ```json
//! {"key": "sk_live_51H8…", "client": "nightly-import", "tenant": "acme-corp", "scopes": ["books.write"], "plan": "gold"}
//! {"sha256": "<64 hexadecimal digits>", "client": "nightly-import", "tenant": "acme-corp", "role": 2, "expires": 1831536000}
//! ```
//!
//! A key is stored as its SHA-256 only. Keys that another product stored with a salt, or with bcrypt or argon2, cannot be
//! found by a hash of what the client sends; `docs/credentials.md` says how to bring them over.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use api_keys::{ApiKey, KeyHash, KeyId, Record};
use clap::Args;
use identity::{ClientName, Role, TenantId};
use serde::Deserialize;
use serde_json::error::Category;

/// A longer input is another file. 250,000 keys fit in.
const MAX_BYTES: u64 = 67_108_864;

/// A shorter plain key can be guessed: 16 random letters and digits have 80 bits or more (NIST SP 800-63B asks 64 of a
/// secret that is checked online).
const MIN_CHARACTERS: usize = 16;

/// How many faults are shown. The rest of a wrong file looks the same.
const MAX_FAULTS: usize = 20;

/// `cutover apikey import`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file with one JSON object on each line; `-` reads standard input. Keys are never given as arguments, which every
    /// user of the machine can read.
    #[arg(value_name = "KEYS")]
    pub keys: PathBuf,
    /// Check the input and report what would be imported, but change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Accept plain keys of fewer than 16 characters, which can be guessed.
    #[arg(long)]
    pub allow_short: bool,
}

/// One line of the input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: Option<String>,
    sha256: Option<KeyHash>,
    client: ClientName,
    tenant: Option<TenantId>,
    role: Option<Role>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    plan: Option<String>,
    expires: Option<u64>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The input.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Lines are wrong: no line was imported.
    #[error("{path}: {count} wrong lines, nothing was imported\n{faults}")]
    Lines {
        /// The input.
        path: PathBuf,
        /// The number of wrong lines.
        count: usize,
        /// The first of them, each with its line number and fix.
        faults: String,
    },
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Imported {
    /// Keys that were added.
    pub(super) added: usize,
    /// Keys of the input that the file already lists, or that the input lists twice for one client.
    pub(super) known: usize,
}

/// Reads the records of the input.
///
/// # Errors
/// [`ImportError`]; no message contains a key.
pub(super) fn read(arguments: &Arguments, now: u64) -> Result<Vec<Record>, ImportError> {
    let path = &arguments.keys;
    let failed = |source| ImportError::Io { path: path.clone(), source };
    let input: Box<dyn io::Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    // One byte more than the limit distinguishes a file at the limit from one beyond it.
    let mut rest = BufReader::new(input.take(MAX_BYTES + 1));
    let (mut line, mut read) = (Vec::new(), 0);
    for number in 1.. {
        line.clear();
        let bytes = rest.read_until(b'\n', &mut line).map_err(failed)?;
        read += u64::try_from(bytes).unwrap_or(u64::MAX);
        if bytes == 0 {
            break;
        }
        if read > MAX_BYTES {
            faults.push(format!("line {number}: the input is longer than {MAX_BYTES} bytes: split it"));
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match record(&line, arguments.allow_short, now) {
            Ok(record) => records.push(record),
            Err(fault) => faults.push(format!("line {number}: {fault}")),
        }
    }
    if faults.is_empty() {
        return Ok(records);
    }
    let count = faults.len();
    faults.truncate(MAX_FAULTS);
    Err(ImportError::Lines { path: path.clone(), count, faults: faults.join("\n") })
}

fn record(line: &[u8], allow_short: bool, now: u64) -> Result<Record, String> {
    // The library's message can quote the line, and a line holds a key. Its kind and place are enough.
    let line: Line = serde_json::from_slice(line).map_err(|error| {
        let what = match error.classify() {
            Category::Data => {
                "not a key with `client`, perhaps `tenant` (a text), and `key` or `sha256` (64 lower-case hexadecimal digits)"
            }
            Category::Io | Category::Syntax | Category::Eof => "not a JSON object",
        };
        format!("column {}: {what}", error.column())
    })?;
    let Line { key, sha256, client, tenant, role, roles, scopes, plan, expires } = line;
    if let Some(scope) = scopes.iter().find(|scope| !Record::is_scope(scope)) {
        return Err(format!(
            "{scope:?} is not a scope: it is visible ASCII without quotes and backslashes (RFC 6749 §3.3)"
        ));
    }
    if let Some(plan) = plan.as_deref().filter(|plan| !Record::is_plan(plan)) {
        return Err(format!(
            "{plan:?} is not a plan: it has 1 to 64 lower-case letters, digits and `-`, and begins with a letter or digit"
        ));
    }
    let (own, sha256) = match (key, sha256) {
        (Some(key), None) => {
            let read = ApiKey::read(key.as_bytes())
                .map_err(|error| format!("`key` is {error}; a key with others can only be replaced"))?;
            if key.len() < MIN_CHARACTERS && !allow_short {
                return Err(format!(
                    "`key` has {} characters, which can be guessed: replace it, or add --allow-short",
                    key.len()
                ));
            }
            (read.id(), read.hash())
        }
        (None, Some(sha256)) => (None, sha256),
        (Some(_), Some(_)) => return Err("it has `key` and `sha256`: give one of them".to_owned()),
        (None, None) => return Err("it has no `key` and no `sha256`: give one of them".to_owned()),
    };
    // A key that another edge made keeps its id, by which it is found.
    let id = match own {
        Some(id) => id,
        None => KeyId::generate().map_err(|error| error.to_string())?,
    };
    Ok(Record {
        id,
        sha256,
        imported: own.is_none(),
        client,
        tenant,
        roles,
        role,
        scopes,
        plan,
        created: now,
        expires,
        revoked: None,
    })
}

/// Adds `new` to `records`. A key that is there already stays as it is, revoked or not: an import that is run again changes
/// nothing.
pub(super) fn add(records: &mut Vec<Record>, new: Vec<Record>) -> Imported {
    let mut there: HashMap<KeyHash, ()> = records.iter().map(|record| (record.sha256, ())).collect();
    let mut imported = Imported { added: 0, known: 0 };
    for record in new {
        if there.insert(record.sha256, ()).is_some() {
            imported.known += 1;
        } else {
            imported.added += 1;
            records.push(record);
        }
    }
    imported
}
