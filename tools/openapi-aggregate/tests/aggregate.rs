//! The merged document, the frozen one, and the page.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use openapi_aggregate::narrowing::narrowings;
use openapi_aggregate::{FROZEN, INTERNAL, check, internal, merge, page, write};
use serde_json::{Value, json};

const SERVICES: [&str; 4] = ["auth", "image", "library", "users"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document(service: &str, audience: &str) -> PathBuf {
    root().join(format!("services/{service}/openapi/{audience}.yaml"))
}

/// A repository with copies of the services' documents.
fn copied() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for service in SERVICES {
        let to = copy.path().join(format!("services/{service}/openapi"));
        fs::create_dir_all(&to).unwrap();
        for audience in ["public", "internal"] {
            fs::copy(document(service, audience), to.join(audience).with_extension("yaml")).unwrap();
        }
    }
    copy
}

fn edit(root: &Path, service: &str, old: &str, new: &str) {
    let path = root.join(format!("services/{service}/openapi/public.yaml"));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old:?} is not in {}", path.display());
    fs::write(&path, text.replacen(old, new, 1)).unwrap();
}

#[test]
fn the_frozen_document_is_what_the_services_say() {
    if let Err(message) = check(&root()) {
        assert!(message.is_empty(), "{message}");
    }
}

#[test]
fn reading_and_writing_a_document_changes_no_byte() {
    for service in SERVICES {
        let path = document(service, "public");
        assert_eq!(merge::yaml(&merge::read(&path).unwrap()).unwrap(), fs::read_to_string(path).unwrap());
    }
}

#[test]
fn nothing_internal_is_published() {
    let out = tempfile::tempdir().unwrap();
    let html = out.path().join("index.html");
    page(&root(), &html).unwrap();
    let published = fs::read_to_string(root().join(FROZEN)).unwrap() + &fs::read_to_string(html).unwrap();
    let mut internal = 0;
    for service in SERVICES {
        let document = serde_json::to_value(merge::read(&document(service, "internal")).unwrap()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(!published.contains(path.as_str()), "{path}");
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(!published.contains(id), "{id}");
                internal += 1;
            }
        }
    }
    assert!(internal >= 3, "the internal documents are read");
    assert!(!published.contains("/_") && !published.contains("tenant_id"));

    // An internal path in a public document is refused.
    let copy = copied();
    edit(copy.path(), "users", "  /users:\n", "  /_/users:\n");
    let message = write(copy.path(), false).unwrap_err();
    assert!(
        message.contains("services/users") && message.contains("`/_/users` is an internal path"),
        "{message}"
    );
}

#[test]
fn the_internal_document_has_every_route_for_services_and_schemas_keep_their_meaning() {
    let whole = serde_json::to_value(internal::merged(&root()).unwrap()).unwrap();
    let mut operations = 0;
    for service in fs::read_dir(root().join("services")).unwrap() {
        let path = service.unwrap().path().join("openapi/internal.yaml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let own: Value = serde_saphyr::from_str(&text).unwrap();
        for (path, item) in own["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let merged = &whole["paths"][path][method];
                assert_eq!(merged["operationId"], operation["operationId"], "{method} {path}");
                operations += 1;
            }
        }
    }
    assert!(operations > 30, "{operations}");
    // Both take a batch, and mean another one.
    let schemas = &whole["components"]["schemas"];
    assert_eq!(schemas["Batch"], Value::Null);
    assert_eq!(schemas["SyncBatch"]["properties"]["books"]["items"]["$ref"], "#/components/schemas/SyncBook");
    assert!(schemas["LibraryBatch"].is_object() && schemas["Tenant"].is_object());
    for reference in serde_json::to_string(&whole).unwrap().split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas[name].is_object(), "{name} is referred to and absent");
    }
}

