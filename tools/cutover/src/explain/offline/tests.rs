use super::*;

/// The guard's table and [`route_of`] both come from one edge file and must agree everywhere.
#[test]
fn the_guard_and_the_route_match_agree() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let edge = edge_config::load(&file, &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
    let mut paths = vec!["/".to_owned(), "//".to_owned(), "/nowhere".to_owned(), "/Users/@me".to_owned()];
    for route in &edge.routes {
        let path = route.path.path().trim_end_matches('/');
        for end in ["", "/", "x", "/x", "/x/y", "/@me", "/token"] {
            paths.push(format!("{path}{end}"));
        }
    }
    let mut seen = 0;
    for (name, listener) in &edge.listeners {
        let rules = Rules::compile(&render::guard_config(&edge, name, listener)).unwrap();
        let hosts = edge.hosts.values().flat_map(|host| &host.names);
        for host in hosts.map(String::as_str).chain(["elsewhere.test", "API.dev-domain.test:8080"]) {
            let host = if host == "*" { "any.test" } else { host };
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                for path in paths.iter().filter(|path| path.starts_with('/')) {
                    let guard = rules.policy_of(host.as_bytes(), method.as_bytes(), path.as_bytes());
                    let closed = rules.judge_target(host.as_bytes(), method.as_bytes(), path.as_bytes())
                        == Err(header_rules::Reason::InternalPath);
                    match route_of(&edge, name, host, method, path) {
                        Match::Route(route) => {
                            assert_eq!(guard, Some(route.policy.as_str()), "{name} {method} {host}{path}");
                            seen += 1;
                        }
                        Match::InternalPath => assert!(closed, "{name} {method} {host}{path}"),
                        Match::Redirect | Match::UnknownHost | Match::Unmatched | Match::MethodNotAllowed => {
                            assert_eq!(guard, None, "{name} {method} {host}{path}");
                        }
                    }
                }
            }
        }
    }
    assert!(seen > 1_000, "{seen} comparisons");
}
