//! The description is whole: it has every field that the reader knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::document::{Document, Step};
use super::*;

/// The text of every source file of this crate but the tests.
fn sources(directory: &Path, texts: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, texts);
        } else if !path.components().any(|part| part.as_os_str() == "describe") {
            texts.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The names of fields that the sources mention, with the file that does.
fn mentioned() -> BTreeSet<(String, PathBuf)> {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let mut names = BTreeSet::new();
    for (path, text) in texts {
        for call in [".optional(", ".required("] {
            for (_, rest) in text.match_indices(call).map(|(at, _)| text.split_at(at + call.len())) {
                let quoted = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
                names.extend(quoted.map(|(name, _)| (name.to_owned(), path.clone())));
            }
        }
    }
    names
}

#[test]
fn every_field_that_the_reader_looks_for_is_described() {
    let described = edge_file();
    let names: BTreeSet<&str> = described.all().iter().map(|field| field.name.as_str()).collect();
    let mentioned = mentioned();
    assert!(mentioned.len() > 100, "the sources mention {} fields", mentioned.len());
    let lost: Vec<_> = mentioned.iter().filter(|(name, _)| !names.contains(name.as_str())).collect();
    assert!(lost.is_empty(), "the search did not reach these fields: {lost:?}");
}

#[test]
fn every_field_has_a_shape() {
    let described = edge_file();
    let unshaped: Vec<_> =
        described.all().into_iter().filter(|field| field.value.shapes.is_empty()).map(|f| &f.path).collect();
    assert!(unshaped.is_empty(), "call `context.expects` where these are read: {unshaped:#?}");
    let inside: Vec<_> = described
        .all()
        .into_iter()
        .filter(|field| {
            [&field.value.entry, &field.value.element].into_iter().flatten().any(|v| v.shapes.is_empty())
        })
        .map(|field| &field.path)
        .collect();
    assert!(inside.is_empty(), "call `context.expects` where what is inside these is read: {inside:#?}");
}

#[test]
fn every_field_has_words_and_every_word_has_a_field() {
    let described = edge_file();
    let all = described.all();
    let silent: Vec<_> = all.iter().filter(|field| field.doc.is_none()).map(|field| &field.path).collect();
    assert!(silent.is_empty(), "write what these say in packages/edge-config/fields: {silent:#?}");
    let docs = docs::Docs::read();
    let stale: Vec<_> = docs
        .paths()
        .filter(|path| {
            !all.iter().any(|field| {
                field.path == **path
                    || format!("{}[]", field.path) == **path
                    || format!("{}.*", field.path) == **path
            })
        })
        .collect();
    assert!(
        stale.is_empty(),
        "the reader does not know these fields of packages/edge-config/fields: {stale:#?}"
    );
}

#[test]
fn what_every_edge_must_have_is_required_and_no_more() {
    let described = edge_file();
    let required: Vec<_> =
        described.fields.iter().filter(|field| field.is_required).map(|f| f.name.as_str()).collect();
    assert_eq!(required, ["edge", "listeners", "backends", "hosts", "policies", "routes"]);
    let of = |path: &str| described.all().into_iter().find(|field| field.path == path).unwrap().clone();
    assert!(of("routes[].policy").is_required && !of("routes[].prefix").is_required);
    // A flat issuer is one of two ways.
    assert!(of("sessions.cookie").is_required && !of("sessions.issuer").is_required);
    assert!(of("sessions.issuers[].issuer").is_required);
    assert_eq!(of("limits.*.seconds").value.shapes, [Shape::Number { least: 1, most: 86_400 }]);
    let Shape::Choice(kinds) = &of("policies.*.kind").value.shapes[0] else { panic!("a choice") };
    assert!(kinds.contains(&"session"));
}

/// An edge in which every mapping can stand, with callers of this kind.
fn base(kind: &str) -> Document {
    let text = format!(
        "
edge: shop
listeners: {{ entry: {{ address: '127.0.0.1:8080' }} }}
hosts: {{ entry: {{ names: ['*'] }} }}
backends: {{ entry: {{ address: '127.0.0.1:3000' }}, legacy: {{ address: '127.0.0.1:3001' }} }}
sessions: {{ cookie: sid, issuer: 'https://login.example.com', audience: shop }}
signatures: {{ keys: signing-keys.yaml }}
limits: {{ entry: {{ per: address, rate: 60, seconds: 60 }} }}
answers: {{ entry: {{}} }}
services: {{ entry: {{ keys: keys.json }} }}
tenants: {{ file: tenants.yaml }}
policies: {{ entry: {kind} }}
routes: [{{ name: all, prefix: /, methods: [GET], policy: entry, to: entry }}]
"
    );
    document_of(&crate::load::tree(&text).unwrap())
}

fn document_of(node: &crate::node::Node) -> Document {
    use crate::node::Value;
    match &node.value {
        Value::Bool(value) => Document::Bool(*value),
        Value::Int(number) => Document::Int(*number),
        Value::Text(text) => Document::Text(text.clone()),
        Value::List(elements) => Document::List(elements.iter().map(document_of).collect()),
        Value::Map(entries) => {
            let one = |(key, value): &(crate::node::Node, crate::node::Node)| match &key.value {
                Value::Text(name) => (name.clone(), document_of(value)),
                Value::Null
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::List(_)
                | Value::Map(_) => panic!("a name is {}", key.value.kind()),
            };
            Document::Map(entries.iter().map(one).collect())
        }
        Value::Null | Value::Float(_) => panic!("a value is {}", node.value.kind()),
    }
}

/// The path that the documentation shows.
fn path_of(shown: &str) -> Vec<Step> {
    let spaced = shown.replace("[]", ".[]");
    let step = |part: &str| match part {
        "*" => Step::Entry,
        "[]" => Step::Element,
        name => Step::Field(name.to_owned()),
    };
    spaced.split('.').map(step).collect()
}

/// The edge of a document, shown whole; nothing when it is not valid.
fn read(document: &Document) -> Option<String> {
    let (tree, _) = document.tree();
    let faults = crate::fault::Collector::default();
    let context = crate::reader::Context { faults: &faults, environment: &|_| None, notes: None };
    let edge = crate::load::read(context, &tree, crate::load::revision(""));
    let is_good = faults.into_faults().iter().all(|fault| fault.severity == crate::Severity::Warning);
    edge.filter(|_| is_good).map(|edge| format!("{edge:?}"))
}

#[test]
fn a_default_is_what_the_reader_takes_when_the_field_is_not_there() {
    let described = edge_file();
    let all = described.all();
    let example_of = |path: &str| all.iter().find(|field| field.path == path)?.doc.as_ref()?.example.clone();
    let kinds = [
        "{ kind: public }",
        "{ kind: session }",
        "{ kind: signed, keys: [a], addresses: [192.0.2.0/24] }",
        "{ kind: internal }",
    ];
    let bases: Vec<Document> = kinds.into_iter().map(base).collect();
    for base in &bases[..3] {
        assert!(read(base).is_some(), "a base is not valid: {base:?}");
    }
    // Some sections have fields that belong to one of two ways alone.
    let other = |path: &str, value: &str| {
        let mut document = base("{ kind: session }");
        document.put(&path_of(path), document_of(&crate::load::tree(value).unwrap()));
        document
    };
    let redis = "{ cookie: old, tenant: 00000000-0000-7000-8000-000000000001, verify: { redis: { url: 'redis://127.0.0.1' } } }";
    let proxies = other("listeners.*.trusted_proxies", "{ addresses: [10.0.0.0/8] }");
    let mut encrypted = other("listeners.*.tls", "{ certificate: a.pem, key: a.key, client_ca: c.pem }");
    let hsts = document_of(&crate::load::tree("{ max_age_seconds: 300 }").unwrap());
    encrypted.put(&path_of("listeners.*.hsts"), hsts);
    let tenants = other("tenants", "{ grpc: 'http://127.0.0.1:3026' }");
    let others = [tenants, other("legacy_sessions", redis), proxies, encrypted];
    let (mut unproved, mut wrong) = (Vec::new(), Vec::new());
    let mut proved = 0;
    for field in &all {
        let words = field.doc.as_ref().filter(|doc| !doc.is_inherited);
        let Some(default) = words.and_then(|doc| doc.default.as_ref()) else { continue };
        let path = path_of(&field.path);
        let parents = field.path.match_indices(['.', '[']).map(|(at, _)| &field.path[..at]);
        let examples: Vec<(Vec<Step>, Document)> = parents
            .filter_map(|parent| Some((path_of(parent), Document::of(&example_of(parent)?))))
            .collect();
        // As the base has it, or with one of the mappings around it as its example shows it.
        let mut tries = bases.clone();
        tries.extend(others.iter().cloned());
        for base in &bases {
            for (parent, example) in &examples {
                let mut document = base.clone();
                document.put(parent, example.clone());
                tries.push(document);
            }
        }
        let outcome = tries.into_iter().find_map(|mut without| {
            without.remove(&path);
            let mut with = without.clone();
            with.put(&path, Document::of(default));
            // The mapping around the field must be there in both.
            let mut around = without.clone();
            around.put(&path, Document::of(default));
            around.remove(&path);
            Some((read(&around)?, read(&with)?))
        });
        match outcome {
            Some((without, with)) if without == with => proved += 1,
            Some(_) => wrong.push(&field.path),
            None => unproved.push(&field.path),
        }
    }
    assert!(wrong.is_empty(), "the reader has other defaults for these: {wrong:#?}");
    assert!(proved > 50, "{proved} defaults are proved");
    assert!(unproved.is_empty(), "no valid file shows these defaults: {unproved:#?}");
}
