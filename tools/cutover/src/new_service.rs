//! `cutover new-service NAME` writes the crate of a new service into a checkout of this repository.
//!
//! What it writes is the crate `tools/cutover/skeleton` under another name. That crate is compiled, linted and tested with
//! all others, so a new service begins with code that works.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Args;

use crate::exit::{DONE, FOUND, USAGE, exit};
use crate::out;

/// The files of the skeleton: their paths below the crate, and what is in them.
const FILES: [(&str, &str); 12] = [
    ("Cargo.toml", include_str!("../skeleton/Cargo.toml")),
    ("openapi/internal.yaml", include_str!("../skeleton/openapi/internal.yaml")),
    ("openapi/public.yaml", include_str!("../skeleton/openapi/public.yaml")),
    ("src/error.rs", include_str!("../skeleton/src/error.rs")),
    ("src/lib.rs", include_str!("../skeleton/src/lib.rs")),
    ("src/main.rs", include_str!("../skeleton/src/main.rs")),
    ("src/metrics.rs", include_str!("../skeleton/src/metrics.rs")),
    ("src/migrations.rs", include_str!("../skeleton/src/migrations.rs")),
    ("src/notes.rs", include_str!("../skeleton/src/notes.rs")),
    ("src/routes.rs", include_str!("../skeleton/src/routes.rs")),
    ("src/settings.rs", include_str!("../skeleton/src/settings.rs")),
    ("tests/service.rs", include_str!("../skeleton/tests/service.rs")),
];

/// The name that the skeleton has, and the port on which it listens.
const SKELETON: (&str, &str) = ("skeleton", "3040");

/// The longest name: it is part of table names, of which PostgreSQL keeps 63 bytes.
const MAX_NAME: usize = 32;

/// Names that Rust or Cargo keep for themselves, and the paths that every service has.
const RESERVED: [&str; 59] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "build", "const", "continue",
    "core", "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "healthz",
    "if", "impl", "in", "let", "loop", "macro", "match", "metrics", "mod", "move", "mut", "override", "priv",
    "pub", "readyz", "ref", "return", "self", "static", "std", "struct", "super", "test", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// `cutover new-service`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The name of the service: small letters and digits, such as `reviews`.
    pub name: String,
    /// The checkout of this repository.
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub into: PathBuf,
    /// The port on which the service listens by default.
    #[arg(long, default_value_t = 3040, value_parser = clap::value_parser!(u16).range(1024..))]
    pub port: u16,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "`{0}` cannot be the name of a service: write 2 to {MAX_NAME} small letters and digits, the first one a letter"
    )]
    Name(String),
    #[error("`{0}` is a word of Rust, Cargo or every service; choose another name")]
    Reserved(String),
    #[error("{place} has the package `{name}` already; choose another name")]
    Package { place: String, name: String },
    #[error("{0} exists and stays as it is; choose another name, or move it away")]
    Exists(String),
    #[error("{place} is not the workspace of this repository ({why}); name its checkout with --into")]
    Place { place: String, why: String },
    #[error(
        "cannot write {path}: {source}; make it writable, remove the new directory and run the command again"
    )]
    Write { path: String, source: io::Error },
}

impl Refused {
    const fn code(&self) -> u8 {
        match self {
            Self::Name(_) | Self::Reserved(_) | Self::Package { .. } | Self::Place { .. } => USAGE,
            Self::Exists(_) | Self::Write { .. } => FOUND,
        }
    }
}

/// Writes the crate, adds it to the workspace, and prints what the edge file needs.
pub fn main(arguments: &Arguments) -> ExitCode {
    match write(arguments) {
        Ok(directory) => {
            out::line!("{}", directory.display());
            out::line!("{}", next(&arguments.name, arguments.port));
            exit(DONE)
        }
        Err(refused) => {
            out::error!("{refused}");
            exit(refused.code())
        }
    }
}

