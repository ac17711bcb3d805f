//! Requests of each kind that `cutover contract` reads beside hurl files: made from an OpenAPI document, recorded by a browser
//! (HAR), and taken from the edge's own access log.

use std::path::Path;
use std::process::Command;

use harness::{Edge, repository, venv};

use super::app::App;
use super::{contract, edge_before};

/// Records `requests` from `app` and compares the edge with it; returns how many there are.
fn is_the_same(app: &App, edge: &Edge, place: &Path, requests: &str, more: &[&str]) -> usize {
    let out = place.join(format!("golden-{}", requests.rsplit('/').next().unwrap_or_default()));
    let out = out.display().to_string();
    let (direct, against) = (format!("http://{}", app.address()), format!("http://{}", edge.public()));
    let capture = ["capture", "--from", &direct, "--requests", requests, "--host", "app.test", "--out", &out];
    let said = contract(place, &[&capture[..], more].concat());
    let files = std::fs::read_dir(&out).expect("it was written").count();
    assert!(said.contains(&format!("{files} of {files} exchanges are in")), "{said}");
    // What was recorded, over both protocols, and the running application beside the edge.
    let said = contract(place, &["verify", "--requests", &out, "--against", &against, "--protocol", "both"]);
    assert!(said.contains(&format!("{0} of {0} requests equal, 0 differences", 2 * files)), "{said}");
    let said = contract(place, &["verify", "--requests", &out, "--against", &against, "--direct", &direct]);
    assert!(said.contains(&format!("{files} of {files} requests equal, 0 differences")), "{said}");
    files
}

/// Lets a browser visit the application through the edge.
fn visited(edge: &Edge, archive: &Path) {
    let script = repository().join("contracts/harness/tests/documents/strangers/visit.py");
    let mut command = Command::new(venv().join("bin/python"));
    command.arg(script).arg(edge.public().port().to_string()).arg(archive);
    let output = command.output().expect("`make setup` makes the Python environment");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the visit failed (`make setup` installs Playwright and Chromium): {said}"
    );
}

#[test]
fn requests_of_a_document_a_browser_and_the_access_log_are_the_same_through_the_edge() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::wsgi("httpbin", "httpbin:app", place.path());
    let edge = edge_before(&app);
    let document = repository().join("contracts/apps/httpbin/openapi.yaml").display().to_string();
    // Two examples of `/post`, two of `/status/{code}`, and one request of each other operation.
    assert_eq!(is_the_same(&app, &edge, place.path(), &document, &["--unsafe-too"]), 10);

    let archive = place.path().join("visit.har");
    visited(&edge, &archive);
    let archive = archive.display().to_string();
    // Two pages of links, the form and its answer, a redirect and its target, a call of a script; an icon may be asked for.
    let recorded = is_the_same(&app, &edge, place.path(), &archive, &[]);
    assert!((7..=9).contains(&recorded), "{recorded} requests");

    let log = edge.home().join("logs/access.json");
    let lines = edge.access_log(30).len();
    let log = log.display().to_string();
    let logged = is_the_same(&app, &edge, place.path(), &log, &[]);
    assert!(logged >= 8 && logged < lines, "{logged} requests of {lines} lines");
}
