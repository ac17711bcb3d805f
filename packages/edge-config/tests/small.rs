//! A small edge file is enough: what it leaves out has a default.

use std::path::Path;

use edge_config::edge::{Answers, Edge, Exposure};
use edge_config::{Faults, parse};

/// The smallest edge file that routes a request.
const SMALLEST: &str = "
edge: small
listeners: { public: { address: 127.0.0.1:8080 } }
hosts: { api: { names: ['*'] } }
backends: { shop: { address: 127.0.0.1:3000 } }
policies: { public: { kind: public } }
routes: [{ name: all, prefix: /, methods: [GET], policy: public, to: shop }]
";

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Edge, Faults> {
    let find = |name: &str| {
        environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    parse(Path::new("small.yaml"), text, &find)
}

#[test]
fn the_smallest_file_has_defaults_for_everything_else() {
    let edge = read(SMALLEST, &[]).unwrap();
    assert_eq!(edge.root_domain, None);
    assert_eq!(edge.admin.to_string(), "127.0.0.1:9901");
    assert_eq!(edge.authorizer.addresses[0].to_string(), "127.0.0.1:9191");
    assert_eq!(edge.authorizer.timeout.as_millis(), 200);
    assert_eq!(edge.listeners["public"].exposure, Exposure::Public);
    assert_eq!(edge.hosts["api"].listeners, ["public"]);
    assert_eq!((edge.routes[0].host.as_str(), edge.routes[0].answers.as_str()), ("api", Answers::UNSAID));
    assert_eq!(edge.answers[Answers::UNSAID], Answers::neutral());
    let covers = |name: &str| {
        let prefix = |prefix: &String| name.starts_with(prefix.as_str());
        edge.reserved.names.iter().any(|known| known == name) || edge.reserved.prefixes.iter().any(prefix)
    };
    for name in ["x-forwarded-for", "x-envoy-original-path", "forwarded", "x-real-ip", "x-original-url"] {
        assert!(covers(name), "{name}");
    }
}

#[test]
fn variables_move_the_ports_of_a_small_file() {
    let moved = [("ENVOY_ADMIN_ADDRESS", "127.0.0.1:1001"), ("AUTHZ_ADDRESS", "127.0.0.1:1002")];
    let edge = read(SMALLEST, &moved).unwrap();
    assert_eq!(edge.admin.to_string(), "127.0.0.1:1001");
    assert_eq!(edge.authorizer.addresses[0].to_string(), "127.0.0.1:1002");
    let wrong = read(SMALLEST, &[("ENVOY_ADMIN_ADDRESS", "0.0.0.0:1001")]).unwrap_err().to_string();
    assert!(wrong.contains("give it a loopback address"), "{wrong}");
}

#[test]
fn two_hosts_or_listeners_must_be_named() {
    let two = SMALLEST.replace("names: ['*'] }", "names: ['*'] }, other: { names: [other.test] }");
    let faults = read(&two, &[]).unwrap_err().to_string();
    assert!(faults.contains("route `all` has no `host`, and the file has several"), "{faults}");
    let two = SMALLEST.replace("8080 }", "8080 }, second: { address: 127.0.0.1:8081 }");
    let faults = read(&two, &[]).unwrap_err().to_string();
    assert!(faults.contains("host `api` has no `listener`"), "{faults}");
}

#[test]
fn answers_that_a_route_does_not_name_are_those_of_its_host_or_of_the_edge_or_the_default() {
    let words = "answers: { plain: { content_type: text/plain }, other: {} }\n";
    let named = |text: &str| read(&format!("{words}{text}"), &[]).unwrap().routes[0].answers.clone();
    assert_eq!(named(SMALLEST), "default");
    assert_eq!(named(&format!("default_answers: plain\n{SMALLEST}")), "plain");
    let of_host = SMALLEST.replace("names: ['*'] }", "names: ['*'], answers: other }");
    assert_eq!(named(&format!("default_answers: plain\n{of_host}")), "other");
    assert_eq!(named(&of_host.replace("to: shop", "to: shop, answers: plain")), "plain");

    // A file words its default, and what a wording leaves out has the form of its content type.
    let own = format!("answers: {{ default: {{ content_type: application/json }} }}\n{SMALLEST}");
    let edge = read(&own, &[]).unwrap();
    assert_eq!(edge.answers["default"].unauthenticated.body, r#"{"message":"Unauthorized"}"#);
    assert_eq!(edge.answers["default"].unavailable.status.get(), 503);
    // Answers that no route has are not invented.
    let named = format!("{words}{}", SMALLEST.replace("to: shop", "to: shop, answers: plain"));
    assert!(!read(&named, &[]).unwrap().answers.contains_key("default"));
}

#[test]
fn the_home_has_a_default() {
    let revocations = "
sessions: { cookie: sid, issuer: https://login.test, audience: api, revocations: '${CUTOVER_HOME}/ended' }
";
    let text = format!("{revocations}{SMALLEST}");
    let ended = |environment: &[(&str, &str)]| {
        let sessions = read(&text, environment).unwrap().sessions.unwrap();
        sessions.revocations.unwrap().display().to_string()
    };
    assert_eq!(ended(&[]), ".run/ended");
    assert_eq!(ended(&[("CUTOVER_HOME", "/srv/edge")]), "/srv/edge/ended");
}