fn write(Arguments { name, into, port }: &Arguments) -> Result<PathBuf, Refused> {
    check(name)?;
    let manifest = into.join("Cargo.toml");
    let place = || manifest.display().to_string();
    let no_workspace = |why: String| Refused::Place { place: place(), why };
    let text = fs::read_to_string(&manifest).map_err(|error| no_workspace(error.to_string()))?;
    if !text.lines().any(|line| line.trim() == "\"services/kit\",") {
        return Err(no_workspace("it has no member services/kit".to_owned()));
    }
    if is_taken(&text, name) {
        return Err(Refused::Package { place: place(), name: name.clone() });
    }
    let directory = into.join("services").join(name);
    if directory.symlink_metadata().is_ok() {
        return Err(Refused::Exists(directory.display().to_string()));
    }
    for (file, content) in FILES {
        put(&directory.join(file), &named(content, name, *port))?;
    }
    // Last, so that a workspace never has a member without files.
    crate::whole_file::replace(&manifest, with_member(&text, name).as_bytes(), 0o644)
        .map_err(|source| Refused::Write { path: place(), source })?;
    Ok(directory)
}

fn check(name: &str) -> Result<(), Refused> {
    let is_plain = name.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit());
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !is_plain || !begins_well || !(2..=MAX_NAME).contains(&name.len()) {
        return Err(Refused::Name(name.to_owned()));
    }
    // The skeleton's own name is a package of the workspace.
    if RESERVED.contains(&name) || name == SKELETON.0 {
        return Err(Refused::Reserved(name.to_owned()));
    }
    Ok(())
}

/// Whether the workspace has a member or a dependency `name`: two packages of one name cannot be told apart.
fn is_taken(manifest: &str, name: &str) -> bool {
    manifest.lines().map(str::trim).any(|line| {
        let is_member = line.trim_end_matches(',').trim_matches('"').rsplit('/').next() == Some(name);
        let is_dependency = line.split_once('=').is_some_and(|(key, _)| key.trim() == name);
        is_member || is_dependency
    })
}

/// Returns a file of the skeleton under another name.
fn named(content: &str, name: &str, port: u16) -> String {
    let (skeleton, default) = SKELETON;
    content
        .replace(&skeleton.to_ascii_uppercase(), &name.to_ascii_uppercase())
        .replace(skeleton, name)
        .replace(default, &port.to_string())
}

/// Returns the manifest of the workspace with `services/NAME` after `services/kit`, in each list of members.
fn with_member(manifest: &str, name: &str) -> String {
    let lines = manifest.lines().flat_map(|line| {
        let own = (line.trim() == "\"services/kit\",")
            .then(|| line.replace("services/kit", &format!("services/{name}")));
        std::iter::once(line.to_owned()).chain(own)
    });
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

fn put(path: &Path, content: &str) -> Result<(), Refused> {
    let failed = |source| Refused::Write { path: path.display().to_string(), source };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut file = fs::File::create_new(path).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)
}

/// What is left to do.
fn next(name: &str, port: u16) -> String {
    let variable = name.to_ascii_uppercase();
    format!(
        "
Next:
  cargo fmt -p {name} && cargo test -p {name}
  cargo run -p openapi-aggregate -- write

In the edge file, under these keys (`signed-in` is a policy that people with a session pass):
  backends:
    {name}: {{ address: \"${{{variable}_ADDRESS:-127.0.0.1:{port}}}\" }}
  routes:
    - {{ name: {name}, host: api, prefix: /{name}, policy: signed-in, to: {name} }}

The service trusts the edge's key in CUTOVER_HOME (`cutover keys`) and needs none of its own until it calls another service."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_new_name_in_every_form() {
        let named = named("SKELETON_ADDRESS skeleton::x 127.0.0.1:3040", "reviews", 3050);
        assert_eq!(named, "REVIEWS_ADDRESS reviews::x 127.0.0.1:3050");
    }

    #[test]
    fn every_file_of_the_skeleton_is_written() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("skeleton");
        let mut found = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, FILES.map(|(path, _)| path));
    }
}
