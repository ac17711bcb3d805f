//! Valid edge files, and the faults of invalid ones.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

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
        if path.extension().is_some_and(|e| e == "yaml") && !path.ends_with("dev.tenants.yaml") {
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

#[test]
fn the_dev_edge_says_what_it_should() {
    let edge = load(&edges().join("dev.yaml"), &nothing_set).unwrap();
    assert_eq!(edge.listeners["public"].exposure, Exposure::Public);
    assert_eq!(edge.backends["legacy"].request_headers["x-madome-public-access"], "true");
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
fn all_faults_are_told_at_once_each_with_line_value_and_mend() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/ten-faults.yaml"))
            .unwrap();
    insta::assert_snapshot!(faults_of(&text));
}

#[test]
fn each_of_these_is_a_fault() {
    let cases: &[(&str, &str, &str)] = &[
        ("policy: signed-in, to: users, answers: users }", "to: users, answers: users }", "has no `policy`"),
        ("to: legacy, answers: library }", "to: legcy, answers: library }", "did you mean `legacy`?"),
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
        ("    - x-tenant-id\n", "", "`x-tenant-id` is not reserved"),
        ("x-madome-, ", "", "`x-madome-identity` is not reserved"),
        ("    - x-tenant-id\n", "    - x-tenant-id\n    - cookie\n", "must be able to send `cookie`"),
        ("{ x-madome-public-access: \"true\" }", "{ cookie: \"a=b\" }", "belongs to the client's message"),
        ("names: [dev-domain.test]", "names: [localhost]", "both have the name localhost"),
        ("admin: \"${ENVOY_ADMIN_ADDRESS:-127.0.0.1:9901}\"", "admin: 0.0.0.0:9901", "can stop the edge"),
        ("timeout_ms: 200", "timeout_ms: 0", "from 1 to 10000"),
        ("status: 401", "status: 200", "from 400 to 599"),
        ("status: 401", "status: 418", "a status that Envoy knows"),
        ("unavailable: { status: 503", "unavailable: { status: 500", "write 503"),
        ("services: [auth] }", "services: [outh] }", "did you mean `auth`?"),
        ("tenants: { file: \"${CUTOVER_HOME:-.run}/tenants.yaml\" }", "", "needs tenants"),
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
        ("role: 2 }", "role: 2, tenant: {} }", "needs either a `path_segment` or a `header`"),
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
fn a_limit_counts_by_a_key_that_callers_of_the_policy_have() {
    let with = |per: &str, route: &str, more: &str| {
        let text =
            dev_text().replacen("limits:\n", &limits(&format!("{{ per: {per}, rate: 6, seconds: 60 }}")), 1);
        let line = text.lines().find(|line| line.contains(&format!("name: {route},"))).unwrap().to_owned();
        let limited =
            line.replace(", limits: [codes]", "").replace(" }", &format!(", limits: [calm{more}] }}"));
        parse(Path::new("edge.yaml"), &text.replace(&line, &limited), &nothing_set)
    };
    for (per, public, person, service) in [
        ("subject", false, true, false),
        ("tenant", false, true, false),
        ("session", false, true, false),
        ("service", false, false, true),
        ("api-key", false, false, false),
        ("address", true, true, true),
        ("route", true, true, true),
    ] {
        for (route, known) in [("auth-code", public), ("books", person), ("users-lookup", service)] {
            match (with(per, route, ""), known) {
                (Ok(edge), true) => {
                    assert_eq!(edge.routes.iter().find(|r| r.name == route).unwrap().limits, ["calm"]);
                    let calm = &edge.limits["calm"];
                    assert_eq!((calm.per.as_str(), calm.burst, calm.interval_micros()), (per, 6, 10_000_000));
                }
                (Err(faults), false) => {
                    let message = faults.to_string();
                    assert!(
                        message.contains(&format!("which counts by {per}; callers of its policy")),
                        "{message}"
                    );
                    assert!(
                        message.contains("there are: ") && message.contains("address, route"),
                        "{message}"
                    );
                }
                (Ok(_), false) => panic_at(per, route, "should be refused"),
                (Err(faults), true) => panic_at(per, route, &faults.to_string()),
            }
        }
    }
    let twice = with("address", "books", ", calm").unwrap_err().to_string();
    assert!(twice.contains("lists `calm` twice"), "{twice}");
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn panic_at(per: &str, route: &str, what: &str) {
    panic!("{per} on {route}: {what}")
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
fn signed_text() -> String {
    let text = dev_text().replacen(
        "policies:\n",
        "signatures: { keys: signing-keys.yaml, headers: [content-type] }\n\npolicies:\n  sync: { kind: signed, keys: [partner], addresses: [192.0.2.0/24, \"2001:db8::/32\"] }\n",
        1,
    );
    text + "\n  - { name: sync, host: api, exact: /sync, methods: [POST], policy: sync, to: users, answers: users }\n"
}

#[test]
fn signed_requests_say_what_they_should() {
    let edge = parse(Path::new("edge.yaml"), &signed_text(), &nothing_set).unwrap();
    let signatures = edge.signatures.unwrap();
    assert_eq!((signatures.max_age.as_secs(), signatures.skew.as_secs()), (300, 5));
    assert_eq!((signatures.max_body_bytes, signatures.headers), (65_536, vec!["content-type".to_owned()]));
    let Policy::Signed(policy) = &edge.policies["sync"] else { unreachable!() };
    assert_eq!(policy.keys, ["partner"]);
    assert!(policy.addresses[0].contains("192.0.2.255".parse().unwrap()));
    assert!(!policy.addresses[0].contains("192.0.3.0".parse().unwrap()));
}

#[test]
fn each_of_these_is_a_fault_of_signed_requests() {
    let cases = [
        ("signatures: { keys: signing-keys.yaml, headers: [content-type] }", "", "needs signatures"),
        ("keys: signing-keys.yaml, headers", "headers", "has no `keys`"),
        ("keys: signing-keys.yaml", "keys: \"\"", "is empty"),
        ("headers: [content-type]", "max_age_seconds: 0", "from 1 to 3600"),
        ("headers: [content-type]", "skew_seconds: 301", "from 0 to 300"),
        ("headers: [content-type]", "max_body_bytes: 1048577", "from 1 to 1048576"),
        ("headers: [content-type]", "headers: [Content-Type]", "lower-case letters"),
        ("headers: [content-type]", "headers: [cookie]", "does not arrive as it was sent"),
        ("headers: [content-type]", "headers: [x-madome-a]", "is reserved and never arrives"),
        ("headers: [content-type]", "header: [content-type]", "did you mean `headers`?"),
        ("keys: [partner], ", "", "has no `keys`"),
        ("keys: [partner]", "keys: []", "no caller would pass"),
        ("keys: [partner]", "keys: [Partner]", "is not a valid name"),
        (", addresses: [192.0.2.0/24, \"2001:db8::/32\"]", "", "has no `addresses`"),
        ("[192.0.2.0/24, \"2001:db8::/32\"]", "[]", "no caller would pass"),
        ("192.0.2.0/24", "192.0.2.1/24", "write 192.0.2.0/24"),
        ("192.0.2.0/24", "192.0.2.0", "an address and a length"),
        ("192.0.2.0/24", "\"::ffff:192.0.2.0/120\"", "the IPv4 address itself"),
        ("kind: signed", "kind: sigend", "did you mean `signed`?"),
        ("kind: signed", "kind: internal", "has no field `addresses`"),
    ];
    for (old, new, expected) in cases {
        let text = signed_text();
        assert!(text.contains(old), "{old:?} is not there");
        let message = faults_of(&text.replacen(old, new, 1)).to_string();
        assert!(
            message.contains(expected),
            "replacing {old:?} by {new:?} should say {expected:?}:\n{message}"
        );
        assert!(message.contains("edge.yaml:"), "no place in:\n{message}");
    }
}

#[test]
fn tenants_are_in_a_file_or_behind_a_service() {
    use edge_config::edge::{TenantDirectory, TenantService};
    let listed = "tenants: { file: \"${CUTOVER_HOME:-.run}/tenants.yaml\" }";
    let seconds = std::time::Duration::from_secs;
    let edge = dev_with(listed, "tenants: { grpc: \"http://127.0.0.1:3026/\" }").unwrap();
    let defaults = TenantService {
        url: "http://127.0.0.1:3026".to_owned(),
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
        ("{ grpc: \"https://a:1\" }", "write an address such as http://127.0.0.1:3026"),
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
        ("PUT", "/auth/token", "auth-rest"),
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
    assert_eq!(taken("service", "anything", "GET", "/_/users/1"), "users-lookup");
    assert_eq!(taken("service", "anything", "POST", "/_/users/1"), "unmatched");
}

#[test]
fn several_issuers_or_one() {
    use edge_config::edge::{KeyAlgorithm, KeySource};
    let flat = load(&edges().join("dev.yaml"), &nothing_set).unwrap().sessions.unwrap();
    assert_eq!(flat.issuers.len(), 1);
    assert_eq!(flat.issuers[0].audiences, ["https://api.dev-domain.test"]);
    let list = "sessions:\n  cookie: t\n  issuers:\n    - { issuer: a, audience: x, keys: { file: k.json } }\n    - { issuer: b, audience: [x, w], token_type: JWT, algorithms: [RS256], leeway_seconds: 5, keys: { pem: k.pem, kid: \"1\", algorithm: RS256 } }\n";
    let sessions = dev_with_sessions(list).unwrap().sessions.unwrap();
    let [a, b] = sessions.issuers.as_slice() else { panic_with_text("not two issuers") };
    assert_eq!(
        (a.issuer.as_str(), a.token_types.words().join(" ").as_str(), a.leeway.as_secs()),
        ("a", "at+jwt", 60)
    );
    assert_eq!(b.audiences, ["x", "w"]);
    assert_eq!((b.token_types.words().join(" ").as_str(), b.leeway.as_secs()), ("JWT", 5));
    assert!(matches!(&b.keys, KeySource::Pem { kid, algorithm: KeyAlgorithm::Rs256, .. } if kid == "1"));

    for (old, new, expected) in [
        ("cookie: t\n", "cookie: t\n  issuer: c\n", "has `issuers` and also `issuer`"),
        ("cookie: t\n", "cookie: t\n  leeway_seconds: 1\n", "also `leeway_seconds`"),
        ("issuer: b", "issuer: a", "two issuers are named \"a\""),
        ("audience: [x, w]", "audience: []", "empty list"),
        ("audience: x, ", "", "has no `audience`"),
        ("kid: \"1\", ", "", "has no `kid`"),
        (", algorithm: RS256 }", " }", "has no `algorithm`"),
        ("algorithms: [RS256]", "algorithms: [HS256]", "an algorithm is \"HS256\""),
        ("algorithms: [RS256]", "algorithms: [none]", "an algorithm is \"none\""),
        ("algorithms: [RS256]", "algorithms: [ES256]", "does not list RS256"),
        ("algorithms: [RS256]", "algorithms: []", "lists nothing"),
        ("{ file: k.json }", "{ file: k.json, pem: k.pem }", "exactly one"),
        ("{ file: k.json }", "{ file: k.json, kid: x }", "no field `kid`"),
        ("    - { issuer: a", "    - { issuers: a", "has no field `issuers`"),
    ] {
        assert!(list.contains(old), "{old}");
        let message = dev_with_sessions(&list.replacen(old, new, 1)).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
    let stranger = "sessions:\n  cookie: t\n  issuers:\n    - issuer: \"https://login.acme.test/realms/acme\"\n      audience: x\n      audience_claim: client_id\n      token_types: [at+jwt, absent]\n      max_token_bytes: 32768\n";
    let sessions = dev_with_sessions(stranger).unwrap().sessions.unwrap();
    let [issuer] = sessions.issuers.as_slice() else { panic_with_text("not one issuer") };
    assert!(matches!(&issuer.keys, KeySource::Discovery(addresses) if addresses.len() == 2));
    assert_eq!(issuer.claims.audience.to_string(), "client_id");
    assert_eq!(
        (issuer.token_types.words().join(" ").as_str(), issuer.max_token_bytes),
        ("at+jwt absent", 32_768)
    );
    for (old, new, expected) in [
        ("https://login.acme.test/realms/acme", "acme", "has no `keys`, and its name is not an address"),
        ("https://login", "http://login", "has no `keys`, and its name is not an address"),
        ("realms/acme", "realms/acme?x=1", "has no `keys`, and its name is not an address"),
        ("client_id", "a..b", "is not a valid claim path"),
        ("[at+jwt, absent]", "[]", "`token_types` lists nothing"),
        ("[at+jwt, absent]", "[\"a b\"]", "is not a valid media type"),
        (
            "      token_types",
            "      token_type: JWT\n      token_types",
            "`token_type` and also `token_types`",
        ),
        ("32768", "65536", "`max_token_bytes` is 65536"),
        (
            "      audience_claim",
            "      keys: { discovery: \"http://a.test/x\" }\n      audience_claim",
            "without encryption",
        ),
    ] {
        assert!(stranger.contains(old), "{old}");
        let message = dev_with_sessions(&stranger.replacen(old, new, 1)).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
    let mapped = "sessions:\n  cookie: t\n  issuer: a\n  audience: x\n  keys: { file: k.json }\n  claims: { tenant: \"https://acme.test/tenant\", scopes: realm_access.roles, session: sid }\n  required: [session]\n";
    let issuer = dev_with_sessions(mapped).unwrap().sessions.unwrap().issuers.remove(0);
    assert_eq!(issuer.claims.scopes.as_ref().map(|path| path.names().len()), Some(2));
    assert!(
        matches!(&issuer.claims.tenant, edge_config::edge::TenantRule::Claim(path) if path.names().len() == 1)
    );
    assert!(
        issuer.claims.role.is_none()
            && issuer.token_types.accept(None)
            && issuer.token_types.accept(Some("jwt"))
    );
    for (old, new, expected) in [
        ("tenant: \"https://acme.test/tenant\", ", "", "`claims` has no `tenant`"),
        ("\"https://acme.test/tenant\"", "{ constant: acme }", "`constant` is \"acme\""),
        ("\"https://acme.test/tenant\"", "{ claim: x }", "has no field `claim`"),
        ("\"https://acme.test/tenant\"", "7", "`tenant` of `claims` is a number"),
        ("realm_access.roles", "realm_access..roles", "is not a valid claim path"),
        ("scopes: realm", "scope: realm", "has no field `scope`"),
        ("[session]", "[sid]", "`required` is \"sid\""),
        ("[session]", "[role]", "`claims` does not name its claim"),
        (
            "  claims: { tenant: \"https://acme.test/tenant\", scopes: realm_access.roles, session: sid }\n",
            "",
            "`required` without `claims`",
        ),
    ] {
        assert!(mapped.contains(old), "{old}");
        let message = dev_with_sessions(&mapped.replacen(old, new, 1)).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
    let none = "sessions:\n  cookie: t\n  issuers: []\n";
    assert!(dev_with_sessions(none).unwrap_err().to_string().contains("lists 0 issuers"));
}

#[expect(clippy::panic, reason = "tests fail by panicking")]
fn panic_with_text(text: &str) -> ! {
    panic!("{text}")
}

/// The dev edge with another `sessions` section.
fn dev_with_sessions(section: &str) -> Result<Edge, Faults> {
    let text = dev_text();
    let start = text.find("sessions:\n").unwrap();
    let end = text.find("# Services that may call").unwrap();
    let text = format!("{}{section}\n{}", &text[..start], &text[end..]);
    parse(Path::new("edge.yaml"), &text, &nothing_set)
}

#[test]
fn api_keys_and_legacy_sessions() {
    use edge_config::edge::{AcceptedCredential, LegacyVerifier};
    let sections = "api_keys: { file: keys.jsonl }\nlegacy_sessions:\n  cookie: old\n  tenant: 00000000-0000-7000-8000-000000000001\n  verify: { check: { backend: legacy, path: /auth/token } }\n\ntenants: {";
    let accept = "signed-in: { kind: session, accept: [session, api-key, legacy-session] }";
    let edit = |edits: &[(&str, &str)]| {
        let mut text = dev_text().replacen("tenants: {", sections, 1);
        text = text.replacen("signed-in: { kind: session }", accept, 1);
        for (old, new) in edits {
            assert!(text.contains(old), "{old:?} is not in the file");
            text = text.replacen(old, new, 1);
        }
        parse(Path::new("edge.yaml"), &text, &nothing_set)
    };
    let edge = edit(&[]).unwrap();
    let Policy::Session(policy) = &edge.policies["signed-in"] else { panic_with_text("no session policy") };
    assert_eq!(policy.accepted()[2], AcceptedCredential::LegacySession);
    assert_eq!(edge.api_keys.unwrap().headers, ["x-api-key"]);
    let LegacyVerifier::Check(check) = edge.legacy_sessions.unwrap().verify else {
        panic_with_text("no check")
    };
    assert_eq!(check.url, "http://127.0.0.1:3000/auth/token");
    assert_eq!(check.request_headers["x-madome-public-access"], "true");
    assert_eq!((check.cache.as_millis(), check.timeout.as_millis()), (1_000, 150));

    let password = "redis: { url: \"redis://:hidden@127.0.0.1/\", key_prefix: \"s:\" }";
    let with_store = edit(&[("check: { backend: legacy, path: /auth/token }", password)]).unwrap();
    assert!(!format!("{with_store:?}").contains("hidden"), "a password shows");
    let only_keys = edit(&[("[session, api-key, legacy-session]", "[api-key]")]).unwrap();
    let Policy::Session(policy) = &only_keys.policies["signed-in"] else {
        panic_with_text("no session policy")
    };
    assert!(!policy.accepts(AcceptedCredential::Session));

    for (old, new, expected) in [
        ("api_keys: { file: keys.jsonl }\n", "", "accepts `api-key`, and the file has no `api_keys`"),
        ("[session, api-key, legacy-session]", "[session, apikey]", "did you mean `api-key`?"),
        ("[session, api-key, legacy-session]", "[session, session]", "lists `session` twice"),
        ("[session, api-key, legacy-session]", "[]", "accepts nothing"),
        ("file: keys.jsonl", "file: keys.jsonl, header: X-Api-Key", "lower-case"),
        ("file: keys.jsonl", "file: keys.jsonl, header: cookie", "a header of its own"),
        ("file: keys.jsonl", "file: keys.jsonl, header: a, headers: [b]", "`header` and `headers`"),
        ("file: keys.jsonl", "file: keys.jsonl, headers: [a, a]", "names \"a\" twice"),
        ("file: keys.jsonl", "file: keys.jsonl, headers: []", "names 0 headers"),
        ("file: keys.jsonl", "file: keys.jsonl, header: x-madome-key", "`reserved_headers` removes"),
        ("file: keys.jsonl", "file: keys.jsonl, header: x-host", "`reserved_headers` removes"),
        ("  tenant: 00000000-0000-7000-8000-000000000001\n", "", "has no `tenant`"),
        ("000000000001\n  verify", "00000000000x\n  verify", "write the tenant's UUID"),
        ("backend: legacy,", "backend: legcy,", "did you mean `legacy`?"),
        ("path: /auth/token } }", "path: auth/token } }", "begins with `/`"),
        ("path: /auth/token } }", "path: /auth/token, cache_ms: 5001 } }", "from 0 to 5000"),
        ("path: /auth/token } }", "path: /auth/token, timeout_ms: 200 } }", "Envoy waits 200 ms"),
        ("check: { backend: legacy, path: /auth/token }", "", "needs either `redis` or `check`"),
        ("check: { backend", "redis: { url: \"redis://x\" }, check: { backend", "exactly one"),
        (
            "check: { backend: legacy, path: /auth/token }",
            "redis: { url: \"http://x\" }",
            "redis://host:port",
        ),
        ("check: { backend: legacy, path: /auth/token }", "redis: true", "write a mapping"),
    ] {
        let message = edit(&[(old, new)]).expect_err(new).to_string();
        assert!(message.contains(expected), "{new:?} should say {expected:?}, but says:\n{message}");
    }
}

#[test]
fn permissions_and_service_tokens_are_checked() {
    let with_permission = "services: [auth], permissions: [users.read] }";
    let text = dev_text()
        .replacen("keys/auth.jwks.json\" }", "keys/auth.jwks.json\", permissions: [users.read], tenants: [00000000-0000-7000-8000-000000000001] }", 1)
        .replacen("services: [auth] }", with_permission, 1)
        .replacen("policies:\n", "service_tokens: { issuer: auth, keys: t.json }\npolicies:\n", 1);
    let edge = parse(Path::new("edge.yaml"), &text, &nothing_set).unwrap();
    let Policy::Internal(policy) = &edge.policies["account-lookup"] else { unreachable!() };
    assert_eq!(policy.permissions, ["users.read"]);
    assert_eq!(edge.service_tokens.unwrap().issuer, "auth");
    let (listed, other) = ["00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"]
        .map(|t| t.parse().unwrap())
        .into();
    let tenants = |text: &str| {
        let edge = parse(Path::new("edge.yaml"), text, &nothing_set).unwrap();
        edge.services[&"auth".parse().unwrap()].tenants.clone()
    };
    assert!(tenants(&text).include(listed) && !tenants(&text).include(other));
    let any = text.replacen("[00000000-0000-7000-8000-000000000001]", "any", 1);
    assert!(tenants(&any).include(other));
    assert!(!tenants(&dev_text()).include(listed), "a tenant that is not listed is not allowed");
    for (old, new, expected) in [
        (with_permission, "permissions: [users.raed] }", "did you mean `users.read`?"),
        (with_permission, "permissions: [users.read, users.read] }", "twice"),
        (with_permission, "permissions: [\"a b\"] }", "visible characters"),
        ("tenants: [00000000-0000-7000-8000-000000000001]", "tenants: every", "write a list"),
        ("tenants: [00000000-0000-7000-8000-000000000001]", "tenants: [demo]", "UUID, or `tenants: any`"),
        ("issuer: auth, ", "", "has no `issuer`"),
        ("keys: t.json", "kees: t.json", "has no `keys`"),
    ] {
        assert!(text.contains(old), "{old:?} is not there");
        let message = faults_of(&text.replacen(old, new, 1)).to_string();
        assert!(
            message.contains(expected),
            "replacing {old:?} by {new:?} should say {expected:?}:\n{message}"
        );
    }
}
