use super::*;

fn exact(path: &str) -> PathRule {
    PathRule::Exact(path.to_owned())
}

fn prefix(path: &str) -> PathRule {
    PathRule::Prefix(path.to_owned())
}

fn route(path: PathRule, methods: &[&str], policy: &str) -> RouteRule {
    RouteRule {
        path,
        methods: methods.iter().map(ToString::to_string).collect(),
        policy: policy.to_owned(),
        lease: None,
        cross_site: false,
        cors: None,
        sign_in: false,
        websocket_token: false,
    }
}

/// Policies are named by one digit.
fn compile(routes: &[RouteRule], closed: &[PathRule]) -> Result<HostRoutes, ConfigError> {
    compile_with(routes, &[], closed)
}

fn compile_with(
    routes: &[RouteRule],
    absent: &[PathRule],
    closed: &[PathRule],
) -> Result<HostRoutes, ConfigError> {
    HostRoutes::compile("hosts[h]", (routes, absent, None), closed, |policy| policy.parse().unwrap())
}

#[test]
fn the_most_specific_route_counts() {
    let routes = compile(
        &[
            route(prefix("/"), &[], "0"),
            route(prefix("/users"), &[], "1"),
            route(prefix("/users"), &["PATCH"], "2"),
            route(exact("/users"), &["POST"], "3"),
            route(exact("/users/@me"), &[], "4"),
            route(prefix("/users/@me"), &[], "5"),
            route(prefix("/users/@me/likes"), &["GET"], "6"),
            route(exact("/openapi/"), &[], "7"),
        ],
        &[],
    )
    .unwrap();
    for (method, path, expected) in [
        ("GET", "/", 0),
        ("GET", "/usersx", 0),
        ("GET", "/user", 0),
        ("GET", "/Users", 0),
        ("GET", "/users", 1),
        ("GET", "/users/", 1),
        ("GET", "/users/1/2/3", 1),
        ("PATCH", "/users/1", 2),
        ("POST", "/users", 3),
        ("POST", "/users/", 1),
        ("GET", "/users/@me", 4),
        ("GET", "/users/@me/", 5),
        ("GET", "/users/@me/likes", 6),
        ("POST", "/users/@me/likes", 5),
        ("GET", "/users/@me/likesx", 5),
        ("GET", "/openapi/", 7),
        ("GET", "/openapi", 0),
        ("GET", "/openapi/x", 0),
    ] {
        assert_eq!(routes.raw(path.as_bytes(), method.as_bytes()).policy, Some(expected), "{method} {path}");
    }
}

#[test]
fn a_parameter_takes_one_segment_and_a_literal_wins() {
    let routes = compile(
        &[
            route(prefix("/"), &[], "0"),
            route(exact("/users/{id}"), &[], "1"),
            route(exact("/users/me"), &["GET"], "2"),
            route(exact("/users/{User}/orders"), &[], "3"),
            route(prefix("/users/me"), &["PUT"], "4"),
            route(prefix("/t/{tenant}/invoices"), &[], "5"),
            route(exact("/{a}/{b}/{c}"), &["GET"], "6"),
        ],
        &[prefix("/{any}/secret")],
    )
    .unwrap();
    for (method, path, expected) in [
        ("GET", "/users/7", 1),
        ("GET", "/users/me", 2),
        ("POST", "/users/me", 1),
        ("GET", "/users/ME", 1),
        ("GET", "/users/", 0),
        ("GET", "/users/7/", 0),
        ("GET", "/users//orders", 0),
        ("GET", "/users/a%2Fb/orders", 3),
        ("GET", "/users/me/orders", 3),
        ("PUT", "/users/me/orders", 4),
        ("PUT", "/users/me/orders/1", 4),
        ("GET", "/users/me/orders/1", 0),
        ("GET", "/t/x/invoices/1/2", 5),
        ("GET", "/t/x/invoices", 5),
        ("GET", "/t/x/invoicesx", 6),
        ("POST", "/t/x/invoicesx", 0),
        ("GET", "/t/;x/invoices", 5),
        ("GET", "/users/\u{fc}", 0),
    ] {
        assert_eq!(routes.raw(path.as_bytes(), method.as_bytes()).policy, Some(expected), "{method} {path}");
    }
    assert!(routes.raw(b"/x/secret/y", b"GET").closed && routes.raw(b"/users/secret", b"GET").closed);
    assert!(!routes.raw(b"//secret", b"GET").closed && !routes.raw(b"/x/y/secret", b"GET").closed);
    // A backend that decodes lets a parameter be anything.
    assert!(routes.any("/users/\u{fc}".as_bytes(), false, b"GET", |place| place.policy == Some(1)));
    assert!(routes.any(b"/users/a b/orders", false, b"GET", |place| place.policy == Some(3)));
}

