//! Every public path of the contract belongs to a new service at each edge that has the legacy backend behind it, and one
//! `cutover set` moves it back.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use edge_config::{Match, route_of};
use harness::{Edge, eventually, operations, program, repository};

use crate::moving_auth::browser::{Browser, EMAIL};

/// The edges, each with the names of its hosts for the API and for files.
const EDGES: [(&str, &str, &str); 3] = [
    ("dev", "api.dev-domain.test", "file.dev-domain.test"),
    ("prod", "api.example.com", "file.example.com"),
    ("web", "api.cutover.localhost", "file.cutover.localhost"),
];

fn operations_of_the_contract() -> Vec<operations::Operation> {
    let file = repository().join("contracts/openapi/public.yaml");
    let text = std::fs::read_to_string(file).expect("the document is readable");
    let found = operations::of(&serde_saphyr::from_str(&text).expect("the document is YAML"));
    assert!(found.len() >= 42, "{} operations", found.len());
    found
}

#[test]
fn every_public_path_of_the_contract_goes_to_a_new_service_and_can_be_moved_back() {
    let home = tempfile::tempdir().expect("a temporary directory");
    for (name, api, files) in EDGES {
        let file = repository().join(format!("envoy/edges/{name}.yaml"));
        let text = std::fs::read_to_string(&file).expect("the edge file is readable");
        let edge = edge_config::load(&file, &|_| None).expect("the edge file is valid");
        let copy = home.path().join(format!("{name}.yaml"));
        let mut moved = Vec::new();
        for operation in operations_of_the_contract() {
            let host = if operation.server.is_some() { files } else { api };
            let target = operation.target();
            let path = target.split('?').next().unwrap_or_default();
            let served = edge.hosts.get(if operation.server.is_some() { "file" } else { "api" });
            let listener = served.and_then(|host| host.listeners.first()).expect("the edge has the host");
            let taken = route_of(&edge, listener.as_str(), host, &operation.method, path);
            let Match::Route(route) = taken else {
                panic!("{name}: {} {path} has no route", operation.method);
            };
            let backend = route.destination.only().map(ToString::to_string);
            assert!(
                backend.as_deref().is_some_and(|backend| backend != "legacy"),
                "{name}: {} {path} takes the route {} to {backend:?}",
                operation.method,
                route.name
            );
            if !moved.contains(&route.name) {
                moved.push(route.name.clone());
            }
        }
        assert!(moved.len() >= 12, "{name}: {moved:?}");
        for route in moved {
            std::fs::write(&copy, &text).expect("it is writable");
            let mut set = std::process::Command::new(program("cutover"));
            let output = set.arg("set").arg(&copy).args([&route, "--to", "legacy"]).output();
            let output = output.expect("cutover can be started");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{name}: {route}: {said}");
            let back = edge_config::load(&copy, &|_| None).expect("the edge file is valid");
            let to = back.routes.iter().find(|one| one.name == route).and_then(|one| one.destination.only());
            assert_eq!(to.map(ToString::to_string).as_deref(), Some("legacy"), "{name}: {route}");
        }
    }
}

#[test]
fn a_new_session_has_its_pictures_at_the_production_edge() {
    let edge = Edge::shipped("prod")
        .replace("names: [api.example.com]", "names: [api.example.com, localhost]")
        .variable("EDGE_NAME", "prod")
        .variable("ROOT_DOMAIN", "example.com")
        .variable("TOKEN_ISSUER", "https://api.example.com/auth")
        .variable("TOKEN_AUDIENCE", "https://api.example.com")
        .start();
    let browser = Browser::sign_in(&edge, |method, path| edge.request(method, path));
    let page = || edge.get("/image/library/7/1.png").host("file.example.com");
    assert_eq!(page().send().status, 401, "without a session");
    let picture = browser.send(page());
    assert!(picture.status == 200 && picture.body.starts_with(b"\x89PNG"), "{}: {EMAIL}", picture.status);
    let file = edge.file().display().to_string();
    edge.cutover(&["set", &file, "files", "--to", "legacy"]);
    edge.render();
    eventually("the legacy backend has the pictures", || browser.send(page()).body != picture.body);
}
