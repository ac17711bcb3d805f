//! `cutover schema`: what it prints is what the reader accepts.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};

use cutover::schema::{json, markdown};
use edge_config::describe::edge_file;
use serde_json::{Value, json};
use validator::faults;

#[path = "schema/validator.rs"]
mod validator;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn the_shipped_edge_files_are_valid() {
    let schema = json(&edge_file());
    for file in [
        "envoy/edges/dev.yaml",
        "envoy/edges/prod.yaml",
        "envoy/edges/coder.yaml",
        "envoy/edges/web.yaml",
        "envoy/edges/sync.yaml",
        "tools/cutover/tests/files/edge.yaml",
    ] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(faults(&schema, &read(&text)), Vec::<String>::new(), "{file}");
    }
}

#[test]
fn what_lint_refuses_for_its_form_the_schema_refuses_too() {
    let schema = json(&edge_file());
    let text = std::fs::read_to_string(root().join("envoy/edges/dev.yaml")).unwrap();
    for (old, new) in [
        ("edge: dev", "name: dev"),
        ("edge: dev", "edge: Dev"),
        ("timeout_ms: 200", "timeout: 200"),
        ("timeout_ms: 200", "timeout_ms: 0"),
        ("timeout_ms: 200", "timeout_ms: soon"),
        ("exposure: public", "exposure: open"),
        ("bearer: true", "bearer: yes please"),
        ("policy: signed-in, to: library, answers: library", "to: library, answers: library"),
        ("names: [dev-domain.test]", "names: dev-domain.test"),
        ("policies:\n", "policies:\n  No Name: { kind: public }\n"),
        ("kind: public", "kind: everybody"),
        ("to: library, answers: library", "to: { library: 101 }, answers: library"),
        ("to: library, answers: library", "to: { library: 100, sticky: mood }, answers: library"),
        ("status: 401", "status: 200"),
    ] {
        assert!(text.contains(old), "{old}");
        let wrong = read(&text.replacen(old, new, 1));
        assert!(!faults(&schema, &wrong).is_empty(), "{new}");
    }
}

#[test]
fn every_field_carries_its_words_and_an_example_of_its_own_form() {
    let described = edge_file();
    let schema = json(&described);
    for field in described.all() {
        let doc = field.doc.as_ref().unwrap();
        let steps = field.path.replace("[]", ".[]");
        let pointer = steps.split('.').fold(vec![&schema], |places, step| {
            places
                .into_iter()
                .flat_map(alternatives)
                .filter_map(|place| match step {
                    "[]" => place.get("items"),
                    "*" => place.get("additionalProperties"),
                    name => place.get("properties")?.get(name),
                })
                .collect()
        });
        assert!(!pointer.is_empty(), "{} is not in the schema", field.path);
        for property in pointer {
            assert!(
                property["description"].as_str().is_some_and(|text| text.starts_with(&doc.says)),
                "{}",
                field.path
            );
            for sample in [property.get("default"), property["examples"].get(0)].into_iter().flatten() {
                assert_eq!(faults(property, sample), Vec::<String>::new(), "{}: {sample}", field.path);
            }
            assert!(property["examples"].get(0).is_some(), "{} has no example", field.path);
        }
    }
}

/// A schema, or those of which it is any.
fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema["anyOf"].as_array() {
        Some(forms) => forms.iter().collect(),
        None => vec![schema],
    }
}

#[test]
fn a_schema_that_allows_everything_would_be_noticed() {
    assert!(faults(&json!({}), &json!({ "nonsense": 1 })).is_empty());
    assert!(!faults(&json(&edge_file()), &json!({ "nonsense": 1 })).is_empty());
}

#[test]
fn the_reference_page_is_current() {
    let page = root().join("docs/edge-file.md");
    let now = markdown(&edge_file());
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&page, &now).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == now,
        "docs/edge-file.md is not current: `cutover schema --markdown > docs/edge-file.md`"
    );
}
