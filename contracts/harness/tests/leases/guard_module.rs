//! The guard as WebAssembly: the functions that it imports and exports, and that no request passes where Envoy answers
//! the guard with something unexpected.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

use harness::wire::{Answer, Request};
use harness::{Backend, Edge, Part, Signal, eventually, repository, wasm_guard};
use header_rules::config::{CALLBACKS, HOST_CALLS};
use wasmparser::{Parser, Payload};

/// An id that the guard keeps, so that it does not create one.
const ID: &str = "01932c07-0000-7000-8000-000000000001";

/// What the compiled guard imports and what it exports, by name.
fn imports_and_exports() -> (BTreeSet<String>, BTreeSet<String>) {
    let module = std::fs::read(wasm_guard()).unwrap();
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    for payload in Parser::new(0).parse_all(&module) {
        let payload = payload.unwrap();
        if let Payload::ImportSection(section) = payload {
            imports.extend(section.into_imports().map(|import| import.unwrap().name.to_owned()));
        } else if let Payload::ExportSection(section) = payload {
            exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
        }
    }
    (imports, exports)
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_module_exports_what_envoy_has_to_call_and_nothing_else() {
    let (_, exports) = imports_and_exports();
    let mut listed = names(&CALLBACKS);
    listed.insert("memory".to_owned());
    assert_eq!(exports, listed, "`make wasm` links it again");
}

#[test]
fn envoy_allows_the_module_no_call_that_it_does_not_have() {
    let (imports, _) = imports_and_exports();
    let unused: Vec<_> = names(&HOST_CALLS).difference(&imports).cloned().collect();
    assert!(unused.is_empty(), "allowed and never imported: {unused:?}");
}

/// Runs the linker of WebAssembly modules with `arguments`, and with a program that prints its arguments as rust-lld.
fn link(arguments: &[&str]) -> Output {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let printer = directory.path().join("rust-lld");
    std::fs::write(&printer, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
    std::fs::set_permissions(&printer, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let mut linker = Command::new(repository().join("tools/wasm-linker"));
    linker.args(arguments).env("PATH", path).output().unwrap()
}

#[test]
fn the_linker_drops_unwanted_exports_and_refuses_a_module_without_wanted_ones() {
    let exports = ["--export", "proxy_on_tick", "--export", "proxy_on_log", "-o", "a module.wasm"];
    let linked = |more: &[&str]| link(&[exports.as_slice(), more].concat());

    let one = linked(&["--only-export=proxy_on_tick"]);
    assert!(one.status.success(), "{one:?}");
    assert_eq!(String::from_utf8(one.stdout).unwrap(), "--export\nproxy_on_tick\n-o\na module.wasm\n");

    let missing = linked(&["--only-export=proxy_on_tick", "--only-export=proxy_on_configure"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(missing.stdout.is_empty(), "it linked");
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("has no proxy_on_configure") && said.contains("help:"), "{said}");

    let another = String::from_utf8(linked(&[]).stdout).unwrap();
    assert_eq!(another, format!("{}\n", exports.join("\n")), "another module is linked as it is");
}

/// The development edge in front of `backend`, its guard as WebAssembly.
fn edge_before(backend: &Backend) -> Edge {
    let guard = wasm_guard();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz);
    edge.variable("CUTOVER_GUARD", &guard.display().to_string()).start()
}

/// The file that holds the guard of `listener`.
fn guard_of(edge: &Edge, listener: &str) -> PathBuf {
    edge.home().join(format!("envoy/current/filter-guard-{listener}.json"))
}

/// Starts Envoy again with the guards of `listeners` changed.
fn with_guards(edge: &mut Edge, listeners: &[&str], changed: impl Fn(&str) -> String) {
    edge.stop(Part::Envoy, Signal::Terminate);
    for listener in listeners {
        let file = guard_of(edge, listener);
        let guard = std::fs::read_to_string(&file).unwrap();
        let now = changed(&guard);
        assert!(now != guard, "nothing was changed");
        std::fs::write(&file, now).unwrap();
    }
    edge.start(Part::Envoy);
    edge.wait_until_ready();
}

/// `json` without any member `name`, at every depth.
fn without(json: &str, name: &str) -> String {
    fn remove(value: &mut serde_json::Value, name: &str) {
        match value {
            serde_json::Value::Object(members) => {
                members.remove(name);
                members.values_mut().for_each(|member| remove(member, name));
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| remove(item, name)),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }
    let mut value = serde_json::from_str(json).unwrap();
    remove(&mut value, name);
    value.to_string()
}

/// Sends `request` until the guard works, and checks that every answer before that is an error.
fn until_it_works(request: &Request, what: &str) {
    eventually(&format!("the guard works again after {what}"), || {
        let Answer { status, .. } = request.send();
        assert!(status == 200 || (500..=503).contains(&status), "{what}: {status}");
        status == 200
    });
}

/// Withholds one host call after another, so that Envoy answers it with a status at which the proxy-wasm crate panics.
#[test]
fn a_host_call_that_fails_ends_its_request_and_the_next_one_is_judged() {
    let backend = Backend::plain();
    let mut edge = edge_before(&backend);
    let good = std::fs::read_to_string(guard_of(&edge, "public")).unwrap();
    let forged = |edge: &Edge| edge.get("/open").header("x-tenant-id", "forged").header("x-request-id", ID);
    let nameless = |edge: &Edge| edge.get("/open");
    let internal = |edge: &Edge| edge.get("/internal").header("x-request-id", ID);
    type Asked<'a> = &'a dyn Fn(&Edge) -> Request;
    let cases: [(&str, Asked<'_>); 4] = [
        ("proxy_replace_header_map_value", &nameless),
        ("proxy_remove_header_map_value", &forged),
        ("proxy_increment_metric", &forged),
        ("proxy_send_local_response", &internal),
    ];
    for (call, request) in cases {
        with_guards(&mut edge, &["public"], |_| without(&good, call));
        let harmless = edge.get("/open").header("x-request-id", ID);
        for round in 0..2 {
            until_it_works(&harmless, call);
            let before = backend.seen().len();
            let answer = request(&edge).send();
            assert!((500..=503).contains(&answer.status), "{call}, round {round}: {answer:?}");
            assert_eq!(backend.seen().len(), before, "{call}, round {round}: it went on");
        }
    }
    // The guard's own call for the headers, which every request needs, is an error of its own and no trap.
    with_guards(&mut edge, &["public"], |_| without(&good, "proxy_get_header_map_pairs"));
    let before = backend.seen().len();
    for _ in 0..3 {
        assert_eq!(edge.get("/open").header("x-request-id", ID).send().status, 500);
    }
    assert_eq!(backend.seen().len(), before, "it went on");
}

/// Without one of these Envoy cannot create the guard, so it has none.
#[test]
fn envoy_lets_nothing_through_without_a_guard_that_can_be_configured() {
    let backend = Backend::plain();
    let mut edge = edge_before(&backend);
    let good = std::fs::read_to_string(guard_of(&edge, "public")).unwrap();
    let needed = [
        "proxy_on_context_create",
        "proxy_get_buffer_bytes",
        "proxy_define_metric",
        "proxy_set_tick_period_milliseconds",
        "proxy_get_current_time_nanoseconds",
        "clock_time_get",
        "random_get",
    ];
    for call in needed {
        with_guards(&mut edge, &["public"], |_| without(&good, call));
        let before = backend.seen().len();
        assert_eq!(edge.get("/open").send().status, 500, "without {call}");
        assert_eq!(backend.seen().len(), before, "without {call} a request goes on");
    }
}

/// `cutover render` gives each plugin a machine of its own. Here the guards of both listeners share one.
#[test]
fn two_guards_in_one_machine_judge_by_their_own_rules() {
    let backend = Backend::plain();
    let mut edge = edge_before(&backend);
    // An internal path: the public guard refuses it; the guard of the service listener hands it to the authorizer,
    // which is not there.
    let internal = "/_/users/x";
    let service = edge.address("EDGE_SERVICE_ADDRESS");
    let judged = |edge: &Edge| {
        let of = |request: Request| request.header("x-request-id", ID).send().status;
        [of(edge.get("/open")), of(edge.get(internal)), of(Request::new(service, "GET", internal))]
    };
    let machines = |edge: &Edge| edge.envoy_stat("wasm.envoy.wasm.runtime.v8.active").unwrap();
    let (own, apart) = (judged(&edge), machines(&edge));
    assert_eq!(own, [200, 404, 503]);
    with_guards(&mut edge, &["public", "service"], |guard| {
        let (at, _) = guard.match_indices("\"vm_id\"").next().unwrap();
        let id = guard[at + "\"vm_id\"".len()..].split('"').nth(1).unwrap();
        guard.replace(id, "shared")
    });
    assert!(machines(&edge) < apart, "they share none");
    for round in 0..3 {
        assert_eq!(judged(&edge), own, "round {round}");
    }
}
