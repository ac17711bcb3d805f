//! The edge does not work without its guard. A guard that is missing, broken or wrongly configured keeps Envoy from
//! listening, and a guard that fails at a request fails that request, not the edge.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::path::Path;
use std::process::Command;

use harness::{
    Backend, Edge, Part, Signal, envoy, eventually, guard, guard_is_native, native_guard, program,
    repository, wasm_guard,
};

/// A module without anything in it but its header and one empty custom section.
const NOTHING: &[u8] = b"\0asm\x01\0\0\0\x00\x02\x01x";

/// A section of a module: its number, its length, its contents.
fn section(number: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).expect("a short section");
    assert!(length < 128, "LEB128 of one byte");
    [&[number, length], contents].concat()
}

/// A proxy-wasm filter (ABI 0.2.1) that lets every request pass, and traps at one with more than twenty headers.
fn trapping_module() -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // ()→(), (i32)→(i32), (i32, i32)→(), (i32, i32, i32)→(i32)
    let types = b"\x04\x60\0\0\x60\x01\x7f\x01\x7f\x60\x02\x7f\x7f\0\x60\x03\x7f\x7f\x7f\x01\x7f";
    module.extend(section(1, types));
    module.extend(section(3, b"\x04\0\x01\x02\x03"));
    module.extend(section(5, b"\x01\0\x01"));
    let exports: [(&str, [u8; 2]); 5] = [
        ("memory", [2, 0]),
        ("proxy_abi_version_0_2_1", [0, 0]),
        ("proxy_on_memory_allocate", [0, 1]),
        ("proxy_on_context_create", [0, 2]),
        ("proxy_on_request_headers", [0, 3]),
    ];
    let mut contents = vec![5];
    for (name, what) in exports {
        contents.push(u8::try_from(name.len()).expect("a short name"));
        contents.extend(name.as_bytes());
        contents.extend(what);
    }
    module.extend(section(7, &contents));
    // allocate: i32.const 1024. request_headers: if local 1 > 20 then unreachable; i32.const 0.
    let code =
        b"\x04\x02\0\x0b\x05\0\x41\x80\x08\x0b\x02\0\x0b\x0d\0\x20\x01\x41\x14\x4b\x04\x40\0\x0b\x41\0\x0b";
    module.extend(section(10, code));
    module
}

/// The output of `cutover render --validate` for `module`, and whether `home` has a current configuration afterwards.
fn rendered(home: &Path, module: &Path) -> (Option<i32>, String, bool) {
    let output = Command::new(program("cutover"))
        .args(["render", "--validate"])
        .current_dir(repository())
        .env("CUTOVER_HOME", home)
        .env("CUTOVER_GUARD", module)
        .env("ENVOY", envoy())
        .output()
        .expect("cutover can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, home.join("envoy/current").exists())
}

#[test]
fn a_guard_that_is_not_whole_does_not_render() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let whole = std::fs::read(wasm_guard()).expect("the guard is readable");
    let file = home.path().join("guard.wasm");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged.iter_mut().skip(middle).take(4_096).for_each(|byte| *byte = !*byte);
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("a script", b"#!/bin/sh\nexit 0\n".to_vec()),
        ("a header alone", whole.iter().copied().take(8).collect()),
        ("cut in half", whole.iter().copied().take(middle).collect()),
        ("one byte short", whole.iter().copied().take(whole.len() - 1).collect()),
        ("damaged in the middle", damaged),
        ("a module that is not a filter", NOTHING.to_vec()),
    ] {
        std::fs::write(&file, bytes).expect("the home is writable");
        let (code, said, current) = rendered(home.path(), &file);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains(".wasm") || said.contains("validation.json"), "{what}: which file? {said}");
        assert!(!current, "{what}: it became current");
    }
    assert_eq!(rendered(home.path(), &wasm_guard()).0, Some(0), "the guard itself");
}

#[test]
fn nor_does_a_library_that_is_not_whole_or_something_else() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let whole = std::fs::read(native_guard()).expect("the guard is readable");
    let file = home.path().join("guard.so");
    let with = |from: &[u8], to: &[u8]| {
        let mut altered = whole.clone();
        let places: Vec<usize> =
            (0..altered.len() - from.len()).filter(|at| altered[*at..].starts_with(from)).collect();
        for at in places {
            altered.splice(at..at + from.len(), to.iter().copied());
        }
        altered
    };
    let config_new = b"envoy_dynamic_module_on_http_filter_config_new";
    let another = config_new.map(|byte| if byte == b'w' { b'v' } else { byte });
    for (what, bytes, mend) in [
        ("cut in half", whole.iter().copied().take(whole.len() / 2).collect(), "truncated"),
        ("one byte short", whole.iter().copied().take(whole.len() - 1).collect(), "truncated"),
        ("of another machine", with(b"\x7fELF\x02\x01", b"\x7fELF\x01\x01"), "neither"),
        ("not a module for Envoy", with(config_new, &another), "not a dynamic Envoy module"),
        (
            "without a hook",
            with(b"on_http_filter_stream_complete", b"on_http_filter_stream_complet_"),
            "validation.json",
        ),
    ] {
        std::fs::write(&file, bytes).expect("the home is writable");
        let (code, said, current) = rendered(home.path(), &file);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains(mend), "{what}: {said}");
        assert!(!current, "{what}: it became current");
    }
    assert_eq!(rendered(home.path(), &native_guard()).0, Some(0), "the guard itself");
}

