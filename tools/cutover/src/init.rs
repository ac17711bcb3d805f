//! `cutover init` writes a small edge file to go on with, from flags or from answers on a terminal.

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use edge_config::Environment;

use crate::draft::{Backend, Draft, Host, Route, Sessions, Taken, name_of};
use crate::exit::{DONE, FOUND, USAGE, exit};
use crate::{out, schema};

/// `cutover init`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file to write. An existing file is never overwritten.
    #[arg(default_value = "edge.yaml", value_name = "EDGE_FILE")]
    pub file: PathBuf,
    /// The name of the edge. [default: the name of the file's directory]
    #[arg(long)]
    pub name: Option<String>,
    /// Where clients connect.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: String,
    /// A host name of the product; may be given several times. [default: any name]
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Where the product listens today.
    #[arg(long, value_name = "HOST:PORT")]
    pub backend: Option<String>,
    /// The identity provider: the `iss` of its tokens. Without one, every caller may read and no caller may write.
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// The `aud` of tokens for this product.
    #[arg(long, value_name = "AUDIENCE", requires = "issuer")]
    pub audience: Option<String>,
    /// The cookie in which browsers carry the token.
    #[arg(long, default_value = "session", value_name = "NAME")]
    pub cookie: String,
}

/// Writes the file, and the schema for editors beside it.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let answers = Answers { is_terminal: io::stdin().is_terminal() };
    let draft = match draft(arguments, &answers) {
        Ok(draft) => draft,
        Err(message) => {
            out::error!("{message}");
            return exit(USAGE);
        }
    };
    let text = match draft.linted(&arguments.file, environment) {
        Ok(text) => text,
        Err(faults) => {
            out::error!("{faults}\nnothing was written; correct the answer that is in the line shown");
            return exit(USAGE);
        }
    };
    if let Err(error) = write_new(&arguments.file, &text) {
        let file = arguments.file.display();
        if error.kind() == io::ErrorKind::AlreadyExists {
            out::error!("{file} exists and stays as it is; name another file: `cutover init OTHER.yaml`");
        } else {
            out::error!("cannot write {file}: {error}");
        }
        return exit(FOUND);
    }
    out::line!("{}", arguments.file.display());
    write_schema(&arguments.file);
    let file = arguments.file.display();
    out::line!(
        "\nNext: `cutover run {file}` starts the edge; `cutover lint {file}` checks it after a change."
    );
    exit(DONE)
}

/// Writes the schema that the first line of an edge file names, unless it is there. It is a help for editors only, so an error
/// is a note.
pub(crate) fn write_schema(edge_file: &Path) {
    let beside = edge_file.with_file_name("edge.schema.json");
    let described = edge_config::describe::edge_file();
    match write_new(&beside, &format!("{:#}\n", schema::json(&described))) {
        Ok(()) => out::line!("{}", beside.display()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            out::error!("note: cannot write {} ({error}); editors complete without it", beside.display());
        }
    }
}

fn draft(arguments: &Arguments, answers: &Answers) -> Result<Draft, String> {
    let own_name = own_name(&arguments.file);
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => answers.or_ask("Name of the edge", Some(&own_name), "--name")?,
    };
    let backend = match &arguments.backend {
        Some(backend) => backend.clone(),
        None => answers.or_ask(
            "Where the product listens today (host:port, or https://host)",
            None,
            "--backend HOST:PORT",
        )?,
    };
    let issuer = match &arguments.issuer {
        Some(issuer) => Some(issuer.clone()),
        None => Some(answers.or_ask(
            "Issuer of its access tokens (a URL; empty for none)",
            Some(""),
            "--issuer",
        )?),
    };
    let sessions = match issuer.filter(|issuer| !issuer.is_empty()) {
        None => None,
        Some(issuer) => {
            let audience = match &arguments.audience {
                Some(audience) => audience.clone(),
                None => answers.or_ask("Audience of tokens for this product", None, "--audience AUDIENCE")?,
            };
            Some(Sessions { cookie: arguments.cookie.clone(), issuer, audience, comment: None })
        }
    };
    let names = if arguments.hosts.is_empty() { vec!["*".to_owned()] } else { arguments.hosts.clone() };
    let all = Route {
        name: "everything".to_owned(),
        host: "api".to_owned(),
        path: Taken::Prefix("/".to_owned()),
        methods: Vec::new(),
        is_public: false,
        scopes: Vec::new(),
        to: "product".to_owned(),
        is_websocket: false,
        limits: Vec::new(),
        cors: None,
    };
    // Without an identity provider the edge knows no caller, so it lets nothing be changed.
    let only = if sessions.is_some() {
        all
    } else {
        Route { methods: vec!["GET".to_owned(), "HEAD".to_owned()], is_public: true, ..all }
    };
    Ok(Draft {
        made_by: "Made by `cutover init`.".to_owned(),
        name,
        listen: arguments.listen.clone(),
        hosts: vec![Host { name: "api".to_owned(), names, ..Host::default() }],
        backends: vec![Backend {
            name: "product".to_owned(),
            addresses: vec![backend],
            ..Backend::default()
        }],
        sessions,
        routes: vec![only],
        ..Draft::default()
    })
}

/// The name of the directory in which `file` will be, as a name of the edge file.
fn own_name(file: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_default();
    let directory =
        absolute.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name_of(&directory.unwrap_or_default(), "edge")
}

/// The person at the terminal, if there is one.
struct Answers {
    is_terminal: bool,
}

impl Answers {
    /// The answer to `question`. Without a terminal it is the default, or a fault that names the flag.
    fn or_ask(&self, question: &str, default: Option<&str>, flag: &str) -> Result<String, String> {
        if !self.is_terminal {
            return default
                .map(str::to_owned)
                .ok_or_else(|| format!("give `{flag}`: there is no terminal for the question"));
        }
        let shown = default.filter(|default| !default.is_empty()).map(|default| format!(" [{default}]"));
        out::text!("{question}{}: ", shown.unwrap_or_default());
        let _ = io::stdout().flush();
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| format!("cannot read the answer: {error}"))?;
        let answer = line.trim();
        match (answer, default) {
            ("", Some(default)) => Ok(default.to_owned()),
            ("", None) => Err(format!("an answer is needed, or `{flag}`")),
            (answer, _) => Ok(answer.to_owned()),
        }
    }
}

/// Writes a file that does not exist yet.
pub(crate) fn write_new(file: &Path, text: &str) -> io::Result<()> {
    File::create_new(file)?.write_all(text.as_bytes())
}