#[test]
fn templates_that_cannot_work_are_named() {
    for bad in ["/{}", "/{a}b", "/a{b}", "/{a", "/a}"] {
        let error = compile(&[route(exact(bad), &[], "0")], &[]).unwrap_err();
        assert!(matches!(&error, ConfigError::BadPath { path, .. } if path == bad), "{bad}: {error}");
    }
    let both =
        |one: &str, other: &str| compile(&[route(exact(one), &[], "0"), route(exact(other), &[], "1")], &[]);
    assert!(matches!(both("/u/{a}/x", "/u/{b}/x"), Err(ConfigError::DuplicateRoute { .. })));
    assert!(matches!(both("/U/{a}", "/u/{a}"), Err(ConfigError::Confusable { .. })));
    assert!(both("/u/{a}", "/u/me").is_ok());
    // The name of a parameter is not a letter case of the path.
    assert!(both("/u/{UserId}", "/u/me").unwrap().is_plain(b"/u/x", false));
}

#[test]
fn a_route_without_methods_takes_the_usual_ones_alone() {
    let routes =
        compile(&[route(prefix("/"), &["PROPFIND"], "0"), route(prefix("/dav"), &[], "1")], &[]).unwrap();
    for (method, path, expected) in [
        ("PATCH", "/dav/x", Some(1)),
        ("PROPFIND", "/dav/x", Some(0)),
        ("PROPFIND", "/x", Some(0)),
        ("MKCOL", "/dav/x", None),
        ("TRACE", "/dav/x", None),
        ("GET", "/x", None),
    ] {
        assert_eq!(routes.raw(path.as_bytes(), method.as_bytes()).policy, expected, "{method} {path}");
    }
}

#[test]
fn a_request_without_a_route_has_no_policy() {
    let routes =
        compile(&[route(prefix("/open-graph"), &["GET"], "1"), route(exact("/x"), &["GET"], "1")], &[])
            .unwrap();
    for (method, path) in
        [("GET", "/"), ("GET", "/open-graphs"), ("POST", "/open-graph"), ("POST", "/x"), ("GET", "/x/")]
    {
        assert_eq!(routes.raw(path.as_bytes(), method.as_bytes()), PathEntry::default(), "{method} {path}");
    }
}

#[test]
fn closed_paths_are_closed_by_whole_segments() {
    let routes =
        compile(&[route(prefix("/"), &[], "0")], &[prefix("/_"), prefix("/internal"), exact("/stats")])
            .unwrap();
    for (path, closed) in [
        ("/_", true),
        ("/_/users", true),
        ("/_x", false),
        ("/_x/_", false),
        ("/internal", true),
        ("/internal/", true),
        ("/internals", false),
        ("/a/internal", false),
        ("/stats", true),
        ("/stats/x", false),
    ] {
        assert_eq!(routes.raw(path.as_bytes(), b"GET").closed, closed, "{path}");
    }
}

