//! Compares what a server answers with golden exchanges, or with what another server answers.

mod finding;
mod http2;

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, SystemClock};
use comparison::compare::{Note, compare};
use comparison::judge::Open;
use comparison::noise::Noise;
use comparison::overlooked::Overlooked;
use comparison::redact::{Redactor, Secrets};
use edge_config::edge::DifferenceKind;
use http_wire::answer::Answer;

pub use finding::Finding;

use crate::exchange::{Protocol, Request};
use crate::golden::Golden;
use crate::learn::learn;
use crate::origin::Origin;
use crate::principal::Principal;
use crate::rules::Rules;
use crate::run::{Pace, in_order};

/// The pause before the reference is asked again.
const PAUSE: Duration = Duration::from_millis(1100);

/// How often the reference is asked again: once would miss a random choice between two values half of the time.
const LOOKS: usize = 2;

/// What is compared, and how.
#[derive(Debug)]
pub struct Verify {
    /// The server that is tested.
    pub against: Origin,
    /// The server whose answers are right; absent when golden exchanges are.
    pub direct: Option<Origin>,
    /// `Host` of every request; absent for the one that a request names, else the address of `against`.
    pub host: Option<String>,
    /// The rules.
    pub rules: Rules,
    /// Whether another framing of the body is a difference.
    pub framing: bool,
    /// How fast.
    pub pace: Pace,
    /// Removes credentials from what is shown.
    pub redactor: Redactor,
}

/// One request to compare.
#[derive(Clone, Debug)]
pub struct Task {
    /// The request.
    pub request: Request,
    /// Who sends it.
    pub principal: Option<Principal>,
    /// The protocol in which the tested server is asked.
    pub protocol: Protocol,
    /// The golden exchange: the reference, unless another server is; in any case it says what is volatile.
    pub golden: Option<Golden>,
}

/// What came of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The request's name.
    pub name: String,
    /// Where the request comes from.
    pub source: String,
    /// Method and target, without credentials.
    pub request: String,
    /// The principal; empty without one.
    pub principal: String,
    /// `h1` or `h2`.
    pub protocol: String,
    /// The differences.
    pub findings: Vec<Finding>,
    /// Why there is nothing to compare.
    pub failed: Option<String>,
    /// Whether the reference's own noise was left out.
    pub noise: bool,
    /// Whether a declared difference was left out.
    pub ignored: bool,
    /// What differs without being a difference.
    pub notes: Vec<&'static str>,
    /// Both answers without credentials, where they differ: the reference's and the tested server's.
    pub sides: Option<(String, String)>,
}

impl Outcome {
    /// Whether both answers are equal.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.findings.is_empty() && self.failed.is_none()
    }
}

/// The tasks for golden exchanges against a server. `protocol` replaces the recorded one.
///
/// # Errors
/// A sentence: a golden exchange has a principal that is not among `principals`.
pub fn of_goldens(
    goldens: &[Golden],
    principals: &[Option<Principal>],
    protocol: Option<Protocol>,
) -> Result<Vec<Task>, String> {
    let mut tasks = Vec::new();
    for golden in goldens {
        let principal = match &golden.principal {
            None => None,
            Some(name) => {
                let known = principals.iter().flatten().find(|principal| principal.name == *name);
                Some(known.cloned().ok_or_else(|| {
                    format!(
                        "{} was recorded as `{name}`; give that principal's file with --as {name}.headers",
                        golden.file_name()
                    )
                })?)
            }
        };
        let protocol = protocol.unwrap_or(golden.protocol);
        tasks.push(Task {
            request: golden.request.clone(),
            principal,
            protocol,
            golden: Some(golden.clone()),
        });
    }
    Ok(tasks)
}

/// The tasks for requests to two servers: each request once for each principal and protocol. A golden exchange of the
/// request says what is volatile.
#[must_use]
pub fn of_requests(
    requests: &[Request],
    goldens: &[Golden],
    principals: &[Option<Principal>],
    protocols: &[Protocol],
) -> Vec<Task> {
    let anonymous = [None];
    let principals = if principals.is_empty() { &anonymous[..] } else { principals };
    let mut names = std::collections::BTreeSet::new();
    let unique: Vec<&Request> =
        requests.iter().filter(|request| names.insert(request.name.clone())).collect();
    let mut tasks = Vec::new();
    for protocol in protocols {
        for principal in principals {
            tasks.extend(unique.iter().map(|request| Task {
                request: (*request).clone(),
                principal: principal.clone(),
                protocol: *protocol,
                golden: goldens.iter().find(|golden| golden.request.name == request.name).cloned(),
            }));
        }
    }
    tasks
}

/// Compares every task. `progress` receives the number of finished tasks and of all.
pub async fn verify(
    verify: Arc<Verify>,
    tasks: Vec<Task>,
    mut progress: impl FnMut(usize, usize),
) -> Vec<Outcome> {
    let all = tasks.len();
    let concurrency = verify.pace.concurrency;
    let work = |task: Task| {
        let verify = Arc::clone(&verify);
        async move { verify.one(&task).await }
    };
    in_order(tasks, concurrency, |task| task.request.is_safe(), work, |done| progress(done, all)).await
}

