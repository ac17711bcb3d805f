//! Hostile requests for every operation of the sync service, at the service itself and signed through the edge.

use harness::operations::{self, Operation};
use harness::wire::{Connection, Request};
use harness::{is_thorough, repository};
use serde_json::Value;

use super::program::{Stage, sha256};
use crate::hostile::inputs::{self, Hostile};

/// Sends all of them. Each has an answer, and none is a failure of the server.
pub(crate) fn every_request_is_answered(stage: &Stage) {
    prepare(stage);
    let mut findings = Vec::new();
    let mut count = 0;
    for (number, operation) in documented().iter().enumerate() {
        let inputs = inputs::of(operation).into_iter().chain(files(operation));
        // A thorough run sends all of them, another one a share of each kind. What the edge does with a body does not depend on
        // it, so it gets fewer.
        let steps = if is_thorough() { [1, 4] } else { [2, 12] };
        for (at, input) in inputs.enumerate().map(|(at, input)| (at + number, input)) {
            let directly = at.is_multiple_of(steps[0]).then(|| direct(stage, &input));
            let signed = at.is_multiple_of(steps[1]).then(|| signed(stage, &input)).flatten();
            for (place, outcome) in [("sync", directly), ("edge", signed)]
                .into_iter()
                .filter_map(|(place, one)| Some((place, one?)))
            {
                count += 1;
                if !matches!(outcome, Ok(200..=499)) {
                    findings.push(format!("{place}: {}\n{outcome:?}", input.shown()));
                }
            }
        }
    }
    assert!(count >= 200, "{count} requests");
    findings.truncate(40);
    assert!(findings.is_empty(), "{}", findings.join("\n\n"));
}

/// The operations of the document, with values for which more than the first check is done.
fn documented() -> Vec<Operation> {
    let file = repository().join("services/sync/openapi/internal.yaml");
    let document: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut all = operations::of(&document);
    assert_eq!(all.len(), 5);
    for parameter in all.iter_mut().flat_map(|operation| &mut operation.parameters) {
        match parameter.name.as_str() {
            "job" => "hostile".clone_into(&mut parameter.value),
            "number" => "0".clone_into(&mut parameter.value),
            "length" => "1".clone_into(&mut parameter.value),
            "sha256" => parameter.value = sha256(b"x"),
            _ => {}
        }
    }
    all
}

/// Puts links and directories where files would be.
fn prepare(stage: &Stage) {
    let root = stage.pictures();
    std::fs::create_dir_all(root.join("taken/1.png")).unwrap();
    std::fs::write(root.join("taken/2.png"), "").unwrap();
    for (name, target) in [("outside", "/etc"), ("circle", "circle"), ("nothing", "no/where")] {
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", root.join("taken/3.png")).unwrap();
    std::os::unix::fs::symlink("4.png", root.join("taken/4.png")).unwrap();
}

/// Whole files of one byte for places that no file can have, and parts in places that no part can have.
fn files(operation: &Operation) -> Vec<Hostile> {
    if !operation.path.ends_with("/files") {
        return Vec::new();
    }
    let paths = [
        "taken/1.png",
        "taken/1.png/1.png",
        "taken/2.png/1.png",
        "taken/3.png",
        "taken/4.png",
        "taken/4.png/1.png",
        "outside/1.png",
        "circle/1.png",
        "nothing/1.png",
        "a/1.png",
    ];
    let offsets = ["0", "1", "2", "18446744073709551615"];
    let targets = paths.iter().map(|path| operation.target_with("path", path));
    let parts = offsets.iter().map(|offset| operation.target_with("offset", offset));
    targets
        .chain(parts)
        .flat_map(|target| ["x", "", "xx"].map(|body| (target.clone(), body)))
        .map(|(target, body)| Hostile {
            method: operation.method.clone(),
            target: target.into_bytes(),
            headers: Vec::new(),
            body: Some(body.as_bytes().to_vec()),
        })
        .collect()
}

fn direct(stage: &Stage, input: &Hostile) -> Result<u16, String> {
    let request = stage.direct(&input.method, &input.target);
    let request = input.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    status(stage.service(), &input.body.iter().fold(request, |request, body| request.body(body)))
}

/// `None` for a target that the rules of signatures cannot express.
fn signed(stage: &Stage, input: &Hostile) -> Option<Result<u16, String>> {
    let target = std::str::from_utf8(&input.target).ok()?;
    let body = input.body.as_deref().unwrap_or_default();
    Some(status(stage.sync(), stage.signed(&input.method, target, body).request()))
}

/// The status of the answer. The rest of it can be a stream of events without an end.
fn status(address: std::net::SocketAddr, request: &Request) -> Result<u16, String> {
    let answer = || {
        let mut connection = Connection::open(address)?;
        connection.write(&request.bytes())?;
        connection.read_until(b"\r\n\r\n")
    };
    let head = answer().map_err(|fault: std::io::Error| fault.to_string())?;
    let head = String::from_utf8_lossy(&head).into_owned();
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(head)
}
