//! Hostile input for every operation of every service, at the service itself and through the edge: each request has an answer,
//! the answer is never a failure of the server, and it is the same on SQLite and on PostgreSQL.
//!
//! The requests are made of the OpenAPI documents, so an operation cannot be forgotten.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod files;
pub(crate) mod inputs;
pub(crate) mod older;
mod stage;

use std::fmt::Write as _;

use harness::operations::{self, Operation};
use harness::wire::Answer;
use harness::{is_thorough, repository};
use inputs::Hostile;
use kit::testing::PrivatePostgres;
use serde_json::Value;
use stage::{As, Stage, Surface};

/// The services: those with a database, and the file host.
const SERVICES: [&str; 6] = ["users", "library", "auth", "notifications", "tenants", FILES];

/// The service of the file host.
const FILES: &str = "image";

/// Its programs sign every byte: `sync.rs` sends it hostile requests with a signature.
const BY_ITS_OWN_TEST: &str = "sync";

/// What several inputs have in them, and a page in HTML must never repeat as it is.
const MARK: &str = "<i>mark</i>";

/// How many findings a failed test prints.
const MAX_SHOWN: usize = 40;

/// One way to one operation.
struct Way {
    service: &'static str,
    operation: Operation,
    caller: As,
    is_direct: bool,
}

fn document(service: &str, kind: &str) -> Vec<Operation> {
    let file = repository().join(format!("services/{service}/openapi/{kind}.yaml"));
    let text = std::fs::read_to_string(file).expect("the document is readable");
    operations::of(&serde_saphyr::from_str::<Value>(&text).expect("the document is YAML"))
}

/// The service that may call an internal operation.
fn caller_of(operation: &Operation) -> As {
    let path = operation.path.as_str();
    As::Service(match path {
        _ if path.contains("/tenants/{tenant}") => "tenants",
        _ if path.starts_with("/_/tenants") => "admin",
        _ if path == "/_/books" && operation.method == "PUT" => "sync",
        _ if path.starts_with("/_/books") || path == "/_/command" => "users",
        _ if path.starts_with("/_/users/notifications") || path.starts_with("/_/users/books") => "library",
        _ => "auth",
    })
}

fn later_ways() -> Vec<Way> {
    let mut all = Vec::new();
    for service in SERVICES {
        for operation in document(service, "public") {
            for is_direct in [true, false] {
                all.push(Way { service, operation: operation.clone(), caller: As::Person, is_direct });
            }
        }
    }
    // Last, because a tenant's data is removed by one of them.
    for service in SERVICES {
        for operation in document(service, "internal") {
            let caller = caller_of(&operation);
            all.push(Way { service, operation, caller, is_direct: true });
        }
    }
    all
}

/// The inputs of a way. A thorough run sends all of them; otherwise each operation gets another share, so that every kind of
/// input is sent to many operations. The edge treats all bodies alike, so it gets fewer.
fn with_inputs((number, way): (usize, Way)) -> (Way, Vec<Hostile>) {
    let step = match (is_thorough(), way.is_direct) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 12,
    };
    let of_files = if way.service == FILES { files::of(&way.operation) } else { Vec::new() };
    let inputs =
        inputs::of(&way.operation).into_iter().chain(of_files).skip(number % step).step_by(step).collect();
    (way, inputs)
}

impl Way {
    /// Sends all inputs, with one proof of the caller for all of them.
    fn send(&self, stage: &Stage, inputs: &[Hostile]) -> Vec<Outcome> {
        let proof = if self.is_direct { stage.identity(self.service, self.caller) } else { stage.token() };
        let request = |input: &Hostile| {
            if self.is_direct {
                stage.direct(self.service, self.caller, &proof, input)
            } else {
                stage.through_the_edge(self.service, &proof, input)
            }
        };
        let outcome = |input| request(input).try_send().map_err(|fault| fault.to_string());
        inputs.iter().map(outcome).collect()
    }
}

/// What was answered, or why nothing was.
type Outcome = Result<Answer, String>;

