//! Every public path of the contract belongs to a new service at each edge that has the legacy backend behind it, and one
//! `cutover set` moves it back.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use edge_config::{Match, route_of};
use harness::{Edge, eventually, operations, program, repository};

use crate::pages;

use crate::moving_auth::browser::{Browser, EMAIL};

/// The edges, each with the domain below which its hosts are.
const EDGES: [(&str, &str); 3] =
    [("dev", "dev-domain.test"), ("prod", "example.com"), ("web", "cutover.localhost")];

/// The OpenAPI document, on the API host: in YAML, and where the legacy backend has it.
const DOCUMENTS: [&str; 3] = ["/openapi/", "/openapi/openapi.json", "/openapi/public.yaml"];

/// A host of an edge file, its name, a method and a path.
type Public = (&'static str, String, String, String);

/// Every public path below `domain`: the operations of the document, the document itself, and the pages.
fn public_paths(domain: &str) -> Vec<Public> {
    let (api, files) = (format!("api.{domain}"), format!("file.{domain}"));
    let get = |host: &'static str, name: &str, path: &str| {
        (host, name.to_owned(), "GET".to_owned(), path.to_owned())
    };
    let operations = operations_of_the_contract().into_iter().map(|operation| {
        let (host, name) = if operation.server.is_some() { ("file", &files) } else { ("api", &api) };
        let target = operation.target();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        (host, name.clone(), operation.method, path)
    });
    let documents = DOCUMENTS.map(|path| get("api", &api, path));
    let pages = pages::ROUTES.map(|path| get("web", domain, path));
    operations.chain(documents).chain(pages).collect()
}

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
    for (name, domain) in EDGES {
        let file = repository().join(format!("envoy/edges/{name}.yaml"));
        let text = std::fs::read_to_string(&file).expect("the edge file is readable");
        let edge = edge_config::load(&file, &|_| None).expect("the edge file is valid");
        let copy = home.path().join(format!("{name}.yaml"));
        let mut moved = Vec::new();
        for (key, host, method, path) in public_paths(domain) {
            let served = edge.hosts.get(key);
            let listener = served.and_then(|host| host.listeners.first()).expect("the edge has the host");
            let taken = route_of(&edge, listener.as_str(), &host, &method, &path);
            let Match::Route(route) = taken else {
                panic!("{name}: {method} {host}{path} has no route");
            };
            let backend = route.destination.only().map(ToString::to_string);
            assert!(
                backend.as_deref().is_some_and(|backend| backend != "legacy"),
                "{name}: {method} {host}{path} takes the route {} to {backend:?}",
                route.name
            );
            if !moved.contains(&route.name) {
                moved.push(route.name.clone());
            }
        }
        assert!(moved.len() >= 14, "{name}: {moved:?}");
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
