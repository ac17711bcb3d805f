//! From the edge file to an Envoy that accepts the result: the same bytes every time, or one clear message.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::{envoy, guard, program, repository};

fn cutover(home: &Path, arguments: &[&str]) -> Output {
    Command::new(program("cutover"))
        .args(arguments)
        .current_dir(repository())
        .env("CUTOVER_HOME", home)
        .env("CUTOVER_GUARD", guard())
        .env("ENVOY", envoy())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn edge_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join("envoy/edges")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    // Data beside an edge file has a name with two dots: `dev.run.yaml`.
    let is_edge = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "yaml")
            && path.file_stem().is_some_and(|stem| !stem.to_string_lossy().contains('.'))
    };
    files.filter(is_edge).collect()
}

/// Every file below `directory`, by its path in it.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                found.push((
                    path.clone(),
                    std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                ));
            } else if path.is_dir() {
                waiting.push(path);
            } else {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn envoy_accepts_every_shipped_edge() {
    let files = edge_files();
    assert!(!files.is_empty());
    for file in files {
        let home = tempfile::tempdir().unwrap();
        // Envoy reads the certificate of an edge that has one.
        assert!(cutover(home.path(), &["certs"]).status.success());
        let output = cutover(home.path(), &["render", file.to_str().unwrap(), "--validate"]);
        assert!(output.status.success(), "{}: {}", file.display(), stderr(&output));
    }
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("envoy");
    assert!(cutover(home.path(), &["render"]).status.success());
    let first = contents(&out);
    std::fs::remove_dir_all(&out).unwrap();
    assert!(cutover(home.path(), &["render"]).status.success());
    assert!(first == contents(&out), "the second rendering differs");
    assert!(cutover(home.path(), &["render"]).status.success());
    assert!(first == contents(&out), "rendering over itself changed something");
}

#[test]
fn every_route_carries_the_revision_and_its_policy() {
    let home = tempfile::tempdir().unwrap();
    assert!(cutover(home.path(), &["render"]).status.success());
    let edge = edge_config::load(&repository().join("envoy/edges/dev.yaml"), &|_| None).unwrap();
    let mut rendered = 0;
    for listener in edge.listeners.keys() {
        let text = std::fs::read(home.path().join(format!("envoy/current/routes-{listener}.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for host in json["resources"][0]["virtual_hosts"].as_array().unwrap() {
            let mut routes = Vec::new();
            collect_routes(host, &mut routes);
            for route in routes {
                let metadata = &route["metadata"]["filter_metadata"]["cutover"];
                assert_eq!(metadata["revision"], edge.revision.0, "{route:#}");
                assert!(metadata["policy"].is_string(), "{route:#}");
                rendered += 1;
            }
        }
    }
    assert!(rendered > edge.routes.len());
}

/// Every Envoy route below `value`, at any depth.
fn collect_routes<'a>(value: &'a serde_json::Value, routes: &mut Vec<&'a serde_json::Value>) {
    if value["match"].is_object() && value["name"].is_string() {
        routes.push(value);
        return;
    }
    let below: Vec<_> = match value {
        serde_json::Value::Object(fields) => fields.values().collect(),
        serde_json::Value::Array(elements) => elements.iter().collect(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => Vec::new(),
    };
    for value in below {
        collect_routes(value, routes);
    }
}

#[test]
fn a_changed_file_moves_the_link_and_a_refused_one_does_not() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("edge.yaml");
    let text = std::fs::read_to_string(repository().join("envoy/edges/dev.yaml")).unwrap();
    let render = |text: &str| {
        std::fs::write(&file, text).unwrap();
        cutover(home.path(), &["render", file.to_str().unwrap(), "--validate"])
    };
    let current = || std::fs::read_link(home.path().join("envoy/current")).unwrap();
    assert!(render(&text).status.success());
    let first = current();
    assert!(render(&text.replace("prefix: /openapi", "prefix: /open-api")).status.success());
    assert_ne!(current(), first);
    let second = current();
    assert_eq!(render(&text.replace("policy: bot", "policy: nobody")).status.code(), Some(64));
    assert_eq!(current(), second, "a refused file became current");
    // The old configuration still exists, and rendering it again makes it current.
    assert!(render(&text).status.success());
    assert_eq!(current(), first);
}

#[test]
fn bad_input_gets_one_message_with_the_file_and_the_fix() {
    let home = tempfile::tempdir().unwrap();
    let broken = home.path().join("broken.wasm");
    let module = std::fs::read(guard()).unwrap();
    std::fs::write(&broken, &module[..module.len() / 2]).unwrap();
    let broken = broken.to_str().unwrap().to_owned();
    let ten = repository().join("packages/edge-config/tests/files/ten-faults.yaml");
    let cases: [(&[&str], i32, &[&str]); 5] = [
        (&["render", "--guard", &broken], 1, &[&broken, "truncated", "make wasm"]),
        (&["render", "--guard", "/nowhere.wasm"], 1, &["/nowhere.wasm", "make wasm"]),
        (&["render", "--validate", "--envoy", "/nowhere/envoy"], 1, &["/nowhere/envoy", "make setup"]),
        (
            &["lint", ten.to_str().unwrap()],
            64,
            &["ten-faults.yaml:26:", "no `policy`", "help |", "20 faults"],
        ),
        (&["lint", "/nowhere.yaml"], 64, &["/nowhere.yaml", "cannot be read"]),
    ];
    for (arguments, code, expected) in cases {
        let output = cutover(home.path(), arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        for part in expected {
            assert!(message.contains(part), "{arguments:?} should say {part:?}, but says:\n{message}");
        }
    }
    let json = cutover(home.path(), &["lint", "--json", ten.to_str().unwrap()]);
    let faults: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(faults.as_array().unwrap().len(), 20);
    assert!(faults[0]["line"].is_u64() && faults[0]["mend"].is_string());
    assert_eq!(cutover(home.path(), &["lint"]).status.code(), Some(2), "usage");
}