impl Verify {
    async fn one(&self, task: &Task) -> Outcome {
        let Task { request, principal, protocol, golden } = task;
        let own = principal.as_ref().map(|principal| principal.lines.as_slice()).unwrap_or_default();
        let host = self.host.clone().or_else(|| request.host.clone());
        let lines = request.lines(&host.unwrap_or_else(|| self.against.authority().to_owned()), own);
        let ask = |origin, protocol| self.ask(origin, task, &lines, protocol);
        let mut outcome = Outcome {
            name: request.name.clone(),
            source: request.source.clone(),
            principal: principal.as_ref().map(|principal| principal.name.clone()).unwrap_or_default(),
            protocol: protocol.as_str().to_owned(),
            ..Outcome::default()
        };
        let known = Secrets::of(&request.target, &lines, &[], &[]);
        outcome.request = format!("{} {}", request.method, self.redactor.target(&request.target, &known));
        let reference = match (&self.direct, golden) {
            (Some(direct), _) => ask(direct, Protocol::Http1).await,
            (None, Some(golden)) => Ok(golden.answer.answer()),
            (None, None) => Err("there is neither a golden answer nor a --direct server".to_owned()),
        };
        let reference = match reference {
            Ok(reference) => reference,
            Err(why) => {
                outcome.failed = Some(format!("the reference does not answer: {why}"));
                return outcome;
            }
        };
        let tested = match ask(&self.against, *protocol).await {
            Ok(tested) => tested,
            Err(why) => {
                outcome.failed = Some(format!("the tested server does not answer: {why}"));
                return outcome;
            }
        };
        let secrets = Secrets::of(&request.target, &lines, &[], &[&reference, &tested]);
        let readable = [&reference, &tested].map(|answer| finding::readable(answer.clone()));
        let secrets = secrets.and(finding::secret_values(&[&readable[0], &readable[1]]));
        self.compared(task, &lines, reference, tested, &secrets, &mut outcome).await;
        outcome
    }

    async fn ask(
        &self,
        origin: &Origin,
        task: &Task,
        lines: &[http_wire::answer::Line],
        protocol: Protocol,
    ) -> Result<Answer, String> {
        let sent = origin.send(&task.request, lines, protocol, self.pace.patience).await;
        sent.map_err(|error| error.to_string())
    }

    async fn compared(
        &self,
        task: &Task,
        lines: &[http_wire::answer::Line],
        reference: Answer,
        tested: Answer,
        secrets: &Secrets,
        outcome: &mut Outcome,
    ) {
        let ignored = self.rules.ignored_of(&task.request.name);
        let overlooked = Overlooked::listed(&ignored, &task.request.name);
        // Both sides are brought into the form in which they can be equal.
        let recorded = match &task.golden {
            Some(golden) => golden.answer.clone(),
            None => learn(&task.request.name, &reference, None, &self.rules).recorded,
        };
        let prepare = |answer: &Answer| {
            let mut answer = recorded.normal(answer);
            if task.protocol == Protocol::Http2 {
                http2::carried(&mut answer);
            }
            overlooked.strip(&mut answer);
            answer
        };
        let (one, other) = (prepare(&reference), prepare(&tested));
        let comparison = compare(&one, &other);
        let mut differences = comparison.differences;
        if !self.rules.ignores_trailers {
            differences.extend(comparison::compare::trailers(&one, &other));
        }
        if recorded.packed_anew {
            differences.retain(|difference| difference.kind != DifferenceKind::BodyEncoding);
        }
        let now = SystemClock.now();
        let mut open = Open::new(differences, overlooked, &Noise::default(), now);
        // Only a reference that can be asked again can show its own noise.
        if let Some(direct) = self.direct.as_ref().filter(|_| task.request.is_safe()) {
            for _ in 0..LOOKS {
                if open.differences.is_empty() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                let Ok(again) = self.ask(direct, task, lines, Protocol::Http1).await else { break };
                let _ = open.look(&one, Some(&other), &prepare(&again));
            }
        }
        (outcome.noise, outcome.ignored) = (open.noise || open.moved, open.ignored);
        outcome.notes = comparison.notes.iter().map(|note| note.as_str()).collect();
        // People read what is in compressed bodies.
        let (one, other) = (finding::readable(one), finding::readable(other));
        let shown = |difference| finding::of(difference, &one, &other, &self.redactor, secrets);
        outcome.findings = open.differences.iter().map(shown).collect();
        finding::one_text(&mut outcome.findings, &one, &other, &self.redactor, secrets);
        if self.framing && comparison.notes.contains(&Note::Framing) {
            outcome.findings.push(finding::framing(&one, &other));
        }
        if !outcome.findings.is_empty() {
            let side = |answer: &Answer| self.redactor.document(&finding::side(answer), secrets);
            outcome.sides = Some((side(&one), side(&other)));
        }
    }
}