#[test]
fn envoy_lets_nothing_through_without_a_working_guard() {
    let backend = Backend::plain();
    let mut edge =
        Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start();
    assert_eq!(edge.get("/open").send().status, 200);
    let file = edge.home().join("envoy/current/filter-guard-public.json");
    let good = std::fs::read_to_string(&file).expect("the filter is readable");
    let parsed: serde_json::Value = serde_json::from_str(&good).expect("the filter is JSON");
    let module = find(&parsed, "filename").expect("the filter names the guard");
    let rules = find(&parsed, "value").expect("the filter holds the guard's rules");
    let broken = edge.home().join("broken.wasm");
    let quoted = |text: &str| serde_json::Value::String(text.to_owned()).to_string();
    let with_module = good.replace(&quoted(&module), &quoted(&broken.display().to_string()));
    let with_rules = |rules_now: &str| good.replace(&quoted(&rules), &quoted(rules_now));
    assert!(with_module != good && with_rules("") != good);
    let whole = std::fs::read(guard()).expect("the guard is readable");
    // Mapping a truncated library would end Envoy; `cutover render` prevents it.
    let part = if guard_is_native() { 40 } else { whole.len() / 2 };
    let part = whole.iter().copied().take(part).collect();
    let cases: [(&str, Option<Vec<u8>>, String); 9] = [
        ("no filter at all", None, "{\"resources\":[]}".to_owned()),
        ("a missing guard", None, with_module.clone()),
        ("an empty guard", Some(Vec::new()), with_module.clone()),
        ("a part of a guard", Some(part), with_module.clone()),
        ("a module that is not a filter", Some(NOTHING.to_vec()), with_module),
        ("no rules", None, with_rules("")),
        ("rules that are no JSON", None, with_rules("reserved: all")),
        ("rules without hosts", None, with_rules(&rules.replace("\"hosts\":", "\"guests\":"))),
        ("a prefix that reserves nothing", None, with_rules(&rules.replace("\"x-madome-\"", "\"X_Madome\""))),
    ];
    for (what, module, filter) in cases {
        edge.stop(Part::Envoy, Signal::Terminate);
        if let Some(module) = module {
            std::fs::write(&broken, module).expect("the home is writable");
        }
        std::fs::write(&file, filter).expect("the home is writable");
        edge.start(Part::Envoy);
        edge.wait_until_ready();
        // It listens, and answers everything itself.
        let before = backend.seen().len();
        assert_eq!(edge.get("/open").send().status, 500, "{what}");
        assert_eq!(backend.seen().len(), before, "{what}: a request goes on");
        let refused = edge.envoy_stat("extension_config_discovery.http_filter.guard.update_rejected");
        assert!(refused.is_some_and(|count| count > 0), "{what}: {refused:?}");
    }
    edge.stop(Part::Envoy, Signal::Terminate);
    std::fs::write(&file, good).expect("the home is writable");
    edge.start(Part::Envoy);
    edge.wait_until_ready();
    assert_eq!(edge.get("/open").send().status, 200, "the good configuration");
    assert_eq!(backend.seen().len(), 2);
}

/// The first text under the key `name`, in depth.
fn find(value: &serde_json::Value, name: &str) -> Option<String> {
    let rules_or_file = |text: &str| name != "value" || text.starts_with('{');
    match value {
        serde_json::Value::Object(members) => {
            members.iter().find_map(|(key, member)| match member.as_str() {
                Some(text) if key == name && rules_or_file(text) => Some(text.to_owned()),
                _ => find(member, name),
            })
        }
        serde_json::Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => None,
    }
}

/// With the rendered settings and a filter that can be made to trap.
#[test]
fn a_guard_that_traps_fails_the_request_and_recovers() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let module = home.path().join("trapping.wasm");
    std::fs::write(&module, trapping_module()).expect("the directory is writable");
    let backend = Backend::plain();
    let edge = Edge::dev()
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
        .variable("CUTOVER_GUARD", &module.display().to_string())
        .start();
    for round in 0..2 {
        assert_eq!(edge.get("/open").send().status, 200, "round {round}");
        let before = backend.seen().len();
        let trap = (0..40).fold(edge.get("/open"), |r, n| r.header(format!("x-{n}"), "1"));
        let answer = trap.send();
        assert!((500..=503).contains(&answer.status), "round {round}: {answer:?}");
        assert_eq!(backend.seen().len(), before, "round {round}: it went on");
        // The filter starts again after a pause that keeps it from trapping in a loop; meanwhile no request passes.
        eventually("the filter works again", || {
            let status = edge.get("/open").send().status;
            assert!(status == 200 || (500..=503).contains(&status), "round {round}: {status}");
            status == 200
        });
    }
}