#[test]
fn an_internal_document_that_is_old_or_doubled_is_refused() {
    let copy = copied();
    write(copy.path(), false).unwrap();
    let path = copy.path().join("services/users/openapi/internal.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("  /_/users:\n", "  /_/people:\n", 1)).unwrap();
    let message = check(copy.path()).unwrap_err();
    assert!(message.contains(INTERNAL) && message.contains("openapi-aggregate -- write"), "{message}");
    write(copy.path(), false).unwrap();
    check(copy.path()).unwrap();
    fs::write(&path, text.replacen("  /_/users:\n", "  /_/books:\n", 1)).unwrap();
    let message = write(copy.path(), false).unwrap_err();
    assert!(message.contains("`/_/books` of users is in the document of another service"), "{message}");
}

#[test]
fn an_operation_says_who_may_call_it() {
    let copy = copied();
    edit(copy.path(), "users", "  /users:\n", "  /people:\n    head:\n      responses: {}\n  /users:\n");
    let message = write(copy.path(), false).unwrap_err();
    assert!(
        message.contains("services/users") && message.contains("`HEAD /people` does not say who may call it"),
        "{message}"
    );
}

#[test]
fn a_route_on_another_host_keeps_its_address() {
    let merged = serde_json::to_value(merge::merged(&root()).unwrap()).unwrap();
    let server = |path: &str| &merged["paths"][path]["servers"][0]["url"];
    assert_eq!(server("/image/library/{book}/{file}"), "https://{host}");
    assert_eq!((server("/books"), merged["servers"].as_array().unwrap().len()), (&Value::Null, 1));
}

#[test]
fn two_services_cannot_say_different_things_under_one_name() {
    let copy = copied();
    edit(copy.path(), "users", "  /users:\n", "  /books:\n");
    let message = write(copy.path(), false).unwrap_err();
    assert!(message.contains("`/books` is in the document of another service"), "{message}");
    let copy = copied();
    edit(copy.path(), "users", "    NewAccount:\n", "    Refusal:\n");
    let message = write(copy.path(), false).unwrap_err();
    assert!(message.contains("the schema `Refusal` is another one in another service"), "{message}");
}

#[test]
fn a_narrower_document_is_refused_until_a_person_accepts_it() {
    let copy = copied();
    write(copy.path(), false).unwrap();
    assert_eq!(check(copy.path()), Ok(format!("{FROZEN} and {INTERNAL} are what the services say")));
    // More is welcome, and has to be written.
    edit(
        copy.path(),
        "users",
        "  /users:\n",
        "  /people:\n    head:\n      security: [{}]\n      responses: {}\n  /users:\n",
    );
    assert!(check(copy.path()).unwrap_err().contains("lacks something"));
    write(copy.path(), false).unwrap();
    // Less is not.
    edit(copy.path(), "library", "- id-asc\n", "");
    for refused in [check(copy.path()), write(copy.path(), false)] {
        let message = refused.unwrap_err();
        assert!(message.contains("GET /books: the parameter `sort-by`: the values are"), "{message}");
        assert!(message.contains("--accept-narrowing"), "{message}");
    }
    write(copy.path(), true).unwrap();
    check(copy.path()).unwrap();
}

/// A small document.
fn small() -> Value {
    json!({
        "paths": { "/a/{id}": { "post": {
            "security": [{ "session": [] }],
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "integer", "minimum": 1 } },
                { "name": "q", "in": "query", "schema": { "type": "string", "maxLength": 9, "enum": ["x", "y"] } },
            ],
            "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/New" } } } },
            "responses": {
                "200": {
                    "headers": { "x-a": {} },
                    "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Old" } } } },
                },
                "404": {},
            },
        } } },
        "components": { "schemas": {
            "New": { "type": "object", "required": ["a"], "properties": { "a": { "type": "string" }, "b": { "type": ["string", "null"] } } },
            "Old": { "type": "object", "required": ["c"], "properties": { "c": { "type": "integer", "maximum": 5 }, "d": { "type": "string", "format": "uuid" } } },
        } },
    })
}

