//! Limits through the whole edge: the answer to a caller over a limit, byte for byte.

use harness::tokens::DEMO_TENANT;
use harness::wire::{Answer, Request};
use harness::{Backend, Edge, EdgeBuilder, Part, Redis, Signal};

const LIMITS: &str = "limits:
  readers: { per: subject, rate: 2, seconds: 3600 }
  doors: { per: address, rate: 3, seconds: 3600 }
";

fn limited(route: &str, limits: &str) -> EdgeBuilder {
    let start = format!("{{ name: {route},");
    Edge::dev()
        .json_library()
        .replace("limits:\n", LIMITS)
        // Only what the test is about counts.
        .replace(", limits: [codes] }", " }")
        .replace(", limits: [renewals] }", " }")
        .replace(&start, &format!("{{ limits: [{limits}], name: {route},"))
}

fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<String> =
        answer.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).to_lowercase()).collect();
    names.sort();
    names
}

fn header(answer: &Answer, name: &str) -> String {
    String::from_utf8_lossy(answer.header(name).unwrap_or_default()).into_owned()
}

#[test]
fn over_a_limit_the_client_reads_which_and_when_to_come_back() {
    let backend = Backend::plain();
    let redis = Redis::start();
    let edge = limited("books", "readers")
        .every_backend(backend.address())
        .variable("REDIS_URL", &redis.url())
        .start();
    let token = edge.mint().good(0);
    let request = || edge.get("/books/1").token(&token).send();
    let passed = request();
    assert_eq!(passed.status, 200);
    for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert_eq!(passed.header(name), None, "an answer of a backend was edited: {passed:?}");
    }
    assert_eq!(request().status, 200);
    let before = backend.seen().len();
    let over = request();
    let words = r#"{"message":"Too many requests"}"#;
    assert_eq!((over.status, over.text().as_str()), (429, words), "JSON under a JSON type: {over:?}");
    let wait = header(&over, "retry-after");
    let seconds: u64 = wait.parse().expect("whole seconds");
    assert!((1..=1_800).contains(&seconds), "{over:?}");
    assert_eq!(header(&over, "ratelimit"), format!("\"readers\";r=0;t={wait}"));
    assert_eq!(header(&over, "ratelimit-policy"), "\"readers\";q=2;w=3600");
    assert_eq!(header(&over, "content-type"), "application/json; charset=utf-8");
    assert_eq!(
        names(&over),
        ["content-length", "content-type", "date", "ratelimit", "ratelimit-policy", "retry-after"],
        "{over:?}"
    );
    assert_eq!(backend.seen().len(), before, "it went on to the backend");
    assert_eq!(edge.get("/users/@me").token(&token).send().status, 200, "another route has no limit");

    let line = edge.logged("/books/1", 429);
    assert_eq!((&line["reason"], &line["limit"]), (&"rate_limited".into(), &"readers".into()), "{line:#}");
}

#[test]
fn a_public_route_with_a_limit_is_checked_by_the_authorizer_and_stays_public() {
    let backend = Backend::plain();
    let mut edge = limited("auth-code", "doors").every_backend(backend.address()).start();
    let knock = |edge: &Edge| {
        let request: Request = edge.request("POST", "/auth/code").body("{}");
        request.send().status
    };
    for _ in 0..3 {
        assert_eq!(knock(&edge), 200);
        assert_eq!(backend.last().header("x-madome-public").as_deref(), Some("1"));
        assert_eq!(backend.last().all("x-madome-public").len(), 1);
    }
    let over = edge.request("POST", "/auth/code").body("{}").send();
    assert_eq!((over.status, over.text().as_str()), (429, "Too many requests"));
    assert_eq!(over.header("content-type"), None, "{over:?}");
    assert_eq!(edge.request("PATCH", "/auth/token").body("{}").send().status, 200, "no limit, no question");
    // A limit that cannot be counted does not allow.
    edge.stop(Part::Authz, Signal::Kill);
    assert_eq!(knock(&edge), 503);
    assert_eq!(edge.request("PATCH", "/auth/token").body("{}").send().status, 200);
}

