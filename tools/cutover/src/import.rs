//! `cutover import` turns the routes of another program into an edge file.
//!
//! It translates what it is sure of, and says of everything else what it is, where it stands and what to do. It never opens
//! what was closed: a route about whose callers the file says nothing, or something that is not understood, needs a session.

mod cors;
mod kong;
mod limits;
mod nginx;
mod nginx_text;
mod openapi;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use edge_config::{Environment, without_credentials};
use serde_json::json;

use crate::draft::{Draft, Host, Sessions, name_of};
use crate::exit::{DONE, FOUND, INVALID, exit};
use crate::init::{write_new, write_schema};
use crate::out;

/// Larger files are refused: the largest public OpenAPI document has 12 MB.
const MAX_BYTES: u64 = 32 * 1_024 * 1_024;

/// The issuer of an imported file that names none: no token is of it, so every signed-in route is closed until it is replaced.
const NO_ISSUER: &str = "https://login.example.com";

/// `cutover import`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The form of the file.
    #[arg(value_enum)]
    pub form: Form,
    /// The file to read.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The edge file to write; an existing one is never overwritten. [default: standard output]
    #[arg(long, value_name = "EDGE_FILE")]
    pub out: Option<PathBuf>,
    /// The name of the edge. [default: from the file's name]
    #[arg(long)]
    pub name: Option<String>,
    /// Where clients connect.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: String,
    /// Where clients connect with TLS, if the file has certificates.
    #[arg(long, default_value = "127.0.0.1:8443", value_name = "ADDRESS:PORT")]
    pub listen_tls: String,
    /// The identity provider: the `iss` of its tokens.
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// The `aud` of tokens for this product.
    #[arg(long, value_name = "AUDIENCE")]
    pub audience: Option<String>,
    /// The cookie in which browsers carry the token.
    #[arg(long, value_name = "NAME")]
    pub cookie: Option<String>,
    /// Print the edge file and what could not be translated as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What can be imported.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    /// OpenAPI 3.0 or 3.1, YAML or JSON.
    Openapi,
    /// nginx's configuration, in one file (`nginx -T`).
    Nginx,
    /// Kong's declarative configuration (`kong.yml`), YAML or JSON.
    Kong,
}

/// Something that could not be translated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Note {
    /// The line, from 1.
    line: u64,
    what: String,
    mend: String,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Found {
    draft: Draft,
    notes: Vec<Note>,
}

impl Found {
    fn note(&mut self, line: u64, what: impl Into<String>, mend: impl Into<String>) {
        let what = without_credentials(&what.into()).into_owned();
        self.notes.push(Note { line, what, mend: mend.into() });
    }
}

/// Why nothing was translated.
#[derive(Debug)]
pub(crate) struct Unreadable {
    line: u64,
    what: String,
    mend: String,
}

impl Unreadable {
    fn new(line: u64, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { line, what: what.into(), mend: mend.into() }
    }
}

/// Reads the file and prints or writes the edge file.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let shown = arguments.file.display();
    let too_long = fs::metadata(&arguments.file).is_ok_and(|data| data.len() > MAX_BYTES);
    if too_long {
        out::error!("{shown} has more than {MAX_BYTES} bytes; import its parts");
        return exit(FOUND);
    }
    let text = match fs::read_to_string(&arguments.file) {
        Ok(text) => text,
        Err(error) => {
            out::error!("cannot read {shown}: {error}");
            return exit(FOUND);
        }
    };
    let mut found = match read(arguments.form, &text) {
        Ok(found) => found,
        Err(Unreadable { line, what, mend }) => {
            out::error!("{shown}:{line}: {what}\n  help | {mend}");
            return exit(INVALID);
        }
    };
    complete(&mut found, arguments);
    let to = arguments.out.clone().unwrap_or_else(|| PathBuf::from("edge.yaml"));
    let edge = match found.draft.linted(&to, environment) {
        Ok(edge) => edge,
        Err(faults) => {
            out::error!(
                "{faults}\n{shown} was read, and the edge file that it makes is not valid; nothing was written"
            );
            return exit(FOUND);
        }
    };
    if let Some(to) = &arguments.out
        && let Err(error) = write_new(to, &edge)
    {
        out::error!("cannot write {}: {error}; an existing file is never overwritten", to.display());
        return exit(FOUND);
    }
    print(arguments, &edge, &found.notes);
    exit(DONE)
}

