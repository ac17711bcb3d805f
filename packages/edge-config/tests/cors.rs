//! Pages of other origins in an edge file.

use std::path::Path;
use std::time::Duration;

use edge_config::edge::{Cors, RouteCors};
use edge_config::{Edge, Faults};

fn read(host: &str, route: &str) -> Result<(Edge, Faults), Faults> {
    let text = format!(
        "
edge: shop
listeners:
  public: {{ address: 127.0.0.1:8080, exposure: public }}
  service: {{ address: 127.0.0.1:8081, exposure: internal }}
backends: {{ shop: {{ address: 127.0.0.1:3000 }} }}
services: {{ auth: {{ keys: keys.json }} }}
policies: {{ public: {{ kind: public }}, inner: {{ kind: internal, services: [auth] }} }}
hosts:
  api: {{ listener: public, names: [api.example.com]{host} }}
  inner: {{ listener: service, names: [inner.example.com] }}
routes:
  - {{ name: all, host: api, prefix: /, methods: [GET], policy: public, to: shop{route} }}
  - {{ name: inner, host: inner, exact: /inner, policy: inner, to: shop }}
"
    );
    edge_config::inspect_text(Path::new("edge.yaml"), &text, &|_| None)
}

#[test]
fn a_route_has_the_rules_of_its_host_or_its_own_or_none() {
    let host = ", cors: { origins: [\"https://app.example.com\", \"https://*.shop.example\"], credentials: true, expose: [x-total] }";
    let (edge, warnings) = read(host, "").unwrap();
    assert!(!warnings.to_string().contains("help"), "no warning: {warnings}");
    let expected = Cors {
        origins: vec!["https://app.example.com".to_owned(), "https://*.shop.example".to_owned()],
        credentials: true,
        methods: None,
        headers: None,
        expose: vec!["x-total".to_owned()],
        max_age: Duration::from_secs(600),
    };
    assert_eq!(edge.cors_of(&edge.routes[0]), Some(&expected));
    assert_eq!(edge.cors_of(&edge.routes[1]), None);
    let (edge, _) = read(host, ", cors: none").unwrap();
    assert_eq!((edge.cors_of(&edge.routes[0]), &edge.routes[0].cors), (None, &RouteCors::None));
    let own = ", cors: { origins: [\"*\"], methods: [GET, REPORT], headers: [x-a], max_age_seconds: 0 }";
    let (edge, _) = read(host, own).unwrap();
    let cors = edge.cors_of(&edge.routes[0]).unwrap();
    assert_eq!((cors.methods.as_ref().unwrap().len(), cors.credentials, cors.varies()), (2, false, false));
}

#[test]
fn each_of_these_is_a_fault() {
    for (cors, part) in [
        ("{ origins: [\"*\"], credentials: true }", "lets the pages of every site send cookies"),
        ("{ origins: [\"null\"], credentials: true }", "pages without an origin send cookies"),
        ("{ origins: [\"*\", \"https://a.example\"] }", "lists `*` and further origins"),
        ("{ credentials: true }", "has no `origins`"),
        ("{ origins: [] }", "lists no origin"),
        ("{ origins: https://a.example }", "write a list"),
        ("{ origins: [\"https://a.example/\"] }", "write it as browsers send it"),
        ("{ origins: [\"https://*.*.example\"] }", "write it as browsers send it"),
        ("{ origins: [\"*.example.com\"] }", "write it as browsers send it"),
        ("{ origins: [\"https://a.example\", \"https://a.example\"] }", "list it once"),
        ("{ origins: [\"*\"], credentials: maybe }", "write true or false"),
        ("{ origins: [\"*\"], methods: [get] }", "allows the method"),
        ("{ origins: [\"*\"], methods: [GET, GET] }", "lists GET twice"),
        ("{ origins: [\"*\"], headers: [\"*\"] }", "browsers read `*` as a name"),
        ("{ origins: [\"*\"], expose: [X-Total] }", "in lower case"),
        ("{ origins: [\"*\"], expose: [a, a] }", "lists a twice"),
        ("{ origins: [\"*\"], max_age_seconds: 86401 }", "from 0 to 86400"),
        ("{ origins: [\"*\"], origin: a }", "has no field `origin`"),
        ("[\"*\"]", "is a list"),
    ] {
        for (host, route) in
            [(format!(", cors: {cors}"), String::new()), (String::new(), format!(", cors: {cors}"))]
        {
            let faults = read(&host, &route).unwrap_err().to_string();
            assert!(faults.contains(part), "{cors}: {faults}");
        }
    }
    let word = read("", ", cors: never").unwrap_err().to_string();
    assert!(word.contains("`cors` of route `all` is \"never\""), "{word}");
}

#[test]
fn an_internal_listener_has_no_pages_and_doubtful_origins_are_warned_about() {
    let text = |host: &str, route: &str| {
        format!(
            "
edge: shop
listeners: {{ service: {{ address: 127.0.0.1:8081, exposure: internal }} }}
backends: {{ shop: {{ address: 127.0.0.1:3000 }} }}
services: {{ auth: {{ keys: keys.json }} }}
policies: {{ inner: {{ kind: internal, services: [auth] }} }}
hosts: {{ inner: {{ names: [inner.example.com]{host} }} }}
routes: [{{ name: inner, prefix: /, policy: inner, to: shop{route} }}]
"
        )
    };
    let cors = ", cors: { origins: [\"https://a.example\"] }";
    for (host, route, what) in [(cors, "", "host `inner`"), ("", cors, "route `inner`")] {
        let faults = edge_config::parse(Path::new("edge.yaml"), &text(host, route), &|_| None)
            .unwrap_err()
            .to_string();
        assert!(faults.contains(&format!("{what} has `cors` on an internal listener")), "{faults}");
    }
    for (origin, part) in [
        ("http://app.example.com", "anyone on the network"),
        ("https://*.com", "a whole top-level domain"),
        ("http://localhost:5173", ""),
        ("http://[::1]:5173", ""),
        ("http://127.0.0.1:5173", ""),
        ("https://*.localhost", ""),
    ] {
        let (_, warnings) =
            read(&format!(", cors: {{ origins: [\"{origin}\"], credentials: true }}"), "").unwrap();
        let said = warnings.to_string();
        assert!(
            if part.is_empty() { !said.contains("help") } else { said.contains(part) },
            "{origin}: {said}"
        );
    }
}
