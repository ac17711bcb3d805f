//! Routes beyond literal paths and one name: hosts with wildcards, shares with decimals, canaries that clients choose,
//! methods by name, tenants in a parameter of the path.

use harness::tokens::DEMO_TENANT;
use harness::wire::{Request, h2};
use harness::{Backend, Edge, EdgeBuilder, Part};

const OPEN: &str = "policy: public, to: legacy, answers: auth";

/// The development edge with more routes, the authorizer left out, and one stand-in for every backend.
fn public_edge(backend: &Backend, hosts: &str, routes: &str) -> EdgeBuilder {
    Edge::dev()
        .replace("hosts:\n", &format!("hosts:\n{hosts}"))
        .replace("routes:\n", &format!("routes:\n{routes}"))
        .every_backend(backend.address())
        .without(Part::Authz)
        .without(Part::Auth)
}

#[test]
fn a_name_comes_before_a_wildcard_and_a_long_ending_before_a_short_one() {
    let backend = Backend::plain();
    let hosts = "  shops: { listener: public, names: [\"*.shop.test\"] }\n  \
                 sale: { listener: public, names: [\"*.sale.shop.test\"] }\n  \
                 named: { listener: public, names: [one.shop.test] }\n";
    let route = |host: &str| format!("  - {{ name: of-{host}, host: {host}, prefix: /which, {OPEN} }}\n");
    let routes = ["shops", "sale", "named"].map(route).concat();
    let edge = public_edge(&backend, hosts, &routes).start();
    for (host, route) in [
        ("one.shop.test", "of-named"),
        ("ONE.shop.test:8080", "of-named"),
        ("two.shop.test", "of-shops"),
        ("a.two.shop.test", "of-shops"),
        ("sale.shop.test", "of-shops"),
        ("a.sale.shop.test", "of-sale"),
        ("a.b.sale.shop.test:80", "of-sale"),
        ("a.one.shop.test", "of-shops"),
    ] {
        let path = format!("/which/{}", host.replace(':', "-"));
        assert_eq!(Request::new(edge.public(), "GET", &path).host(host).send().status, 200, "{host}");
        assert_eq!(edge.logged(&path, 200)["route"], route, "{host}");
        let explained = edge.explain(&[&format!("GET http://{host}{path}")]);
        assert_eq!(explained["route"], route, "{host}: {explained}");
    }
    for host in ["shop.test", "xshop.test", "shop.test.evil.test", ".shop.test", "a..shop.test"] {
        let status = Request::new(edge.public(), "GET", "/which/none").host(host).send().status;
        assert!(matches!(status, 400 | 404), "{host}: {status}");
    }
}

/// The dev edge with public `routes` to two backends.
fn of_two(legacy: &Backend, users: &Backend, routes: &str) -> EdgeBuilder {
    Edge::dev()
        .replace("routes:\n", &format!("routes:\n{routes}"))
        .stand_in("LEGACY_ADDRESS", legacy.address())
        .stand_in("USERS_ADDRESS", users.address())
        .without(Part::Authz)
        .without(Part::Auth)
}