fn read(form: Form, text: &str) -> Result<Found, Unreadable> {
    let mut found = match form {
        Form::Openapi => openapi::read(text),
        Form::Nginx => nginx::read(text),
        Form::Kong => kong::read(text),
    }?;
    if found.draft.routes.is_empty() {
        let why = found.notes.first().map(|note| (note.line, format!("; the first reason: {}", note.what)));
        let (line, why) = why.unwrap_or((1, String::new()));
        return Err(Unreadable::new(
            line,
            format!("no route could be translated{why}"),
            "is it the right file and form?",
        ));
    }
    found.notes.sort();
    found.notes.dedup();
    Ok(found)
}

/// Adds what the command line says, and what every edge needs.
fn complete(found: &mut Found, arguments: &Arguments) {
    let stem = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let draft = &mut found.draft;
    draft.made_by = format!("Made by `cutover import` from {}.", file_name(&arguments.file));
    draft.name = arguments.name.clone().unwrap_or_else(|| name_of(&stem, "edge"));
    draft.listen.clone_from(&arguments.listen);
    if let Some(encrypted) = &mut draft.encrypted {
        encrypted.listen.clone_from(&arguments.listen_tls);
    }
    if draft.hosts.is_empty() {
        draft.hosts.push(Host { name: "api".to_owned(), names: vec!["*".to_owned()], ..Host::default() });
    }
    if draft.routes.iter().all(|route| route.is_public) {
        draft.sessions = None;
        return;
    }
    let named = draft.sessions.take();
    let said = |flag: &Option<String>, of: fn(&Sessions) -> &String| {
        flag.clone().or_else(|| named.as_ref().map(of).filter(|text| !text.is_empty()).cloned())
    };
    let issuer = said(&arguments.issuer, |sessions| &sessions.issuer);
    let audience = said(&arguments.audience, |sessions| &sessions.audience);
    let cookie = said(&arguments.cookie, |sessions| &sessions.cookie);
    let missing = issuer.is_none() || audience.is_none();
    if missing {
        let what =
            "the file does not say whose tokens callers have, so every route that needs a session is closed";
        found.notes.push(Note {
            line: 1,
            what: what.to_owned(),
            mend: "give `--issuer URL --audience AUDIENCE`, or replace both in `sessions`".to_owned(),
        });
    }
    found.draft.sessions = Some(Sessions {
        cookie: cookie.unwrap_or_else(|| "session".to_owned()),
        issuer: issuer.unwrap_or_else(|| NO_ISSUER.to_owned()),
        audience: audience.unwrap_or_else(|| found.draft.name.clone()),
        comment: missing.then(|| {
            "TO REPLACE: the issuer and audience of your tokens. Until then every token is refused."
                .to_owned()
        }),
    });
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn print(arguments: &Arguments, edge: &str, notes: &[Note]) {
    let file = arguments.file.display();
    if arguments.json {
        let notes: Vec<_> = notes
            .iter()
            .map(|Note { line, what, mend }| {
                json!({ "file": arguments.file, "line": line, "problem": what, "mend": mend })
            })
            .collect();
        out::line!("{:#}", json!({ "edge": edge, "not_translated": notes }));
        return;
    }
    for Note { line, what, mend } in notes {
        out::error!("{file}:{line}: {what}\n  help | {mend}");
    }
    match &arguments.out {
        Some(to) => {
            out::line!("{}", to.display());
            write_schema(to);
            let to = to.display();
            out::error!("\nNext: `cutover lint {to}` checks it, `cutover run {to}` starts it.");
        }
        None => out::text!("{edge}"),
    }
    if !notes.is_empty() {
        let count = notes.len();
        out::error!("{count} {} not translated", if count == 1 { "thing was" } else { "things were" });
    }
}

/// `address` with `port`, unless it has one.
fn with_port(address: &str, port: u16) -> String {
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { address.to_owned() } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
