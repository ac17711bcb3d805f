//! An edge file cannot rewrite bytes. So each change is made in what the edge file was rendered to, as a wrong setting or a
//! wrong filter of Envoy would make it: `verify` finds and points at it, and says that the backend does not have it.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::PathBuf;

use harness::{Edge, Part, Signal};
use serde_json::{Value, json};

use super::backend::Seeded;
use super::{differences, edge_before, recorded, url, verified};

/// One wrong configuration.
struct Seed {
    name: &'static str,
    change: fn(&mut Rendered),
    /// The beginning of a difference: request, kind and place.
    expected: &'static str,
    /// What the report shows.
    at: &'static str,
    /// Whether answers to other requests differ, too.
    everywhere: bool,
}

/// The configuration of one Envoy.
#[derive(Clone)]
struct Rendered {
    listeners: Value,
    routes: Value,
    clusters: Value,
}

/// The files in the order of the fields.
const FILES: [&str; 3] = ["listeners.json", "routes-public.json", "clusters.json"];

impl Rendered {
    fn place(edge: &Edge, file: &str) -> PathBuf {
        edge.home().join("envoy/current").join(file)
    }

    fn of(edge: &Edge) -> Self {
        let [listeners, routes, clusters] = FILES.map(|file| {
            let text = std::fs::read(Self::place(edge, file)).expect("the edge is rendered");
            serde_json::from_slice(&text).expect("it is JSON")
        });
        Self { listeners, routes, clusters }
    }

    fn write(&self, edge: &Edge) {
        for (file, value) in FILES.iter().zip([&self.listeners, &self.routes, &self.clusters]) {
            std::fs::write(Self::place(edge, file), value.to_string()).expect("it is writable");
        }
    }

    /// The connection manager of the public listener.
    fn manager(&mut self) -> &mut Value {
        let listeners = self.listeners["resources"].as_array_mut().expect("a list");
        let public = listeners.iter_mut().find(|one| one["name"] == "public").expect("a public listener");
        &mut public["filter_chains"][0]["filters"][0]["typed_config"]
    }

    /// Adds a program of Lua that reads and changes each answer (`answer`).
    fn lua(&mut self, program: &str) {
        let code = format!("function envoy_on_response(answer)\n{program}\nend");
        let filter = json!({
            "name": "seed",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": { "inline_string": code },
            },
        });
        let filters = self.manager()["http_filters"].as_array_mut().expect("a list");
        filters.insert(filters.len() - 1, filter);
    }
}

const SEEDS: [Seed; 8] = [
    Seed {
        name: "cookie attribute moved",
        change: |rendered| {
            rendered.lua(
                "if answer:headers():get('set-cookie') then
                   answer:headers():replace('set-cookie', 'theme=dark; HttpOnly; Path=/; SameSite=Lax')
                 end",
            );
        },
        expected: "get-open-json set_cookie_attributes theme",
        at: "HttpOnly; Path=/",
        everywhere: false,
    },
    Seed {
        name: "header case",
        change: |rendered| {
            // A message keeps the format of the connection on which it was read.
            let clusters = rendered.clusters["resources"].as_array_mut().expect("a list");
            let removed = clusters.iter_mut().filter_map(|cluster| without(cluster, "header_key_format"));
            assert!(removed.count() > 0, "the case is kept");
        },
        expected: "get-open-json header_case x-thing",
        at: "x-thing",
        everywhere: true,
    },
    Seed {
        name: "header added",
        change: |rendered| {
            rendered.routes["resources"][0]["response_headers_to_add"] =
                json!([{ "header": { "key": "x-new", "value": "1" } }]);
        },
        expected: "get-open-json header_extra x-new",
        at: "1",
        everywhere: true,
    },
    Seed {
        name: "body re-encoded",
        change: |rendered| {
            rendered.lua(
                "local body = answer:body(true)
                 local text = body:getBytes(0, body:length())
                 body:setBytes((text:gsub('\\195\\169', '\\\\u00e9')))",
            );
        },
        expected: "get-open-words body_format /word",
        at: "\\u00e9",
        everywhere: false,
    },
    Seed {
        name: "path normalised",
        change: |rendered| {
            rendered.manager()["normalize_path"] = json!(true);
            rendered.manager()["path_with_escaped_slashes_action"] = json!("UNESCAPE_AND_FORWARD");
        },
        expected: "get-open-7euser-a-2fb body_text",
        at: "/open/~user/a/b",
        everywhere: false,
    },
    Seed {
        name: "float format",
        change: |rendered| {
            rendered.lua(
                "local body = answer:body(true)
                 local text = body:getBytes(0, body:length())
                 body:setBytes((text:gsub('1%.0', '1')))",
            );
        },
        expected: "get-open-json body_format /price",
        at: "1",
        everywhere: false,
    },
    Seed {
        name: "newline lost",
        change: |rendered| {
            rendered.lua(
                "local body = answer:body(true)
                 local text = body:getBytes(0, body:length())
                 body:setBytes((text:gsub('^two\\nlines\\n$', 'two\\nlines')))",
            );
        },
        expected: "get-open-text body_text",
        at: "where the actual body ends",
        everywhere: false,
    },
    Seed {
        name: "204 for 200",
        change: |rendered| {
            rendered.lua(
                "if answer:headers():get('content-length') == '0' then answer:headers():replace(':status', '204') end",
            );
        },
        expected: "get-open-empty status",
        at: "204",
        everywhere: false,
    },
];

/// Removes the first member `name` in a value or below it.
fn without(value: &mut Value, name: &str) -> Option<Value> {
    match value {
        Value::Object(members) => {
            members.remove(name).or_else(|| members.values_mut().find_map(|member| without(member, name)))
        }
        Value::Array(members) => members.iter_mut().find_map(|member| without(member, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[test]
fn each_byte_that_an_edge_changes_is_pointed_at_and_the_edge_is_blamed() {
    let seeded = Seeded::start();
    let place = recorded(seeded.backend());
    let mut edge = edge_before(seeded.backend());
    let direct = url(seeded.backend().address());
    let right = Rendered::of(&edge);
    for Seed { name, change, expected, at, everywhere } in SEEDS {
        edge.stop(Part::Envoy, Signal::Terminate);
        let mut rendered = right.clone();
        change(&mut rendered);
        rendered.write(&edge);
        edge.start(Part::Envoy);
        edge.wait_until_ready();
        // Against what was recorded, and side by side with the backend.
        for more in [&[][..], &["--direct", direct.as_str()]] {
            let (code, report) = verified(place.path(), &edge, more);
            let found = differences(&report);
            assert!(code == 1 && found.iter().any(|one| one.starts_with(expected)), "{name}: {found:?}");
            assert!(
                report.to_string().contains(&at.replace('\\', "\\\\")),
                "{name}: {at} is not in {report:#}"
            );
            // Nothing else is blamed: no other request, or no other kind and place.
            let own = |one: &String| match everywhere {
                true => {
                    one.split_once(' ').map(|(_, what)| what.split(' ').next())
                        == Some(expected.split(' ').nth(1))
                }
                false => one.split(' ').next() == expected.split(' ').next(),
            };
            assert!(found.iter().all(own), "{name}: {found:?}");
        }
    }
}