#[test]
fn every_loss_of_a_client_is_found() {
    const OPERATION: &str = "/paths/~1a~1{id}/post";
    let schemas = "/components/schemas";
    let cases = [
        (OPERATION.to_owned(), None, "POST /a/{id}: the operation is gone"),
        (
            "/paths/~1a~1{id}/servers".to_owned(),
            Some(json!([{ "url": "https://b.test" }])),
            "/a/{id}: the address of the server has changed",
        ),
        (format!("{OPERATION}/security"), Some(json!([{ "other": [] }])), "other credentials"),
        (format!("{OPERATION}/security"), Some(json!([{ "session": [], "other": [] }])), "other credentials"),
        (format!("{OPERATION}/parameters/1"), None, "the parameter `q` (query) is gone"),
        (format!("{OPERATION}/parameters/1/required"), Some(json!(true)), "the parameter `q` is required"),
        (
            format!("{OPERATION}/parameters/1/schema/maxLength"),
            Some(json!(8)),
            "`maxLength` is 8 instead of 9",
        ),
        (
            format!("{OPERATION}/parameters/1/schema/enum"),
            Some(json!(["x"])),
            "the values are x instead of x, y",
        ),
        (format!("{OPERATION}/parameters/1/schema/pattern"), Some(json!("^x$")), "`pattern` has changed"),
        (format!("{OPERATION}/parameters/0/schema/minimum"), Some(json!(2)), "`minimum` is 2 instead of 1"),
        (
            format!("{OPERATION}/parameters/0/schema/maximum"),
            Some(json!(2)),
            "`maximum` is 2 instead of none",
        ),
        (format!("{OPERATION}/requestBody"), None, "the body is gone"),
        (format!("{OPERATION}/requestBody/required"), Some(json!(true)), "the body is required"),
        (format!("{schemas}/New/required"), Some(json!(["a", "b"])), "the field `b` is required"),
        (format!("{schemas}/New/properties/b"), None, "the field `b` is gone"),
        (
            format!("{schemas}/New/properties/b/type"),
            Some(json!("string")),
            "the type is string instead of null, string",
        ),
        (format!("{OPERATION}/responses/404"), None, "404 is not an answer any more"),
        (format!("{OPERATION}/responses/200/headers/x-a"), None, "the header `x-a` is gone"),
        (
            format!("{OPERATION}/responses/200/content/application~1json"),
            None,
            "the content type `application/json` is gone",
        ),
        (format!("{schemas}/Old/properties/d"), None, "200: an item: the field `d` is gone"),
        (format!("{schemas}/Old/required"), Some(json!([])), "the field `c` may be absent"),
        (
            format!("{schemas}/Old/properties/c/type"),
            Some(json!(["integer", "null"])),
            "`c`: the type is integer, null",
        ),
        (format!("{schemas}/Old/properties/c/maximum"), Some(json!(6)), "`maximum` is 6 instead of 5"),
        (format!("{schemas}/Old/properties/d/format"), Some(json!("date")), "`format` has changed"),
    ];
    for (pointer, value, expected) in cases {
        let mut newer = small();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let name = name.replace("~1", "/");
        match (newer.pointer_mut(parent).unwrap(), value) {
            (Value::Array(all), None) => drop(all.remove(name.parse().unwrap())),
            (Value::Object(all), None) => drop(all.remove(&name).unwrap()),
            (Value::Object(all), Some(value)) => drop(all.insert(name, value)),
            (other, _) => unreachable!("{other} at {parent}"),
        }
        let found = narrowings(&small(), &newer);
        assert!(
            found.iter().any(|one| one.contains(expected)),
            "{pointer} should say {expected:?}: {found:?}"
        );
    }
}

#[test]
fn growth_is_no_loss() {
    assert_eq!(narrowings(&small(), &small()), Vec::<String>::new());
    let mut newer = small();
    let operation = newer.pointer_mut("/paths/~1a~1{id}/post").unwrap();
    operation["responses"]["409"] = json!({});
    operation["parameters"].as_array_mut().unwrap().push(json!({ "name": "r", "in": "query", "schema": {} }));
    operation["parameters"][1]["schema"] =
        json!({ "type": ["string", "null"], "maxLength": 10, "enum": ["x", "y", "z"] });
    newer["paths"]["/b"] = json!({ "get": { "responses": {} } });
    newer["components"]["schemas"]["New"]["properties"]["e"] = json!({ "type": "string" });
    newer["components"]["schemas"]["New"]["required"] = json!([]);
    newer["components"]["schemas"]["Old"]["properties"]["e"] = json!({ "type": "string" });
    newer["components"]["schemas"]["Old"]["required"] = json!(["c", "d"]);
    assert_eq!(narrowings(&small(), &newer), Vec::<String>::new());
}

#[test]
fn the_page_is_one_file_that_loads_nothing_and_shows_every_operation() {
    let out = tempfile::tempdir().unwrap();
    let html = out.path().join("deep/index.html");
    page(&root(), &html).unwrap();
    let text = fs::read_to_string(html).unwrap();
    for loads in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
        assert!(!text.contains(loads), "{loads}");
    }
    let document = serde_json::to_value(merge::read(&root().join(FROZEN)).unwrap()).unwrap();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values().filter(|value| value.is_object()) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(text.contains(&format!("<details id=\"{id}\">")), "{id}");
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("<h3 id=\"schema-{name}\">")), "{name}");
    }
}

#[test]
fn more_or_weaker_credentials_take_nothing() {
    for wider in [json!([]), json!([{}]), json!([{ "other": [] }, { "session": [] }])] {
        let mut newer = small();
        newer["paths"]["/a/{id}"]["post"]["security"] = wider.clone();
        assert_eq!(narrowings(&small(), &newer), Vec::<String>::new(), "{wider}");
    }
    let mut older = small();
    older["paths"]["/a/{id}"]["post"].as_object_mut().unwrap().remove("security");
    assert!(narrowings(&older, &small())[0].contains("other credentials"));
}