#[test]
fn lenient_backends_are_reckoned_with() {
    let routes = compile(
        &[
            route(prefix("/"), &[], "0"),
            route(prefix("/Admin"), &[], "1"),
            route(exact("/docs/"), &[], "2"),
            route(exact("/users"), &["POST"], "3"),
        ],
        &[prefix("/Internal")],
    )
    .unwrap();
    let policies = |method: &str, path: &str| {
        let mut seen = Vec::new();
        let upper = path.bytes().any(|byte| byte.is_ascii_uppercase());
        routes.any(path.as_bytes(), upper, method.as_bytes(), |place| {
            seen.push(place.policy.unwrap());
            place.closed
        });
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(policies("GET", "/admin"), [0, 1]);
    assert_eq!(policies("GET", "/ADMIN/x"), [0, 1]);
    assert_eq!(policies("GET", "/docs"), [0, 2]);
    assert_eq!(policies("GET", "/docs/"), [0, 2]);
    assert_eq!(policies("POST", "/users/"), [0, 3]);
    assert_eq!(policies("POST", "/USERS//"), [0, 3]);
    assert_eq!(policies("GET", "/users/"), [0]);
    assert!(routes.any(b"/iNTERNAL", true, b"GET", |place| place.closed));
    assert!(!routes.any(b"/internals", false, b"GET", |place| place.closed));
}

#[test]
fn routes_that_cannot_work_are_named() {
    let place = || "hosts[h]".to_owned();
    for bad in ["", "users", "*", "/a?b", "/a#b", "/a b", "/a\0", "/é"] {
        let error = compile(&[route(exact(bad), &[], "0")], &[]).unwrap_err();
        assert!(matches!(&error, ConfigError::BadPath { path, .. } if path == bad), "{error}");
        let error = compile(&[], &[prefix(bad)]).unwrap_err();
        assert!(matches!(&error, ConfigError::BadPath { place, .. } if place == "internal_paths"), "{error}");
    }
    assert!(matches!(compile(&[route(prefix("/a/"), &[], "0")], &[]), Err(ConfigError::BadPath { .. })));
    assert!(compile(&[route(exact("/a/"), &[], "0"), route(prefix("/"), &[], "1")], &[]).is_ok());
    for bad in ["", "get", "G T", "*"] {
        let error = compile(&[route(exact("/a"), &[bad], "0")], &[]).unwrap_err();
        assert_eq!(error, ConfigError::BadMethod { place: place(), method: bad.to_owned() });
    }
    assert_eq!(
        compile(&[route(exact("/a"), &[], "")], &[]).unwrap_err(),
        ConfigError::NoPolicy { place: place(), path: "/a".to_owned() }
    );
    for (first, second, method) in [
        (vec![], vec![], "any method"),
        (vec!["GET", "HEAD"], vec!["POST", "HEAD"], "HEAD"),
        (vec!["GET"], vec!["GET"], "GET"),
    ] {
        let error =
            compile(&[route(prefix("/a"), &first, "0"), route(prefix("/a"), &second, "0")], &[]).unwrap_err();
        assert_eq!(
            error,
            ConfigError::DuplicateRoute { place: place(), path: "/a".to_owned(), method: method.to_owned() }
        );
    }
    for (first, second) in [("/Books", "/books"), ("/docs/", "/docs")] {
        let error =
            compile(&[route(exact(first), &[], "0"), route(exact(second), &[], "1")], &[]).unwrap_err();
        assert_eq!(
            error,
            ConfigError::Confusable { place: place(), path: second.to_owned(), other: first.to_owned() }
        );
        assert!(compile(&[route(exact(first), &[], "1"), route(exact(second), &[], "1")], &[]).is_ok());
    }
}

/// A lookup visits the segments of a path, not the routes.
#[test]
fn many_routes_are_found_as_one() {
    let mut many: Vec<_> =
        (0..10_000).map(|n| route(prefix(&format!("/tenants/{n}/books")), &[], "1")).collect();
    many.push(route(prefix("/"), &[], "0"));
    let routes = compile(&many, &[]).unwrap();
    for n in [0, 1, 4_999, 9_999] {
        assert_eq!(routes.raw(format!("/tenants/{n}/books/7").as_bytes(), b"GET").policy, Some(1));
        assert_eq!(routes.raw(format!("/tenants/{n}/book").as_bytes(), b"GET").policy, Some(0));
    }
    assert_eq!(routes.plain.longest_list(), 1, "hashes are spread");
    // Templates with one beginning, too.
    let mut many: Vec<_> =
        (0..10_000).map(|n| route(exact(&format!("/t/{{tenant}}/books-{n}/{{id}}")), &[], "1")).collect();
    many.push(route(prefix("/"), &[], "0"));
    let routes = compile(&many, &[]).unwrap();
    assert_eq!(routes.raw(b"/t/x/books-4999/7", b"GET").policy, Some(1));
    assert_eq!(routes.raw(b"/t/x/books-10000/7", b"GET").policy, Some(0));
    assert_eq!(routes.plain.longest_list(), 1, "hashes are spread");
}

#[test]
fn an_absent_path_has_a_place_and_no_policy() {
    let routes = compile_with(
        &[
            route(prefix("/"), &[], "0"),
            route(exact("/auth/token"), &["GET"], "1"),
            route(exact("/auth/token"), &["PATCH"], "2"),
            route(prefix("/auth/deep"), &[], "3"),
            route(prefix("/auth"), &["PUT"], "4"),
        ],
        &[prefix("/auth")],
        &[],
    )
    .unwrap();
    let policy = |path: &str, method: &str| routes.raw(path.as_bytes(), method.as_bytes()).policy;
    for (path, method, expected) in [
        ("/auth/token", "GET", Some(1)),
        ("/auth/token", "PATCH", Some(2)),
        ("/auth/token", "POST", None),
        ("/auth/token/", "GET", None),
        ("/auth", "GET", None),
        ("/auth", "PUT", Some(4)),
        ("/auth/other", "GET", None),
        ("/auth/deep", "GET", Some(3)),
        ("/authx", "GET", Some(0)),
    ] {
        assert_eq!(policy(path, method), expected, "{method} {path}");
    }
    let duplicate = compile_with(&[route(prefix("/a"), &[], "0")], &[prefix("/a")], &[]);
    assert!(matches!(duplicate, Err(ConfigError::DuplicateRoute { .. })), "{duplicate:?}");
    let confusable = compile_with(&[route(prefix("/a"), &[], "0")], &[prefix("/A")], &[]);
    assert!(
        matches!(&confusable, Err(ConfigError::Confusable { other, .. }) if other == "/A"),
        "{confusable:?}"
    );
}