#[test]
fn a_client_chooses_a_canary_that_says_so_and_the_log_says_it() {
    let (legacy, users) = (Backend::plain(), Backend::plain());
    let canary = "canary: [{ cookie: try-new, value: \"1\", to: users, chosen_by: client }, \
                  { header: x-try-new, value: \"yes\", to: users, chosen_by: client }, \
                  { query: v, value: \"2\", to: users, chosen_by: client }]";
    let routes = format!("  - {{ name: choice, host: api, path: \"/choice/{{id}}\", {OPEN}, {canary} }}\n");
    let edge = of_two(&legacy, &users, &routes).start();
    let cookies = |value: &str| vec![("cookie", value.to_owned())];
    let queries = [
        ("?v=2", true),
        ("?a=b&v=2&v=1", true),
        ("?v=1&v=2", false),
        ("?v=%32", false),
        ("?V=2", false),
        ("?v", false),
    ];
    let by_query = queries.map(|(query, chosen)| (query, vec![], chosen));
    let by_headers = [
        (vec![], false),
        (cookies("try-new=1"), true),
        (cookies("a=b; try-new=1"), true),
        (cookies("try-new=1;c=d"), true),
        (vec![("cookie", "a=b".to_owned()), ("cookie", "try-new=1; c=d".to_owned())], true),
        (cookies("try-new=11"), false),
        (cookies("xtry-new=1"), false),
        (cookies("try-new=0"), false),
        (cookies("a=try-new=1"), false),
        (vec![("x-try-new", "yes".to_owned())], true),
        (vec![("x-try-new", "YES".to_owned())], false),
    ]
    .map(|(headers, chosen)| ("", headers, chosen));
    for (number, (query, headers, chosen)) in by_headers.into_iter().chain(by_query).enumerate() {
        let path = format!("/choice/{number}");
        let mut request = edge.get(format!("{path}{query}"));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        assert_eq!(request.send().status, 200, "{headers:?}");
        let line = edge.logged(&path, 200);
        let (cluster, by) = if chosen { ("backend-users", "client") } else { ("backend-legacy", "") };
        assert_eq!(line["cluster"], cluster, "{headers:?}: {line}");
        assert_eq!(line["chosen_by"].as_str().unwrap_or_default(), by, "{headers:?}: {line}");
        let request = format!("GET http://localhost{path}{query}");
        let mut arguments = vec![request];
        for (name, value) in &headers {
            arguments.extend(["-H".to_owned(), format!("{name}: {value}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let explained = edge.explain(&arguments);
        assert_eq!(explained["chosen_by"].as_str().unwrap_or_default(), by, "{headers:?}: {explained}");
    }
    assert_eq!((legacy.seen().len(), users.seen().len()), (10, 7));
}

#[test]
fn a_backend_with_a_host_of_its_own_is_asked_for_it_and_told_the_clients() {
    let (legacy, users) = (Backend::plain(), Backend::plain());
    let own = "users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\", host: \"shop.internal:8443\" }";
    let routes = format!(
        "  - {{ name: one, host: api, prefix: /one, policy: public, to: users, answers: auth }}\n  \
         - {{ name: both, host: api, prefix: /both, policy: public, to: {{ users: 50, legacy: 50 }}, answers: auth }}\n  \
         - {{ name: choice, host: api, prefix: /choice, {OPEN}, canary: [{{ query: v, value: \"2\", to: users, chosen_by: client }}] }}\n"
    );
    let edge = of_two(&legacy, &users, &routes)
        .replace("users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }", own)
        .start();
    let forged = |path: &str| edge.get(path).header("x-forwarded-host", "evil.test").send().status;
    assert_eq!([forged("/one"), forged("/choice?v=2"), forged("/choice")], [200; 3]);
    assert!((0..40).all(|_| forged("/both") == 200));
    let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
    let client = format!("localhost:{}", edge.public().port());
    assert_eq!(connection.ask(&h2::headers("GET", &client, "/one")).status(), Some(200), "over HTTP/2");
    let (legacy, users) = (legacy.seen(), users.seen());
    assert!(legacy.len() > 1 && users.len() > 3, "both have a share: {} and {}", legacy.len(), users.len());
    for seen in &users {
        let hosts = (seen.all("host"), seen.all("x-forwarded-host"));
        assert_eq!(hosts, (vec!["shop.internal:8443".to_owned()], vec![client.clone()]), "{seen:?}");
    }
    for seen in &legacy {
        let hosts = (seen.all("host"), seen.all("x-forwarded-host"));
        assert_eq!(hosts, (vec![client.clone()], Vec::new()), "{seen:?}");
    }
}

#[test]
fn a_method_passes_where_a_route_names_it_and_nowhere_else() {
    let backend = Backend::plain();
    let routes = format!(
        "  - {{ name: dav, host: api, prefix: /dav, methods: [GET, PROPFIND, MKCOL, REPORT, QUERY], {OPEN} }}\n  \
         - {{ name: below, host: api, prefix: /dav/plain, {OPEN} }}\n"
    );
    let edge = public_edge(&backend, "", &routes).start();
    for method in ["GET", "PROPFIND", "MKCOL", "REPORT", "QUERY"] {
        // A QUERY without a content type is invalid for Envoy.
        let json = edge.request(method, "/dav/x").header("content-type", "application/json").body("{}");
        let answer = json.send();
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
        assert!(backend.last().request_line().starts_with(method), "{}", backend.last().request_line());
        let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
        let mut lines = h2::headers(method, "localhost", "/dav/x");
        lines.push((b"content-type".to_vec(), b"application/json".to_vec()));
        let outcome = connection.ask(&lines);
        assert_eq!(outcome.status(), Some(200), "{method} over HTTP/2");
    }
    assert_eq!(edge.request("QUERY", "/dav/x").send().status, 400);
    let seen = backend.seen().len();
    for (method, path, status) in [
        ("PROPFIND", "/open-graph", 405),
        ("PROPFIND", "/metrics", 404),
        ("LOCK", "/dav/x", 405),
        ("TRACE", "/dav/x", 405),
        ("POST", "/dav/x", 503),
    ] {
        let answer = edge.request(method, path).body("").send();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        if status == 405 {
            let allow = answer.all("allow").concat();
            assert!(
                allow.contains("PROPFIND") && allow.contains("QUERY") && !allow.contains("TRACE"),
                "{allow}"
            );
        }
    }
    // The route below takes every usual method and no other: the next less specific route takes this one.
    assert_eq!(edge.request("PROPFIND", "/dav/plain/x").send().status, 200);
    assert_eq!(edge.logged("/dav/plain/x", 200)["route"], "dav");
    assert_eq!(backend.seen().len(), seen + 1);
}

#[test]
fn half_a_percent_goes_where_it_should() {
    let (legacy, users) = (Backend::plain(), Backend::plain());
    let routes = "  - { name: few, host: api, prefix: /few, policy: public, to: { legacy: 99.5, users: 0.5 }, answers: auth }\n";
    let edge = of_two(&legacy, &users, routes).start();
    let mut connection = harness::wire::Connection::open(edge.public()).expect("the edge listens");
    for _ in 0..4_000 {
        connection.write(&edge.get("/few").bytes()).expect("it is sent");
        assert_eq!(connection.answer(false).expect("it is answered").status, 200);
    }
    // Twenty are expected. Fewer than 3 or more than 50 come by chance once in a hundred thousand runs.
    let few = users.seen().len();
    assert!((3..=50).contains(&few), "{few} of 4,000 requests");
    assert_eq!(legacy.seen().len() + few, 4_000);
    let status = edge.cutover(&["status", edge.file().to_str().expect("it is text"), "--json"]);
    assert!(status.contains("99.5") && status.contains("0.5"), "{status}");
    let set = edge.cutover(&[
        "set",
        edge.file().to_str().expect("it is text"),
        "few",
        "--to",
        "users=0.125,legacy=99.875",
    ]);
    assert!(set.contains("users 0.125 %"), "{set}");
    let text = edge.text();
    assert!(text.contains("to: { legacy: 99.875, users: 0.125 }"), "{text}");
}

#[test]
fn a_tenant_in_a_parameter_is_compared_with_the_callers() {
    let backend = Backend::plain();
    let edge = Edge::dev()
        .replace(
            "  signed-in: { kind: session }\n",
            "  signed-in: { kind: session }\n  own: { kind: session, tenant: { path_parameter: tenant } }\n",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: own, host: api, prefix: \"/t/{tenant}/books\", policy: own, to: legacy, answers: auth }\n",
        )
        .every_backend(backend.address())
        .start();
    let token = edge.mint().good(2);
    let own = DEMO_TENANT;
    let ask = |path: &str| edge.get(path).token(&token).send().status;
    assert_eq!(ask(&format!("/t/{own}/books/7")), 200);
    for path in [
        "/t/00000000-0000-7000-8000-0000000000ff/books".to_owned(),
        format!("/t/{own}/books/../../00000000-0000-7000-8000-0000000000ff/books"),
        format!("/t/{own}/books/%2e%2e/%2e%2e/x/books"),
    ] {
        assert!(matches!(ask(&path), 400 | 403), "{path}: {}", ask(&path));
    }
    assert_eq!(backend.seen().len(), 1);
}
