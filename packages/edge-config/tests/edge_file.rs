//! Valid edge files, and the faults of invalid ones.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

#[path = "edge_file/credentials.rs"]
mod credentials;
#[path = "edge_file/issuers.rs"]
mod issuers;
#[path = "edge_file/limits.rs"]
mod limits;

use std::path::{Path, PathBuf};

use edge_config::edge::{Edge, Exposure, PathMatch, Policy, PublicPolicy, Socket};
use edge_config::{Faults, load, parse};

fn nothing_set(_: &str) -> Option<String> {
    None
}

fn edges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges")
}

fn dev_text() -> String {
    std::fs::read_to_string(edges().join("dev.yaml")).unwrap()
}

fn faults_of(text: &str) -> Faults {
    parse(Path::new("edge.yaml"), text, &nothing_set).expect_err("the file should be refused")
}

/// The dev edge with one piece of text replaced; the piece must be there.
fn dev_with(old: &str, new: &str) -> Result<Edge, Faults> {
    let text = dev_text();
    assert!(text.contains(old), "{old:?} is not in dev.yaml");
    parse(Path::new("edge.yaml"), &text.replacen(old, new, 1), &nothing_set)
}

#[test]
fn every_shipped_edge_loads() {
    let mut count = 0;
    for entry in std::fs::read_dir(edges()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml")
            && path.file_stem().is_some_and(|stem| !stem.to_string_lossy().contains('.'))
        {
            load(&path, &nothing_set).unwrap_or_else(|faults| panic_with(&faults));
            count += 1;
        }
    }
    assert!(count > 0, "no edge file found");
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn panic_with(faults: &Faults) -> Edge {
    panic!("{faults}")
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn panic_with_text(text: &str) -> ! {
    panic!("{text}")
}

#[test]
fn the_dev_edge_reads_as_it_should() {
    let edge = load(&edges().join("dev.yaml"), &nothing_set).unwrap();
    assert_eq!(edge.listeners["public"].exposure, Exposure::Public);
    assert!(edge.backends["legacy"].request_headers.values().any(|value| value == "true"));
    assert_eq!(edge.policies["public"], Policy::Public(PublicPolicy::default()));
    let code = edge.routes.iter().find(|r| r.name == "auth-code").unwrap();
    assert_eq!(code.path, PathMatch::Exact("/auth/code".to_owned()));
    assert_eq!(code.methods, ["POST"]);
}

#[test]
fn the_revision_is_the_beginning_of_the_files_sha256() {
    let edge = load(&edges().join("dev.yaml"), &nothing_set).unwrap();
    let output = std::process::Command::new("sha256sum").arg(edges().join("dev.yaml")).output().unwrap();
    let sum = String::from_utf8(output.stdout).unwrap();
    assert!(sum.starts_with(&edge.revision.0), "{} is not the beginning of {sum}", edge.revision);
    assert_eq!(edge.revision.0.len(), 16);
}

#[test]
fn an_address_comes_from_the_environment_when_it_is_set() {
    let environment = |name: &str| (name == "EDGE_ADDRESS").then(|| "127.0.0.1:18080".to_owned());
    let edge = load(&edges().join("dev.yaml"), &environment).unwrap();
    assert_eq!(edge.listeners["public"].address.port(), 18_080);
    assert_eq!(edge.listeners["service"].address.port(), 8_081);
    let wrong = |name: &str| (name == "EDGE_ADDRESS").then(|| "not an address".to_owned());
    let message = load(&edges().join("dev.yaml"), &wrong).unwrap_err().to_string();
    assert!(message.contains("not an address") && message.contains("EDGE_ADDRESS"), "{message}");
}

#[test]
fn an_authorizer_may_answer_at_several_addresses() {
    let one = "address: \"${AUTHZ_ADDRESS:-127.0.0.1:9191}\"";
    let of = |text: &str| dev_with(one, text).unwrap().authorizer;
    let addresses = |text: &str| of(text).addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    let tls = "\n  tls: { ca: ca.pem, certificate: envoy.pem, key: envoy.key }";
    let remote = |text: &str| of(&format!("{text}{tls}"));
    assert_eq!(addresses("address: 127.0.0.1:1"), ["127.0.0.1:1"]);
    assert_eq!(addresses("addresses: [127.0.0.1:1, 127.0.0.2:2]"), ["127.0.0.1:1", "127.0.0.2:2"]);
    // A host name does not show where the authorizer listens.
    assert_eq!(remote("address: authz.internal:9191").listens(), None);
    let at = |text: &str| text.parse::<Socket>().ok();
    assert_eq!(remote("address: 10.0.0.1:1").listens(), at("10.0.0.1:1"));
    assert_eq!(of("address: unix:/run/authz.sock").listens(), at("unix:/run/authz.sock"));
    // Limits are shared among as many replicas as there are addresses, unless the file gives another number.
    assert_eq!(of("address: 127.0.0.1:1").replicas, 1);
    assert_eq!(of("addresses: [127.0.0.1:1, 127.0.0.2:2]").replicas, 2);
    assert_eq!(of("addresses: [127.0.0.1:1, 127.0.0.2:2]\n  replicas: 5").replicas, 5);
    for (text, says) in [
        ("addresses: []", "has no address"),
        ("addresses: [127.0.0.1:1, 127.0.0.1:1]", "lists 127.0.0.1:1 twice"),
        ("addresses: [127.0.0.1:1]\n  address: 127.0.0.1:1", "exactly one of them"),
        ("addresses: [127.0.0.1:1, 127.0.0.2:2]\n  replicas: 1", "from 2 to 1000"),
        ("addresses: [authz]", "the address of the authorizer is \"authz\""),
        ("replicas: 2", "`authorizer` has no `address`"),
    ] {
        let message = dev_with(one, text).unwrap_err().to_string();
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn all_faults_are_reported_at_once_each_with_line_value_and_fix() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/ten-faults.yaml"))
            .unwrap();
    insta::assert_snapshot!(faults_of(&text));
}

#[test]
fn each_of_these_is_a_fault() {
    let cases: &[(&str, &str, &str)] = &[
        ("policy: signed-in, to: users, answers: users }", "to: users, answers: users }", "has no `policy`"),
        ("to: legacy, answers: auth }", "to: legcy, answers: auth }", "did you mean `legacy`?"),
        ("kind: public }", "kind: publik }", "did you mean `public`?"),
        ("edge: dev", "edge: dev\nrewrite: true", "has no field `rewrite`"),
        ("prefix: /books,", "prefix: /books/,", "ends with `/`"),
        ("prefix: /books,", "prefix: /%62ooks,", "without escapes"),
        ("prefix: /books,", "prefix: /books;v=1,", "without escapes"),
        ("prefix: /books,", "prefix: books,", "begin it with `/`"),
        ("prefix: /books,", "prefix: /command/books,", "opens the internal path /command"),
        ("prefix: /books,", "prefix: /_/users/x,", "internal"),
        ("host: service, prefix", "host: api, prefix", "internal policy"),
        ("methods: [POST], policy", "methods: [TRACE], policy", "TRACE"),
        ("reserved_headers: {", "reserved_headers: { names: [cookie],", "must be able to send `cookie`"),
        (
            "    request_headers: {",
            "    request_headers: { cookie: \"a=b\",",
            "belongs to the client's message",
        ),
        ("names: [dev-domain.test]", "names: [localhost]", "both have the name localhost"),
        ("admin: \"${ENVOY_ADMIN_ADDRESS:-127.0.0.1:9901}\"", "admin: 0.0.0.0:9901", "can stop the edge"),
        ("timeout_ms: 200", "timeout_ms: 0", "from 1 to 10000"),
        ("status: 401", "status: 200", "from 400 to 599"),
        ("status: 401", "status: 418", "a status that Envoy knows"),
        ("unavailable: { status: 503", "unavailable: { status: 500", "write 503"),
        ("services: [auth] }", "services: [outh] }", "did you mean `auth`?"),
        ("role: 2 }", "roles: [admin] }", "`roles` of policy `bot` is a list"),
        ("role: 2 }", "roles: {} }", "needs either `any` or `all`"),
        ("role: 2 }", "roles: { any: [a], all: [a] } }", "exactly one of them"),
        ("role: 2 }", "roles: { any: [] } }", "lists 0 roles"),
        ("role: 2 }", "roles: { any: [\"a,b\"] } }", "separated by commas"),
        ("role: 2 }", "roles: { all: [a, a] } }", "lists the role `a` twice"),
        ("${EDGE_ADDRESS:-127.0.0.1:8080}", "${EDGE_ADDRESS}", "EDGE_ADDRESS is not set"),
        ("${EDGE_ADDRESS:-127.0.0.1:8080}", "${EDGE_ADDRESS", "does not close"),
        ("name: books,", "name: files,", "two routes are named `files`"),
        ("prefix: /openapi,", "prefix: /open-graph,", "is shadowed by"),
        ("limits:\n", &limits("{ per: subjects, rate: 1, seconds: 1 }"), "did you mean `subject`?"),
        ("limits:\n", &limits("{ per: subject, seconds: 1 }"), "limit `calm` has no `rate`"),
        ("limits:\n", &limits("{ per: subject, rate: 0, seconds: 1 }"), "from 1 to 1000000"),
        ("limits:\n", &limits("{ per: subject, rate: 1, seconds: 0 }"), "from 1 to 86400"),
        (
            "limits:\n",
            &limits("{ per: subject, rate: 1, seconds: 86400, burst: 8 }"),
            "691200 s from empty to full",
        ),
        (
            "limits:\n",
            &limits("{ per: subject, rate: 1, seconds: 1, mode: shade }"),
            "did you mean `shadow`?",
        ),
        ("limits:\n", &limits("{ per: subject, rate: 1, seconds: 1, every: 1 }"), "has no field `every`"),
        (
            "answers: users }",
            "answers: users, limits: [calm] }",
            "a limit of route `users-me` is `calm`, which does not exist",
        ),
        ("timeout_ms: 200", "timeout_ms: 200\n  replicas: 0", "from 1 to 1000"),
        ("role: 2 }", "role: 2, mode: quiet }", "`mode` of policy `bot` is \"quiet\""),
        ("kind: public }", "kind: public, mode: shadow }", "policy `public` has no field `mode`"),
        ("role: 2 }", "role: 2, tenant: {} }", "needs one of `path_parameter`, `path_segment` and `header`"),
        ("role: 2 }", "role: 2, tenant: { path_segment: 0 } }", "from 1 to 32"),
        ("role: 2 }", "role: 2, tenant: { header: X-Tenant } }", "such as x-workspace"),
        ("role: 2 }", "role: 2, tenant: { header: x-tenant-id } }", "which clients cannot send"),
        (
            "    unavailable: { status: 503, body: Service unavailable }\n",
            "    unavailable: { status: 503, body: Service unavailable }\n    too_many_requests: { status: 200, body: x }\n",
            "from 400 to 599",
        ),
    ];
    for &(old, new, expected) in cases {
        let message = dev_with(old, new).expect_err(new).to_string();
        assert!(
            message.contains(expected),
            "replacing {old:?} by {new:?} should say {expected:?}, but says:\n{message}"
        );
        assert!(message.contains("edge.yaml:"), "no place in:\n{message}");
    }
}

/// The beginning of the section `limits`, with one more.
fn limits(calm: &str) -> String {
    format!("limits:\n  calm: {calm}\n")
}

#[test]
fn a_route_whose_methods_are_all_taken_is_shadowed() {
    let all = "  - { name: books-named, host: api, prefix: /books, methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS], policy: signed-in, to: legacy, answers: library }\nroutes_end";
    let text = dev_text() + &all.replace("\nroutes_end", "\n");
    let message = faults_of(&text).to_string();
    assert!(
        message.contains("route `books` is shadowed: `books-named` already take every method"),
        "{message}"
    );
}

#[test]
fn yaml_that_is_broken_names_its_line() {
    for text in [
        "edge: dev\nlisteners: [",
        "edge: dev\nedge: prod\n",
        "\tedge: dev",
        "- just\n- a list",
        "",
        "a: &x [*x]",
    ] {
        let message = faults_of(text).to_string();
        assert!(message.starts_with("edge.yaml:"), "{text:?} gives {message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let message = load(Path::new("/nowhere/edge.yaml"), &nothing_set).unwrap_err().to_string();
    assert!(message.contains("/nowhere/edge.yaml"), "{message}");
}

#[test]
fn a_prefix_takes_whole_segments() {
    let users = PathMatch::Prefix("/users".to_owned());
    for taken in ["/users", "/users/", "/users/1"] {
        assert!(users.takes(taken), "{taken}");
    }
    for missed in ["/usersx", "/Users", "/user", "/", "//users", "/users;x"] {
        assert!(!users.takes(missed), "{missed}");
    }
    assert!(PathMatch::Prefix("/".to_owned()).takes("/anything"));
    assert!(!PathMatch::Exact("/users".to_owned()).takes("/users/"));
}

/// The dev edge with signed requests: a section, a policy and a route.
#[test]
fn tenants_are_in_a_file_or_behind_a_service() {
    use edge_config::edge::{TenantDirectory, TenantService};
    let listed = "tenants: { file: \"${CUTOVER_HOME:-.run}/tenants.yaml\" }";
    let seconds = std::time::Duration::from_secs;
    let edge = dev_with(listed, "tenants: { grpc: \"http://127.0.0.1:3036/\" }").unwrap();
    let defaults = TenantService {
        url: "http://127.0.0.1:3036".to_owned(),
        redis: false,
        memory: seconds(120),
        shared: seconds(900),
        negative: seconds(10),
        untrusted_after: seconds(5),
    };
    assert_eq!(edge.tenants, Some(TenantDirectory::Service(defaults)));
    let all = "tenants: { grpc: \"http://tenants:80\", redis: true, memory_seconds: 60, redis_seconds: 3600, negative_seconds: 1, untrusted_after_seconds: 60 }";
    let expected = TenantService {
        url: "http://tenants:80".to_owned(),
        redis: true,
        memory: seconds(60),
        shared: seconds(3_600),
        negative: seconds(1),
        untrusted_after: seconds(60),
    };
    assert_eq!(dev_with(listed, all).unwrap().tenants, Some(TenantDirectory::Service(expected)));
    for (written, expected) in [
        ("{ }", "needs either a `file` or a `grpc`"),
        ("{ file: a, grpc: \"http://a:1\" }", "needs either a `file` or a `grpc`"),
        ("{ file: a, redis: true }", "has no field `redis`"),
        ("{ grpc: \"https://a:1\" }", "write an address such as http://127.0.0.1:3036"),
        ("{ grpc: \"http://a\" }", "`grpc` is \"http://a\""),
        ("{ grpc: \"http://a:0\" }", "`grpc` is \"http://a:0\""),
        ("{ grpc: \"http://a:1/x\" }", "`grpc` is \"http://a:1/x\""),
        ("{ grpc: \"http://a:1\", redis: maybe }", "`redis` is"),
        ("{ grpc: \"http://a:1\", memory_seconds: 301 }", "from 60 to 300"),
        ("{ grpc: \"http://a:1\", redis_seconds: 299 }", "from 300 to 3600"),
        ("{ grpc: \"http://a:1\", negative_seconds: 0 }", "from 1 to 60"),
        ("{ grpc: \"http://a:1\", untrusted_after_seconds: 1 }", "from 2 to 60"),
        ("{ grpc: \"http://a:1\", memory_second: 60 }", "did you mean `memory_seconds`?"),
    ] {
        let message = dev_with(listed, &format!("tenants: {written}")).expect_err(written).to_string();
        assert!(message.contains(expected) && message.contains("edge.yaml:"), "{written} says:\n{message}");
    }
}

#[test]
fn the_most_specific_route_takes_a_request() {
    use edge_config::{Match, route_of};
    let edge =
        parse(Path::new("edge.yaml"), &dev_text(), &nothing_set).unwrap_or_else(|faults| panic!("{faults}"));
    let taken = |listener: &str, host: &str, method: &str, path: &str| match route_of(
        &edge, listener, host, method, path,
    ) {
        Match::Route(route) => route.name.clone(),
        Match::MethodNotAllowed => "405".to_owned(),
        Match::InternalPath => "internal".to_owned(),
        Match::Redirect => "redirect".to_owned(),
        Match::UnknownHost => "no host".to_owned(),
        Match::Unmatched => "unmatched".to_owned(),
    };
    for (method, path, route) in [
        ("GET", "/users/@me", "users-me"),
        ("GET", "/users/@me/", "users-activity"),
        ("GET", "/users/@me/likes", "users-activity"),
        ("POST", "/users", "users-create"),
        ("GET", "/users", "users-rest"),
        ("POST", "/users/", "users-rest"),
        ("GET", "/usersx", "api-rest"),
        ("PATCH", "/auth/token", "auth-refresh"),
        ("GET", "/auth/token", "auth-check"),
        ("PUT", "/auth/token", "unmatched"),
        ("GET", "/auth/token/", "unmatched"),
        ("GET", "/auth", "unmatched"),
        ("GET", "/auth/passkeys", "auth-passkeys"),
        ("POST", "/auth/passkey/registration", "auth-passkey-registration"),
        ("PATCH", "/auth/passkey/authentication", "auth-passkey-sign-in"),
        ("GET", "/auth/passkey/authentication", "unmatched"),
        ("GET", "/authx", "api-rest"),
        ("GET", "/open-graph/x", "open-graph"),
        ("POST", "/open-graph/x", "api-rest"),
        ("TRACE", "/books", "405"),
        ("get", "/books", "405"),
        ("GET", "/_/users/1", "internal"),
        ("GET", "/metrics", "internal"),
        ("GET", "/metricsx", "api-rest"),
    ] {
        for host in ["api.dev-domain.test", "API.dev-domain.test:8080", "127.0.0.1:9"] {
            assert_eq!(taken("public", host, method, path), route, "{method} {host}{path}");
        }
    }
    assert_eq!(taken("public", "elsewhere.test", "GET", "/"), "no host");
    assert_eq!(taken("public", "dev-domain.test", "POST", "/"), "unmatched");
    for (path, route) in [
        ("/_/users/1", "users-lookup"),
        ("/_/users", "users-lookup-by-email"),
        ("/_/users/1/likes", "users-tastes"),
        ("/_/users/1/dislikes", "users-dislikes"),
        ("/_/users/1/histories", "users-histories"),
        ("/_/users/fcm-token", "users-device-tokens"),
        ("/_/users/1/other", "unmatched"),
    ] {
        assert_eq!(taken("service", "anything", "GET", path), route, "{path}");
    }
    assert_eq!(taken("service", "anything", "POST", "/_/users/1"), "unmatched");
}
