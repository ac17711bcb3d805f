//! `cutover answers`: compares the words of the edge's refusals with those of the running legacy backend.
//!
//! For each route of an edge file it sends requests without and with bad credentials, and compares the answers with what the
//! edge would send. It never sends a valid credential or a body, so none of its requests can succeed.

pub mod compare;
pub mod exchange;
pub mod proposal;
pub mod question;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use edge_config::{Edge, Environment};
use serde::Serialize;

use crate::exit::{DONE, FOUND, INVALID, USAGE, exit};
use crate::{out, render};
use compare::{Difference, Refusal};
use exchange::Target;
use proposal::{Observed, Proposal};
use question::{Credential, NotAsked, Question};

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_secs(1);

/// `cutover answers`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(value_name = "EDGE_FILE")]
    pub file: PathBuf,
    /// The legacy backend itself: http://HOST:PORT, or https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Send the constant headers (`request_headers`) of this backend [default: the one with the address of --from].
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Query this route alone. May be given more than once.
    #[arg(long, value_name = "NAME")]
    pub route: Vec<String>,
    /// Do not compare the case of header names.
    #[arg(long)]
    pub any_case: bool,
    /// Stop after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub within: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One answer of the legacy backend beside the edge's.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// The route.
    pub route: String,
    /// The name of its answers.
    pub answers: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The credential of the request.
    pub credential: Credential,
    /// The legacy backend's status; absent when there was no answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub failed: Option<String>,
    /// What differs.
    pub differences: Vec<Difference>,
}

impl Compared {
    fn is_equal(&self) -> bool {
        self.failed.is_none() && self.differences.is_empty()
    }
}

/// The result of all requests.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every answer has the edge's words.
    pub equal: bool,
    /// The backends whose constant headers were sent.
    pub backends: Vec<String>,
    /// The requests, in the order of the routes.
    pub compared: Vec<Compared>,
    /// Routes without a request.
    pub not_asked: Vec<NotAsked>,
    /// The right `answers`.
    pub proposals: Vec<Proposal>,
}

/// Queries, compares and prints.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let edge = match render::load(&arguments.file, environment) {
        Ok(edge) => edge,
        Err(message) => {
            out::error!("{message}");
            return exit(INVALID);
        }
    };
    let unknown = arguments.route.iter().find(|name| !edge.routes.iter().any(|route| route.name == **name));
    if let Some(name) = unknown {
        out::error!("cutover answers: there is no route `{name}` in {}", arguments.file.display());
        return exit(USAGE);
    }
    let target = match Target::read(&arguments.from, &edge, arguments.backend.as_deref()) {
        Ok(target) => target,
        Err(message) => {
            out::error!("cutover answers: {message}");
            return exit(USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::error!("cutover answers: {error}");
            return exit(FOUND);
        }
    };
    let report = runtime.block_on(ask(&edge, &target, arguments));
    if arguments.json {
        out::line!("{:#}", serde_json::json!(report));
    } else {
        out::text!("{}", text(&report));
    }
    exit(if report.equal { DONE } else { FOUND })
}

async fn ask(edge: &Edge, target: &Target, arguments: &Arguments) -> Report {
    let (questions, mut not_asked) = question::questions(edge, &arguments.route);
    let all = questions.len();
    let (mut compared, mut observed) = (Vec::new(), Observed::default());
    let (began, mut reported) = (Instant::now(), Instant::now());
    let mut out_of_time: Vec<String> = Vec::new();
    for (index, question) in questions.into_iter().enumerate() {
        if began.elapsed() >= Duration::from_secs(arguments.within) {
            if out_of_time.last() != Some(&question.route) {
                out_of_time.push(question.route);
            }
            continue;
        }
        compared.push(one(edge, target, question, arguments.any_case, &mut observed).await);
        if reported.elapsed() >= PROGRESS {
            reported = Instant::now();
            out::error!("{} of {all}", index + 1);
        }
    }
    let late =
        |route| NotAsked { route, why: format!("{} seconds were over; say --within", arguments.within) };
    let is_whole = out_of_time.is_empty();
    not_asked.extend(out_of_time.into_iter().map(late));
    let equal = is_whole && compared.iter().all(Compared::is_equal);
    let proposals = proposal::proposals(edge, &observed, arguments.any_case);
    Report { equal, backends: target.backends.clone(), compared, not_asked, proposals }
}

async fn one(
    edge: &Edge,
    target: &Target,
    question: Question,
    any_case: bool,
    observed: &mut Observed,
) -> Compared {
    let answer = target.ask(&question).await;
    let Question { route, answers, credential, absent, method, path, .. } = question;
    let (mut status, mut failed, mut differences) = (None, None, Vec::new());
    match (answer, edge.answers.get(&answers)) {
        (Ok(answer), Some(words)) => {
            status = Some(answer.status);
            differences = compare::differences(&answer, words, any_case);
            // An answer about a path that the legacy backend does not have is not a refusal of the caller.
            if let Some(refusal) = Refusal::read(&answer).filter(|_| !absent) {
                observed.add(&answers, &route, refusal);
            }
        }
        (Ok(_), None) => failed = Some(format!("there are no answers `{answers}`")),
        (Err(error), _) => failed = Some(error.to_string()),
    }
    Compared { route, answers, method, path, credential, status, failed, differences }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for (route, differences, asked) in grouped(&report.compared) {
        let _ = writeln!(text, "{route}: {}", asked.join(", "));
        for difference in differences {
            let _ = writeln!(text, "  {difference}");
        }
    }
    for NotAsked { route, why } in &report.not_asked {
        let _ = writeln!(text, "{route}: not asked: {why}");
    }
    let equal = report.compared.iter().filter(|one| one.is_equal()).count();
    let _ = writeln!(text, "{equal} of {} answers are equal", report.compared.len());
    if report.backends.is_empty() {
        let why = "no backend of the edge file has this address, so no constant headers were sent";
        let _ = writeln!(text, "{why}; name one with --backend");
    }
    if !report.proposals.is_empty() {
        let _ = writeln!(text, "\nanswers:");
    }
    for Proposal { yaml, notes, .. } in &report.proposals {
        for note in notes {
            let _ = writeln!(text, "  # {note}");
        }
        text.push_str(yaml);
    }
    text
}

/// The questions that were answered in other words, those of one route with the same differences together.
fn grouped(compared: &[Compared]) -> Vec<(&str, Vec<String>, Vec<String>)> {
    let mut groups: Vec<(&str, Vec<String>, Vec<String>)> = Vec::new();
    for one in compared.iter().filter(|one| !one.is_equal()) {
        let failed = one.failed.iter().map(|why| format!("no answer: {why}"));
        let lines: Vec<String> = failed.chain(one.differences.iter().map(line)).collect();
        let asked = format!("{} {} {}", one.method, one.path, one.credential.words());
        match groups.iter_mut().find(|(route, same, _)| *route == one.route && *same == lines) {
            Some((_, _, questions)) => questions.push(asked),
            None => groups.push((&one.route, lines, vec![asked])),
        }
    }
    groups
}

fn line(Difference { what, legacy, edge }: &Difference) -> String {
    let side = |value: &Option<String>| value.as_ref().map_or("none".to_owned(), |text| format!("{text:?}"));
    format!("{what}: the legacy backend {}, the edge {}", side(legacy), side(edge))
}
