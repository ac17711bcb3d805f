//! Ten thousand routes: Envoy's route tree and the guard's table both follow the documented rule, the most specific
//! route first.

use std::fmt::Write as _;

use edge_config::{Match, route_of};
use harness::{Backend, Edge, Part};

const COUNT: usize = 10_000;

#[test]
fn ten_thousand_routes_lead_where_they_say() {
    let backend = Backend::plain();
    let mut routes = String::from("routes:\n");
    for n in 0..COUNT {
        // Siblings, children of one another, exact beside prefix, and methods of their own.
        let path = match n % 4 {
            0 => format!("prefix: /svc/{n}"),
            1 => format!("prefix: /svc/{}/deep", n - 1),
            2 => format!("exact: /svc/{}/deep/exact", n - 2),
            _ => format!("prefix: /svc/{}, methods: [POST]", n - 3),
        };
        writeln!(
            routes,
            "  - {{ name: many-{n}, host: api, {path}, policy: public, to: legacy, answers: auth }}"
        )
        .expect("it is text");
    }
    let edge = Edge::dev()
        .replace("routes:\n", &routes)
        .every_backend(backend.address())
        .without(Part::Authz)
        .without(Part::Auth)
        .start();
    let text = edge.text();
    let read = edge_config::parse(edge.file(), &text, &|_| None).expect("the edge is valid");
    // Every change reads and writes the table, so it has neither indentation nor repetition.
    let table =
        std::fs::metadata(edge.home().join("envoy/current/routes-public.json")).expect("it is rendered");
    let bound = u64::try_from(COUNT * 4_000).expect("it is small");
    assert!(table.len() < bound, "{} bytes for {COUNT} routes", table.len());
    let mut asked = 0;
    for n in [0, 5_000, 9_996] {
        let paths = [
            format!("/svc/{n}"),
            format!("/svc/{n}/"),
            format!("/svc/{n}/x"),
            format!("/svc/{n}/deep"),
            format!("/svc/{n}/deep/er"),
            format!("/svc/{n}/deep/exact"),
            format!("/svc/{n}/deep/exact/not"),
            format!("/svc/{n}/deepx"),
        ];
        for path in paths {
            for method in ["GET", "POST"] {
                for query in ["", "?a=/svc/1"] {
                    let Match::Route(route) = route_of(&read, "public", "localhost", method, &path) else {
                        continue;
                    };
                    let answer = edge.request(method, format!("{path}{query}")).send();
                    assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
                    asked += 1;
                    let logged = edge.access_log(asked).pop().expect("it is logged");
                    assert_eq!(logged["route"], route.name, "{method} {path}{query}");
                }
            }
        }
        // No route matches half a segment; other paths have the policy of the rest of the host.
        let near = edge.get(format!("/svc/{n}x")).send();
        assert_eq!(near.status, 503, "a signed-in route without an authorizer: {near:?}");
        asked += 1;
    }
    for path in ["/internal", "/_/x", "/metrics/x"] {
        assert_eq!(edge.get(path).send().status, 404, "{path}");
    }
    assert_eq!(edge.request("TRACE", "/svc/0").send().status, 405);
}