/// What is wrong with an answer by itself.
fn fault(outcome: &Outcome) -> Option<String> {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(fault) => return Some(format!("no answer: {fault}")),
    };
    let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with(b"text/html"));
    if answer.status >= 500 {
        Some(format!("{answer:?}"))
    } else if answer.header("x-injected").is_some() {
        Some(format!("a header of the client's: {answer:?}"))
    } else if is_page && answer.text().contains(MARK) {
        Some(format!("a page repeats markup: {answer:?}"))
    } else {
        None
    }
}

/// What two databases have to have in common: the status, and the words of a refusal. A limit (429) counts by the clock.
fn essence(answer: &Answer) -> Option<(u16, String)> {
    let words = if answer.status >= 400 { answer.text() } else { String::new() };
    (answer.status != 429).then_some((answer.status, words))
}

#[test]
fn hostile_input_gets_a_refusal_and_the_same_one_on_both_databases() {
    let ways = later_ways();
    let count = |is_direct: bool| ways.iter().filter(|way| way.is_direct == is_direct).count();
    assert!(count(true) >= 64 && count(false) >= 42, "{} and {} operations", count(true), count(false));

    try_on_both(Surface::Later, ways);
}

#[test]
fn the_older_surface_refuses_hostile_input_alike_on_both_databases() {
    let ways = older::operations().into_iter().flat_map(|(service, operation)| {
        [true, false].map(|is_direct| Way {
            service,
            operation: operation.clone(),
            caller: As::Person,
            is_direct,
        })
    });
    try_on_both(Surface::Older, ways.collect());
}

fn try_on_both(surface: Surface, ways: Vec<Way>) {
    let ways: Vec<(Way, Vec<Hostile>)> = ways.into_iter().enumerate().map(with_inputs).collect();
    let postgres = PrivatePostgres::start();
    let url = postgres.url();
    let run = |database: Option<&str>| {
        let stage = Stage::start(surface, database);
        let outcomes: Vec<_> = ways.iter().map(|(way, inputs)| way.send(&stage, inputs)).collect();
        (outcomes, SERVICES.map(|service| stage.log(service)))
    };
    let ((on_sqlite, sqlite_log), (on_postgres, postgres_log)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(Some(&url)));
        (run(None), other.join().expect("the other database is done"))
    });

    let mut findings = Vec::new();
    for ((way, inputs), (sqlite, postgres)) in ways.iter().zip(on_sqlite.iter().zip(&on_postgres)) {
        for (input, (sqlite, postgres)) in inputs.iter().zip(sqlite.iter().zip(postgres)) {
            let place = if way.is_direct { way.service } else { "edge" };
            let shown = input.shown();
            for (store, outcome) in [("SQLite", sqlite), ("PostgreSQL", postgres)] {
                findings.extend(fault(outcome).map(|fault| format!("{place}, {store}: {shown}\n{fault}")));
            }
            if let (Ok(one), Ok(other)) = (sqlite, postgres)
                && let (Some(one), Some(other)) = (essence(one), essence(other))
                && one != other
            {
                findings.push(format!("{place}: {shown}\nSQLite {one:?}, PostgreSQL {other:?}"));
            }
        }
    }
    let mut report = format!("{} findings\n", findings.len());
    for finding in findings.iter().take(MAX_SHOWN) {
        let _ = writeln!(report, "{finding}\n");
    }
    assert!(findings.is_empty(), "{report}\n{sqlite_log:#?}\n{postgres_log:#?}");
}

#[test]
fn every_service_with_documents_gets_hostile_input() {
    let all = std::fs::read_dir(repository().join("services")).expect("the services are there");
    let mut missing: Vec<String> = all
        .map(|entry| entry.expect("the directory is readable").path())
        .filter(|service| service.join("openapi").exists())
        .filter_map(|service| Some(service.file_name()?.to_string_lossy().into_owned()))
        .collect();
    missing.retain(|name| name != BY_ITS_OWN_TEST && !SERVICES.contains(&name.as_str()));
    assert!(missing.is_empty(), "add {missing:?} to SERVICES");
}
