//! The same with the comparator: each new service is the shadow of the legacy sample's routes, and gets a copy of every read.

use std::collections::BTreeMap;

use harness::wire::Request;
use harness::{EdgeBuilder, Port, eventually, repository};
use kit::testing::PrivatePostgres;
use serde_json::Value;

use super::stage::Stage;

/// Who reads: a person of each of two tenants. Roles make no difference to what can be read here.
const READERS: [&str; 2] = ["demo", "elsewhere"];

/// The end of each route of the development edge to a new service.
const ROUTES: [&str; 6] = [
    "exact: /users/@me, policy: signed-in, to: users,",
    "prefix: /users/@me, policy: signed-in, to: users,",
    "prefix: /users, policy: signed-in, to: users,",
    "prefix: /books, policy: signed-in, to: library,",
    "prefix: /open-graph, methods: [GET, HEAD], policy: public, to: library,",
    "host: file, prefix: /, policy: signed-in, to: image,",
];
const COMPARATOR: &str = "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n";
/// The rules of `contracts/whole/rules.yaml` that are about reads, as an edge file says them.
const RULES: &str = "  sample_percent: 100
  ignore:
    - { header: date }
    - { json: /created_at, route: users-me }
    - { json: /updated_at, route: users-me }
    - { header: etag, route: files }
    - { header: content-type, route: files }
    - { kind: header_case, route: files }
    - { kind: header_order, route: files }
    - { json: /*, route: files }
";

/// An edge whose routes are the legacy sample's, with the new services as shadows.
fn shadows(edge: EdgeBuilder, ports: &[Port; 2]) -> EdgeBuilder {
    let edge = ROUTES.iter().fold(edge, |edge, route| {
        let (kept, service) = route.rsplit_once("to: ").unwrap_or_default();
        edge.replace(route, &format!("{kept}to: legacy, shadow: {service}"))
    });
    let [copies, admin] = ports.each_ref().map(|port| port.address().to_string());
    edge.replace(COMPARATOR, &format!("{COMPARATOR}{RULES}"))
        .variable("COMPARATOR_ADDRESS", &copies)
        .variable("COMPARATOR_ADMIN_ADDRESS", &admin)
}

#[test]
fn the_comparator_is_silent_about_every_read_of_the_request_set() {
    compare(None);
}

#[test]
fn the_comparator_is_silent_about_every_read_of_the_request_set_on_postgresql() {
    let postgres = PrivatePostgres::start();
    compare(Some(&postgres.url()));
}

fn compare(database: Option<&str>) {
    let ports = [Port::lease(), Port::lease()];
    let stage = Stage::start_with(database, |edge| shadows(edge, &ports));
    let admin = ports[1].address();
    let _comparator = stage.edge.comparator(admin);
    let set = contract::requests::read(&repository().join("contracts/whole/everyone"), &BTreeMap::new());
    let set = set.expect("the set is readable").requests;
    let reads: Vec<_> = set.iter().filter(|request| request.method == "GET").collect();
    for name in READERS {
        for read in &reads {
            let request = stage.edge.request(&read.method, &read.target).header("cookie", stage.cookie(name));
            let host = read.host.clone().unwrap_or_else(|| "localhost".to_owned());
            let lines = read.headers.iter();
            let request =
                lines.fold(request.host(host), |request, line| request.header(&line.name, &line.value));
            assert!(request.send().status < 500, "{}", read.shown());
        }
    }
    let all = reads.len() * READERS.len();
    assert!(all > 200, "{all} reads");
    let mut routes = Value::Null;
    eventually("every copy is compared", || {
        let report = Request::new(admin, "GET", "/report").send().json();
        routes = report.get("routes").cloned().unwrap_or_default();
        sum(&routes, "compared") + sum(&routes, "dropped") >= all as u64
    });
    let counts = ["compared", "dropped", "different"].map(|count| sum(&routes, count));
    assert_eq!(counts, [all as u64, 0, 0], "{routes:#}");
}

/// A count of all routes together.
fn sum(routes: &Value, count: &str) -> u64 {
    let routes = routes.as_object().into_iter().flatten();
    routes.filter_map(|(_, route)| route.get(count)?.as_u64()).sum()
}
