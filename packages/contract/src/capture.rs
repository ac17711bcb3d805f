//! Records what a server answers.
//!
//! All requests are sent, and after a pause the safe ones a second time: what differs then is volatile by itself (A/A).
//! Nothing is written before every exchange was looked through for credentials.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_wire::answer::Answer;

use crate::exchange::{Protocol, Request};
use crate::golden::{EXTENSION, Golden};
use crate::learn::learn;
use crate::origin::Origin;
use crate::principal::Principal;
use crate::rules::Rules;
use crate::run::{Pace, in_order};
use crate::sensitive::{self, Finding};

/// The pause before the second answers: a little more than a second, the unit of most clocks in answers.
const PAUSE: Duration = Duration::from_millis(1100);

/// What is recorded, and how.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The server.
    pub from: Origin,
    /// `Host` of every request; absent for the one that a request names, else the server's address.
    pub host: Option<String>,
    /// The protocols, each recorded by itself.
    pub protocols: Vec<Protocol>,
    /// Who sends the requests; empty for no principal.
    pub principals: Vec<Option<Principal>>,
    /// The rules.
    pub rules: Rules,
    /// How fast.
    pub pace: Pace,
}

/// What came of one exchange.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It can be stored.
    Recorded(Box<Golden>),
    /// It cannot.
    Refused {
        /// The file that it would have had.
        file: String,
        /// Why, each as a sentence.
        why: Vec<String>,
    },
}

/// One request, of one principal, in one protocol.
#[derive(Clone, Debug)]
struct Task {
    request: Request,
    principal: Option<Principal>,
    protocol: Protocol,
}

/// Records every request. `progress` receives the number of finished requests and of all.
pub async fn capture(
    capture: &Capture,
    requests: &[Request],
    mut progress: impl FnMut(usize, usize),
) -> Vec<Outcome> {
    let anonymous = [None];
    let principals = if capture.principals.is_empty() { &anonymous[..] } else { &capture.principals };
    let mut tasks = Vec::new();
    for protocol in &capture.protocols {
        for principal in principals {
            tasks.extend(requests.iter().map(|request| Task {
                request: request.clone(),
                principal: principal.clone(),
                protocol: *protocol,
            }));
        }
    }
    let all = tasks.len() * 2;
    let shared = Arc::new(capture.clone());
    let send = |task: Option<Task>| {
        let capture = Arc::clone(&shared);
        async move {
            match task {
                Some(task) => Some(capture.send(&task).await),
                None => None,
            }
        }
    };
    let is_safe = |task: &Option<Task>| task.as_ref().is_none_or(|task| task.request.is_safe());
    let concurrency = capture.pace.concurrency;
    let first = tasks.iter().cloned().map(Some).collect();
    let first = in_order(first, concurrency, is_safe, &send, |done| progress(done, all)).await;
    tokio::time::sleep(PAUSE).await;
    let second = tasks.iter().map(|task| task.request.is_safe().then(|| task.clone())).collect();
    let half = tasks.len();
    let second = in_order(second, concurrency, is_safe, &send, |done| progress(half + done, all)).await;
    let answers = first.into_iter().zip(second);
    tasks
        .into_iter()
        .zip(answers)
        .map(|(task, (first, second))| capture.outcome(task, first, second))
        .collect()
}

type Answered = Option<Result<Answer, String>>;

impl Capture {
    async fn send(&self, task: &Task) -> Result<Answer, String> {
        let Task { request, principal, protocol } = task;
        let host = self.host_of(request);
        let own = principal.as_ref().map(|principal| principal.lines.as_slice()).unwrap_or_default();
        let lines = request.lines(&host, own);
        let sent = self.from.send(request, &lines, *protocol, self.pace.patience).await;
        sent.map_err(|error| error.to_string())
    }

    fn host_of(&self, request: &Request) -> String {
        let named = self.host.clone().or_else(|| request.host.clone());
        named.unwrap_or_else(|| self.from.authority().to_owned())
    }

    fn outcome(&self, task: Task, first: Answered, second: Answered) -> Outcome {
        let Task { mut request, principal, protocol } = task;
        request.host = Some(self.host_of(&request));
        let mut why = Vec::new();
        let mut golden = None;
        match (first, second) {
            (Some(Ok(first)), second @ (None | Some(Ok(_)))) => {
                let second = second.and_then(Result::ok);
                let learned = learn(&request.name, &first, second.as_ref(), &self.rules);
                why.extend(learned.unfit);
                why.extend(learned.unstable.into_iter().map(|place| {
                    format!("a second answer differs ({place}); declare it with `volatile` or `ignore` in the rules file")
                }));
                let answer = learned.recorded;
                let principal = principal.map(|principal| principal.name);
                let made = Golden { request: request.clone(), protocol, principal, answer };
                why.extend(self.secrets(&made));
                golden = Some(made);
            }
            (Some(Err(error)), _) | (_, Some(Err(error))) => why.push(format!("no answer: {error}")),
            (None, _) => why.push("no answer".to_owned()),
        }
        match golden.filter(|_| why.is_empty()) {
            Some(golden) => Outcome::Recorded(Box::new(golden)),
            None => Outcome::Refused { file: format!("{}.{EXTENSION}", request.name), why },
        }
    }

    /// What must not be stored, as sentences.
    fn secrets(&self, golden: &Golden) -> Vec<String> {
        let found = sensitive::findings(golden);
        let counted = found.into_iter().filter(|one| !self.rules.allows(&golden.request.name, one.kind));
        counted
            .map(|Finding { kind, place, hint }| {
                let kind = kind.as_str();
                format!(
                    "{place} looks like {kind} ({hint}); declare it volatile, or `allow: [{{ kind: {kind}, request: {} }}]` in the rules file",
                    golden.request.name
                )
            })
            .collect()
    }
}

/// Writes golden files into `directory`, and returns the files that belong to no exchange any more.
///
/// # Errors
/// The error of the system, with the path.
pub fn store(directory: &Path, goldens: &[&Golden]) -> Result<Vec<PathBuf>, String> {
    let failed = |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let mut written = BTreeSet::new();
    for golden in goldens {
        let path = directory.join(golden.file_name());
        std::fs::write(&path, golden.written()).map_err(|error| failed(&path, error))?;
        written.insert(path);
    }
    let entries = std::fs::read_dir(directory).map_err(|error| failed(directory, error))?;
    let others = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|extension| extension == EXTENSION) && !written.contains(path)
    });
    let mut others: Vec<PathBuf> = others.collect();
    others.sort();
    Ok(others)
}
