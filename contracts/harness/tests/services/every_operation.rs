//! Every operation of the OpenAPI documents of the services, public and internal, answers a good request through the edge, on
//! SQLite and on PostgreSQL. `docs/operations.md` is the list; an operation without an exchange fails.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod exchanges;
mod older_surface;
mod run;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use harness::operations::{self, Operation};
use harness::repository;
use kit::testing::PrivatePostgres;
use run::{Run, Shown};

/// The services whose documents are covered here.
const SERVICES: [&str; 6] = ["auth", "image", "library", "notifications", "tenants", "users"];

/// Its programs sign every byte, on an edge of their own: this test sends each of its operations, on both databases.
const SYNC: (&str, &str) = ("sync", "contracts/harness/tests/services/sync.rs");

fn of(service: &str, kind: &str) -> Vec<Operation> {
    let file = repository().join(format!("services/{service}/openapi/{kind}.yaml"));
    let text = std::fs::read_to_string(file).expect("the document is readable");
    operations::of(&serde_saphyr::from_str(&text).expect("the document is YAML"))
}

/// Every operation of the documents, as `METHOD /path/{name}`.
fn documented() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (service, kind) in SERVICES.iter().flat_map(|service| [(service, "public"), (service, "internal")]) {
        all.extend(of(service, kind).iter().map(|one| format!("{} {}", one.method, one.path)));
    }
    all
}

#[test]
fn every_operation_answers_through_the_edge_on_both_databases() {
    let postgres = PrivatePostgres::start();
    let url = postgres.url();
    let (on_sqlite, on_postgres) = std::thread::scope(|scope| {
        let other = scope.spawn(|| exchanges::all(Run::start(Some(&url))));
        (exchanges::all(Run::start(None)), other.join().expect("the other database is done"))
    });
    let shown: BTreeSet<String> = on_sqlite.iter().map(|one| one.operation.to_owned()).collect();
    let documented = documented();
    let missing: Vec<&String> = documented.difference(&shown).collect();
    assert!(missing.is_empty(), "add an exchange to every_operation/exchanges.rs for {missing:#?}");
    let unknown: Vec<&String> = shown.difference(&documented).collect();
    assert!(unknown.is_empty(), "no document has {unknown:#?}");
    is_written(&page(&on_sqlite, &on_postgres));
}

/// The page with its table: an exchange for each operation, and what it was answered on each database.
fn page(on_sqlite: &[Shown], on_postgres: &[Shown]) -> String {
    let mut page = "# Every operation\n\n\
        Each operation of the services' OpenAPI documents (`services/*/openapi`), with a caller whom the edge lets through and the\n\
        status of the answer to a good request, on each database. The services are on their later surfaces, and every request goes\n\
        through Envoy: that of a client to the public listener, that of a service to the listener for services. A renewal is\n\
        completed within its request, so no book is found in one (404).\n\n\
        `cargo test -p harness --test services every_operation` sends them and compares this page; it fails for an operation without an\n\
        exchange. `CUTOVER_WRITE=1` before the command writes the page. Deliveries are signed byte by byte:\n"
        .to_owned();
    let _ = writeln!(page, "`{}` sends the operations of the service `{}`.", SYNC.1, SYNC.0);
    page += "\n| operation | caller | SQLite | PostgreSQL |\n|---|---|---|---|\n";
    assert_eq!(on_sqlite.len(), on_postgres.len(), "both databases get the same requests");
    let mut rows: Vec<(&Shown, &Shown)> = on_sqlite.iter().zip(on_postgres).collect();
    rows.sort_by_key(|(one, _)| one.operation.split_once(' ').map(|(method, path)| (path, method)));
    for (sqlite, postgres) in rows {
        let Shown { operation, caller, status } = sqlite;
        let _ = writeln!(page, "| `{operation}` | {caller} | {status} | {} |", postgres.status);
    }
    page += "\n## The older surface\n\n\
        It has no documents. `contracts/whole` has its requests; `cargo test -p harness --test services whole_set` sends each of them to the\n\
        legacy sample and through the edge, as several callers, on both databases, and finds no difference that is not declared.\n\n\
        | operation | requests |\n|---|---|\n";
    for (operation, requests) in older_surface::counted() {
        assert!(requests > 0, "contracts/whole has no request for {operation}");
        let _ = writeln!(page, "| `{operation}` | {requests} |");
    }
    page
}

fn is_written(page: &str) {
    let file = repository().join("docs/operations.md");
    if std::env::var_os("CUTOVER_WRITE").is_some() {
        std::fs::write(&file, page).expect("the page is writable");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(written, page, "run `CUTOVER_WRITE=1 cargo test -p harness --test services every_operation`");
}

#[test]
fn every_service_with_documents_is_covered() {
    let all = std::fs::read_dir(repository().join("services")).expect("the services are there");
    let mut missing: Vec<String> = all
        .map(|entry| entry.expect("the directory is readable").path())
        .filter(|service| service.join("openapi").exists())
        .filter_map(|service| Some(service.file_name()?.to_string_lossy().into_owned()))
        .collect();
    missing.retain(|name| !SERVICES.contains(&name.as_str()) && name != SYNC.0);
    assert!(missing.is_empty(), "add {missing:?} to SERVICES");
    // The beginning of each target up to the first name in braces.
    let test = std::fs::read_to_string(repository().join(SYNC.1)).expect("the test is readable");
    for operation in of(SYNC.0, "internal") {
        let parts: Vec<&str> = operation.path.split('/').filter(|part| !part.starts_with('{')).collect();
        let word = parts.last().copied().unwrap_or_default();
        assert!(test.contains(word), "{}: no request for {} {}", SYNC.1, operation.method, operation.path);
    }
}
