//! `cutover explain` explains why a request gets its answer.
//!
//! Offline it runs the very code that decides: the guard's rules ([`header_rules::Rules`]), the route match of the edge
//! file ([`edge_config::route_of`]) and the authorizer, assembled in this process over the same keys, tenants and
//! revocations. What only a running edge knows is listed under `not_known`. With `--id` it queries the running authorizer
//! for the decision that it remembers, and reads the access log.
//!
//! It prints names, codes and ids, but never a token, a cookie or a header's value.

mod before;
mod goes;
mod offline;
mod pages;
mod remembered;
mod request;
mod unknown;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use edge_config::Environment;
use serde_json::Value;

use crate::exit::{DONE, FOUND, INVALID, USAGE, exit};
use crate::home::Home;
use crate::out;

/// `cutover explain`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(value_name = "EDGE_FILE", required_unless_present = "id")]
    pub edge: Option<PathBuf>,
    /// Method and URL, such as 'GET https://api.example.com/users/@me'.
    #[arg(value_name = "REQUEST", required_unless_present = "id")]
    pub request: Option<String>,
    /// A header of the request, as 'name: value'; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// A file with an access token, sent in the session cookie.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A value of the Cookie header, as 'name=value'.
    #[arg(long, value_name = "COOKIE")]
    pub cookie: Option<String>,
    /// The address of the connection's peer: the client, or a proxy in front. Without it, the address is in no list of
    /// addresses.
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<IpAddr>,
    /// The name in the client's certificate: its first URI, or else its first DNS name. Without it, the client presents none.
    #[arg(long, value_name = "NAME")]
    pub certificate: Option<String>,
    /// A file with the body, for a signed request or a webhook.
    #[arg(long, visible_alias = "body-file", value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// Fetch keys that have a URL, and query introspection endpoints, from the issuers that the edge file names.
    #[arg(long)]
    pub fetch: bool,
    /// The listener that receives the request. [default: the public one that serves the host; of several, the one that is
    /// encrypted as the URL says]
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// Explain an earlier request by its `x-request-id`, from the memory of the running authorizer. A request that never
    /// reached the authorizer, or that a lease served, is explained from the access log.
    #[arg(long, value_name = "REQUEST_ID", conflicts_with_all = ["edge", "request"])]
    pub id: Option<String>,
    /// The running authorizer's admin interface.
    #[arg(long, env = "AUTHZ_ADMIN_ADDRESS", default_value = "127.0.0.1:9192", value_name = "ADDRESS:PORT")]
    pub admin: SocketAddr,
    /// Envoy's access log, for `--id`. [default: HOME/logs/access.json]
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
}

/// Why there is no explanation.
enum Failed {
    /// The edge file is wrong.
    Invalid(String),
    /// The request cannot be read.
    Usage(String),
    /// What is known without a decision, and why the decision is missing.
    Undecided(Value, String),
    /// Anything else.
    Other(String),
}

/// Explains the request and prints the explanation. A refused request is explained, too, with exit code 0.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let print = |report: &Value| {
        if arguments.json { out::line!("{report:#}") } else { out::text!("{}", text(report)) }
    };
    let report = match (&arguments.id, &arguments.edge, &arguments.request) {
        (Some(id), _, _) => {
            let log = arguments.access_log.clone();
            let log = log.unwrap_or_else(|| arguments.home.home.join("logs/access.json"));
            remembered::ask(arguments.admin, id, &log).map_err(Failed::Other)
        }
        (None, Some(edge), Some(request)) => offline::explain(arguments, edge, request, environment),
        (None, _, _) => Err(Failed::Other("name an edge file and a request, or --id".to_owned())),
    };
    match report {
        Ok(report) => print(&report),
        Err(Failed::Invalid(message)) => {
            out::error!("{message}");
            return exit(INVALID);
        }
        Err(Failed::Usage(message)) => {
            out::error!("cutover explain: {message}");
            return exit(USAGE);
        }
        Err(Failed::Undecided(report, message)) => {
            print(&report);
            out::error!("cutover explain: no decision: {message}");
            return exit(FOUND);
        }
        Err(Failed::Other(message)) => {
            out::error!("cutover explain: {message}");
            return exit(FOUND);
        }
    }
    exit(DONE)
}

/// One line for each field, nested ones indented.
fn text(report: &Value) -> String {
    let mut lines = String::new();
    for (name, value) in report.as_object().into_iter().flatten() {
        let shown = match value {
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(", "),
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| format!("{name} {}", short(value));
                fields.iter().map(field).collect::<Vec<_>>().join(", ")
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => short(value),
        };
        lines.push_str(&format!("{name:<12} {shown}\n"));
    }
    lines
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(step) if step.contains_key("stage") => {
            let field = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {}", field("stage"), field("outcome"))
        }
        // One check of a token.
        Value::Object(check) if check.contains_key("check") => {
            let field = |name: &str| check.get(name).and_then(Value::as_str).unwrap_or_default();
            match check.get("claim").and_then(Value::as_str) {
                Some(claim) => format!("{} ({claim}): {}", field("check"), field("outcome")),
                None => format!("{}: {}", field("check"), field("outcome")),
            }
        }
        // One of several decisions about one request id.
        Value::Object(decision) if decision.contains_key("request_id") => {
            let field = |name: &str| decision.get(name).and_then(Value::as_str).unwrap_or("-");
            format!("{} {} {} on {}", field("time"), field("decision"), field("reason"), field("route"))
        }
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