#[test]
fn the_header_that_names_the_tenant_reaches_the_authorizer() {
    let backend = Backend::plain();
    let edge = Edge::dev()
        .replace("bot: { kind: session, role: 2 }", "bot: { kind: session, tenant: { header: x-workspace } }")
        .every_backend(backend.address())
        .start();
    let token = edge.mint().good(0);
    let create = |workspace: &str| {
        edge.request("POST", "/users").token(&token).header("X-Workspace", workspace).body("{}").send().status
    };
    assert_eq!(create(DEMO_TENANT), 200);
    assert_eq!(backend.last().all("x-workspace"), [DEMO_TENANT], "it goes on as it came");
    assert_eq!(create("00000000-0000-7000-8000-0000000000ff"), 403);
    assert_eq!(edge.request("POST", "/users").token(&token).body("{}").send().status, 403);
}

#[test]
fn what_is_left_reaches_the_client_beside_the_backends_own_limits() {
    let backend = Backend::answering(
        b"HTTP/1.1 200 OK\r\nRateLimit: \"inner\";r=1;t=2\r\nContent-Length: 2\r\n\r\nok".as_slice(),
    );
    let edge = limited("books", "readers")
        .replace(
            "  readers: { per: subject, rate: 2, seconds: 3600 }",
            "  readers: { per: subject, rate: 2, seconds: 3600, headers: always }",
        )
        .every_backend(backend.address())
        .start();
    let token = edge.mint().good(0);
    for left in [1, 0] {
        let passed = edge.get("/books/1").token(&token).send();
        assert_eq!((passed.status, passed.text().as_str()), (200, "ok"), "{passed:?}");
        let [inner, own] = passed.all("ratelimit").try_into().expect("both lines");
        assert_eq!(inner, "\"inner\";r=1;t=2");
        assert!(own.starts_with(&format!("\"readers\";r={left};t=")), "{own}");
        assert_eq!(passed.all("ratelimit-policy"), ["\"readers\";q=2;w=3600"]);
        assert_eq!(backend.last().header("ratelimit"), None, "the backend reads nothing of it");
    }
    let over = edge.get("/books/1").token(&token).send();
    assert_eq!((over.status, over.all("ratelimit").len()), (429, 1), "{over:?}");
    // A refusal that is not about the limit says nothing.
    assert_eq!(edge.get("/books/1").send().header("ratelimit"), None);
}

#[test]
fn a_tenant_with_a_quota_of_its_own_is_refused_by_that_quota() {
    let backend = Backend::plain();
    let edge = limited("books", "readers")
        .replace(
            "  readers: { per: subject, rate: 2, seconds: 3600 }",
            &format!(
                "  readers: {{ per: tenant, rate: 2, seconds: 3600, overrides: {{ {DEMO_TENANT}: {{ rate: 3, burst: 3 }}, ghost: {{ rate: 9 }} }} }}"
            ),
        )
        .every_backend(backend.address())
        .start();
    let token = edge.mint().good(0);
    for _ in 0..3 {
        assert_eq!(edge.get("/books/1").token(&token).send().status, 200);
    }
    let over = edge.get("/books/1").token(&token).send();
    assert_eq!((over.status, header(&over, "ratelimit-policy").as_str()), (429, "\"readers\";q=3;w=3600"));
    let file = edge.home().join("token");
    std::fs::write(&file, &token).expect("the home is writable");
    let file = file.display().to_string();
    let explained = edge.explain(&["GET https://api.dev-domain.test/books/1", "--token-file", &file]);
    let quota = &explained["quotas"]["readers"];
    assert_eq!(quota, "3 in 3600 s, 3 at once (the quota of this caller)", "{explained:#}");
}
