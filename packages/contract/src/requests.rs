//! The requests of a set, from the files that a team has already.
//!
//! | file | what is read |
//! |---|---|
//! | `*.http` | golden files: their requests |
//! | `*.hurl` | every entry; answers and captures are not read |
//! | `*.har` | a browser's or proxy's recording |
//! | OpenAPI 3 (`*.yaml`, `*.yml`, `*.json`) | every operation: its examples, else values made from its schemas |
//! | access log (`*.json`, `*.jsonl`, `*.log`) | every method, host and path, once |

mod access_log;
mod har;
mod hurl;
mod multipart;
mod openapi;
mod value;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use openapi::operations;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::exchange::{Request, name_apart};
use crate::golden::{self, EXTENSION, Golden};

/// The unreserved characters of RFC 3986: every client writes them as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The largest file of requests: a day of an access log.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

/// The most requests of one set: a report on more is not read, and an access log has no end.
const MAX_REQUESTS: usize = 100_000;

/// What a set of files says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// The requests, each with a name of its own.
    pub requests: Vec<Request>,
    /// The golden exchanges, when the files are golden files.
    pub goldens: Vec<Golden>,
    /// What was not read, as sentences with their places.
    pub skipped: Vec<String>,
    /// Names of requests that a program made up, rather than a person: only safe ones are sent unless the caller says so.
    pub generated: std::collections::BTreeSet<String>,
}

/// Files that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The path cannot be read.
    #[error("cannot read {}: {source}; check the path", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is none of the known kinds, or is broken.
    #[error("{0}")]
    Wrong(String),
}

/// The requests in one file.
#[derive(Debug, Default)]
struct Read {
    requests: Vec<Request>,
    skipped: Vec<String>,
    is_generated: bool,
}

/// Reads a file, or all files of known kinds below a directory. `variables` are the values of `{{name}}` in hurl files.
///
/// # Errors
/// [`SetError`], with the file and the line.
pub fn read(path: &Path, variables: &BTreeMap<String, String>) -> Result<Set, SetError> {
    let unreadable = |source| SetError::Unreadable { path: path.to_owned(), source };
    let mut set = Set::default();
    if path.is_dir() {
        let mut files = Vec::new();
        list(path, &mut files).map_err(unreadable)?;
        files.sort();
        for file in &files {
            read_into(&mut set, file, variables, false)?;
        }
    } else {
        read_into(&mut set, path, variables, true)?;
    }
    if set.requests.is_empty() && set.skipped.is_empty() {
        return Err(SetError::Wrong(format!(
            "{} has no requests; name a file or directory of hurl, HAR, OpenAPI, access log or golden files",
            path.display()
        )));
    }
    if set.requests.len() > MAX_REQUESTS {
        return Err(SetError::Wrong(format!(
            "{} has more than {MAX_REQUESTS} requests; split it",
            path.display()
        )));
    }
    // Golden files of one request differ by principal and protocol: their names stay as they are.
    if set.goldens.is_empty() {
        let generated: Vec<bool> =
            set.requests.iter().map(|one| set.generated.contains(&one.source)).collect();
        name_apart(&mut set.requests);
        let named = set.requests.iter().zip(generated).filter(|(_, generated)| *generated);
        set.generated = named.map(|(request, _)| request.name.clone()).collect();
    }
    Ok(set)
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            list(&path, files)?;
        } else if !hidden {
            files.push(path);
        }
    }
    Ok(())
}

/// `named` says whether a person named this very file, so that one of an unknown kind is an error.
fn read_into(
    set: &mut Set,
    path: &Path,
    variables: &BTreeMap<String, String>,
    named: bool,
) -> Result<(), SetError> {
    let shown = path.display().to_string();
    let extension =
        path.extension().map(|one| one.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let known = [EXTENSION, "hurl", "har", "yaml", "yml", "json", "jsonl", "log"];
    let is_rules = path.file_name().is_some_and(|name| name == crate::rules::FILE_NAME);
    if is_rules || (!known.contains(&extension.as_str()) && !named) {
        return Ok(());
    }
    let bytes = crate::file::read(path, MAX_FILE_BYTES)
        .map_err(|source| SetError::Unreadable { path: path.to_owned(), source })?;
    if extension == EXTENSION {
        let golden = golden::read(&shown, &bytes).map_err(|error| SetError::Wrong(error.to_string()))?;
        if let Some(why) = golden.request.fault() {
            return Err(SetError::Wrong(format!("{shown}: {why}")));
        }
        set.requests.push(golden.request.clone());
        set.goldens.push(golden);
        return Ok(());
    }
    let text = String::from_utf8(bytes).map_err(|_| SetError::Wrong(format!("{shown} is not UTF-8")))?;
    // Some programs on Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let folder = path.parent().unwrap_or(Path::new("."));
    let read = match extension.as_str() {
        "hurl" => hurl::read(&shown, text, variables, folder),
        "har" => har::read(&shown, text),
        "jsonl" | "log" => access_log::read(&shown, text),
        "yaml" | "yml" | "json" => match openapi::is_openapi(text) {
            true => openapi::read(&shown, text),
            false if extension != "json" => Err(unknown(&shown)),
            false if har::is_har(text) => har::read(&shown, text),
            false => access_log::read(&shown, text),
        },
        _ => Err(unknown(&shown)),
    };
    match read {
        Ok(mut read) => {
            if read.is_generated {
                set.generated.extend(read.requests.iter().map(|request| request.source.clone()));
            }
            for request in read.requests {
                match request.fault() {
                    Some(why) => set.skipped.push(format!("{}: {why}", request.source)),
                    None => set.requests.push(request),
                }
            }
            set.skipped.append(&mut read.skipped);
            Ok(())
        }
        // Beside requests there may be any other file: a schema, a fixture.
        Err(_) if !named && matches!(extension.as_str(), "yaml" | "yml" | "json" | "log" | "jsonl") => Ok(()),
        Err(what) => Err(SetError::Wrong(what)),
    }
}

fn unknown(shown: &str) -> String {
    format!("{shown} is not a hurl, HAR, OpenAPI, access log or golden file; name one of these")
}

/// Host and target of a URL, or of a path alone.
fn host_and_target(url: &str) -> Option<(Option<String>, String)> {
    let Some((_, rest)) = url.split_once("://") else {
        return url.starts_with('/').then(|| (None, url.to_owned()));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    // `name:password@` is for the client: a server never receives it in `Host`.
    let host = host.rsplit('@').next().unwrap_or_default();
    let target = target.split('#').next().unwrap_or_default();
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    (!host.is_empty()).then(|| (Some(host.to_owned()), target))
}

#[cfg(test)]
mod tests;
