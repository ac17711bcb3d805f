//! Shadow comparison through a real Envoy: it reports real differences, ignores noise, and never affects the real
//! request.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "tests fail by panicking")]

pub(crate) mod http2;
pub(crate) mod restarts;
pub(crate) mod tls;

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness::wire::Request;
use harness::{
    Backend, Edge, EdgeBuilder, Part, Port, Process, Seen, Signal, eventually, eventually_some, pause,
    program,
};
use serde_json::Value;

const SECTION: &str = "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n";

/// An edge whose route `open` answers from the legacy and has `users` as its shadow.
struct Shadowed {
    comparator: Option<Process>,
    edge: Edge,
    legacy: Backend,
    users: Backend,
    copies: Port,
    admin: Port,
}

impl Shadowed {
    fn start(legacy: Backend, users: Backend, routes: &str, without: &[Part]) -> Self {
        Self::edited(legacy, users, routes, without, |edge| edge)
    }

    fn edited(
        legacy: Backend,
        users: Backend,
        routes: &str,
        without: &[Part],
        edit: impl FnOnce(EdgeBuilder) -> EdgeBuilder,
    ) -> Self {
        let (copies, admin) = (Port::lease(), Port::lease());
        let mut edge = Edge::dev()
            .replace(
                SECTION,
                &format!("{SECTION}  sample_percent: 100\n  ignore: [{{ header: x-ignored }}]\n"),
            )
            .replace("routes:\n", &format!("routes:\n{routes}"))
            .stand_in("LEGACY_ADDRESS", legacy.address())
            .stand_in("USERS_ADDRESS", users.address())
            .variable("COMPARATOR_ADDRESS", &copies.address().to_string())
            .variable("COMPARATOR_ADMIN_ADDRESS", &admin.address().to_string())
            .without(Part::Auth);
        for part in without {
            edge = edge.without(*part);
        }
        Self { comparator: None, edge: edit(edge).start(), legacy, users, copies, admin }
    }

    /// A public route, so that it needs no authorizer.
    fn open(legacy: Backend, users: Backend) -> Self {
        let route = "  - { name: open, host: api, prefix: /open, policy: public, to: legacy, shadow: users, answers: auth }\n";
        Self::start(legacy, users, route, &[Part::Authz])
    }

    fn comparator(mut self) -> Self {
        let mut command = Command::new(program("comparator"));
        command.env("CUTOVER_HOME", self.edge.home()).env("EDGE_FILE", self.edge.file());
        command.env("COMPARATOR_ADDRESS", self.copies.address().to_string());
        command.env("COMPARATOR_ADMIN_ADDRESS", self.admin.address().to_string());
        for name in
            ["EDGE_ADDRESS", "EDGE_SERVICE_ADDRESS", "LEGACY_ADDRESS", "USERS_ADDRESS", "AUTH_ADDRESS"]
        {
            command.env(name, self.edge.address(name).to_string());
        }
        let log = self.edge.home().join("logs/comparator.log");
        self.comparator = Some(Process::start("comparator", &mut command, &log));
        let healthz = Request::new(self.admin.address(), "GET", "/healthz");
        eventually("the comparator is ready", || healthz.try_send().is_ok_and(|answer| answer.status == 200));
        self
    }

    fn report(&self) -> Value {
        Request::new(self.admin.address(), "GET", "/report").send().json()
    }

    /// The report of `route` once `copies` copies have arrived and all of them are compared.
    fn done(&self, route: &str, copies: u64) -> Value {
        eventually_some(&format!("{copies} copies are compared"), || {
            let one = self.report()["routes"][route].clone();
            let count = |key: &str| one[key].as_u64().unwrap_or(0);
            let is_done =
                count("copies") >= copies && count("copies") == count("compared") + count("dropped");
            is_done.then_some(one)
        })
    }

    fn signal(&self, signal: Signal) {
        self.comparator.as_ref().expect("the comparator runs").signal(signal);
    }
}

fn http(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn requested(seen: &Seen, path: &str) -> bool {
    seen.request_line().split(' ').nth(1) == Some(path)
}

fn places(route: &Value) -> Vec<String> {
    let differences = route["samples"].as_array().expect("samples").iter();
    let differences = differences.flat_map(|sample| sample["differences"].as_array().expect("differences"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut places: Vec<_> = differences
        .map(|d| format!("{} {}", text(&d["kind"]), text(&d["place"])).trim_end().to_owned())
        .collect();
    places.sort();
    places
}

/// Every answer has a different date and time.
fn changing(title: impl Fn(&Seen) -> &'static str + Send + Sync + 'static) -> Backend {
    static ANSWERS: AtomicU64 = AtomicU64::new(0);
    Backend::with(move |seen| {
        let number = ANSWERS.fetch_add(1, Ordering::SeqCst);
        let body = format!("{{\"at\":{number},\"title\":\"{}\"}}", title(seen));
        http(&format!("Date: day {number}\r\nContent-Type: application/json\r\n"), &body)
    })
}

/// A web page whose name was made to resolve to this address (DNS rebinding) reads no report.
#[test]
fn the_comparators_admin_interface_answers_to_its_own_names_alone() {
    let shadowed = Shadowed::open(Backend::plain(), Backend::plain()).comparator();
    let by_name =
        |path: &str, host: &str| Request::new(shadowed.admin.address(), "GET", path).host(host).send().status;
    for path in ["/healthz", "/report", "/metrics", "/nowhere"] {
        assert_eq!(by_name(path, "evil.test"), 421, "{path}");
    }
    for own in ["localhost", "127.0.0.1:9292", "[::1]"] {
        assert_eq!(by_name("/report", own), 200, "{own}");
    }
}

#[test]
fn a_seeded_byte_is_found_and_a_date_stays_silent() {
    let users =
        changing(|seen| if requested(seen, "/open/seeded?key=hidden-value") { "momo" } else { "Momo" });
    let shadowed = Shadowed::open(changing(|_| "Momo"), users).comparator();
    for _ in 0..5 {
        assert_eq!(shadowed.edge.get("/open/same").send().json()["title"], "Momo");
    }
    let route = shadowed.done("open", 5);
    assert_eq!((&route["compared"], &route["different"]), (&5.into(), &0.into()), "{route:#}");
    assert_eq!((&route["reference"], &route["shadow"]), (&"legacy".into(), &"users".into()));
    let noise: Vec<_> =
        route["noise"].as_array().expect("noise").iter().map(|n| n["place"].clone()).collect();
    assert_eq!(noise, ["/at"]);

    // The client gets the legacy backend's answer, whatever the shadow answers.
    assert_eq!(shadowed.edge.get("/open/seeded?key=hidden-value").send().json()["title"], "Momo");
    let route = shadowed.done("open", 6);
    assert_eq!(route["by_kind"], serde_json::json!({ "body_value": 1 }), "{route:#}");
    assert_eq!(places(&route), ["body_value /title"]);
    let sample = &route["samples"][0];
    assert_eq!((&sample["method"], &sample["target"]), (&"GET".into(), &"/open/seeded?key=…".into()));
    assert_eq!(sample["differences"][0]["reference"], "\"Momo\"");
    assert_eq!(sample["differences"][0]["shadow"], "\"momo\"");

    let address = shadowed.admin.address().to_string();
    let text = shadowed.edge.cutover(&["shadow", "--address", &address]);
    assert!(text.contains("open: users beside legacy\n  6 compared, 1 different: 1 body_value\n"), "{text}");
    let json = shadowed.edge.cutover(&["shadow", "--address", &address, "--route", "open", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["routes"]["open"]["different"], 1);
    let metrics = Request::new(shadowed.admin.address(), "GET", "/metrics").send().text();
    assert!(
        metrics.contains("comparator_different_total{route=\"open\",kind=\"body_value\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn an_unsafe_request_is_never_copied() {
    let shadowed = Shadowed::open(Backend::plain(), Backend::plain()).comparator();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let path = format!("/open/{method}");
        assert_eq!(shadowed.edge.request(method, &path).body("{}").send().status, 200);
    }
    assert_eq!(shadowed.edge.get("/open/get").send().status, 200);
    assert_eq!(shadowed.edge.request("HEAD", "/open/head").send().status, 200);
    let route = shadowed.done("open", 2);
    assert_eq!((&route["compared"], &route["different"]), (&2.into(), &0.into()), "{route:#}");
    // Envoy copied none of them.
    assert_eq!(shadowed.report()["unroutable"]["unsafe_method"], 0);
    let mut lines: Vec<_> = shadowed.users.seen().iter().map(Seen::request_line).collect();
    lines.sort();
    assert_eq!(lines, ["GET /open/get HTTP/1.1", "HEAD /open/head HTTP/1.1"]);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let path = format!("/open/{method}");
        let count = shadowed.legacy.seen().iter().filter(|seen| requested(seen, &path)).count();
        assert_eq!(count, 1, "{method} reached the legacy {count} times");
    }
    // And the comparator does not replay one that it receives directly.
    let by_hand = Request::new(shadowed.copies.address(), "POST", "/open/by-hand");
    assert_eq!(by_hand.header("x-cutover-shadow-route", "open").body("{}").send().status, 202);
    assert_eq!(shadowed.report()["unroutable"]["unsafe_method"], 1);
    assert!(!shadowed.users.seen().iter().any(|seen| requested(seen, "/open/by-hand")));
}

#[test]
fn a_copy_is_the_request_itself() {
    let shadowed = Shadowed::open(Backend::plain(), Backend::plain()).comparator();
    let request = shadowed.edge.get("/open/%61?b=%20&b").header("X-oDD-Case", "kept  inside");
    let request = request.header("Cookie", "a=1; b=2").header("Range", "bytes=0-1").header("X-Twice", "1");
    assert_eq!(request.header("X-Twice", "2").send().status, 200);
    shadowed.done("open", 1);
    let lines = |seen: &Seen| {
        let head = String::from_utf8_lossy(&seen.head).into_owned();
        // A length of 0 means no body, as a missing length does.
        let lines = head.split("\r\n").filter(|line| *line != "content-length: 0").map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    let sorted = |seen: &Seen, without: &str| {
        let mut lines: Vec<_> = lines(seen).into_iter().filter(|line| !line.starts_with(without)).collect();
        // Envoy forgets the spelling of names when it makes a copy.
        lines.iter_mut().skip(1).for_each(|line| line.make_ascii_lowercase());
        lines.sort();
        lines
    };
    let legacy = shadowed.legacy.seen();
    assert_eq!(legacy.len(), 2, "the request and its replay");
    assert_eq!(sorted(&legacy[0], "-"), sorted(&legacy[1], "-"));
    let shadow = shadowed.users.last();
    assert_eq!(sorted(&shadow, "-"), sorted(&legacy[1], "x-madome-public-access"));
}

#[test]
fn headers_and_cookies_are_compared_to_the_byte() {
    let head = "Server: legacy\r\nX-First: 1\r\nX-Second: 2\r\nX-Ignored: a\r\nETag: \"1\"\r\n\
                Set-Cookie: sid=1; Path=/; HttpOnly\r\n";
    let edits = [
        ("/open/case", "X-First", "x-first", vec!["header_case x-first"]),
        (
            "/open/order",
            "X-First: 1\r\nX-Second: 2\r\n",
            "X-Second: 2\r\nX-First: 1\r\n",
            vec!["header_order"],
        ),
        ("/open/value", "ETag: \"1\"", "ETag: \"2\"", vec!["header_value etag"]),
        ("/open/missing", "ETag: \"1\"\r\n", "", vec!["header_missing etag"]),
        ("/open/cookie", "; HttpOnly", "", vec!["set_cookie_attributes sid; httponly"]),
        ("/open/cookies", "Set-Cookie: sid=1; Path=/; HttpOnly\r\n", "", vec!["set_cookie_missing sid"]),
        ("/open/ignored", "X-Ignored: a\r\n", "", vec![]),
    ];
    for_each_edit(head, &edits);
}

type Edit = (&'static str, &'static str, &'static str, Vec<&'static str>);

fn for_each_edit(head: &'static str, edits: &[Edit]) {
    let table: Vec<_> = edits.iter().map(|(path, old, new, _)| (*path, *old, *new)).collect();
    let users = Backend::with(move |seen| {
        let edit = table.iter().find(|(path, ..)| requested(seen, path));
        let head = edit.map_or(head.to_owned(), |(_, old, new)| head.replace(old, new));
        http(&head, "same")
    });
    let shadowed = Shadowed::open(Backend::answering(http(head, "same")), users).comparator();
    let mut expected: Vec<String> = Vec::new();
    for (path, _, _, places) in edits {
        assert_eq!(shadowed.edge.get(path).send().text(), "same");
        expected.extend(places.iter().map(|place| (*place).to_owned()));
    }
    let route = shadowed.done("open", edits.len() as u64);
    expected.sort();
    assert_eq!(places(&route), expected, "{route:#}");
}

#[test]
fn a_comparator_that_is_gone_or_stuck_or_full_costs_a_request_nothing() {
    let slow = Backend::with(|_| {
        pause(Duration::from_secs(2), "the shadow is slow");
        http("", "slow")
    });
    let shadowed = Shadowed::open(Backend::plain(), slow);
    let all_pass = |shadowed: &Shadowed, what: &str, count: usize| {
        for _ in 0..count {
            assert_eq!(shadowed.edge.get("/open").send().text(), "seen", "the comparator is {what}");
        }
    };
    all_pass(&shadowed, "gone", 30);
    let shadowed = shadowed.comparator();
    shadowed.signal(Signal::Stop);
    all_pass(&shadowed, "stuck", 200);
    shadowed.signal(Signal::Continue);
    // More than fit into the queue while eight workers wait two seconds for the shadow.
    all_pass(&shadowed, "full", 400);
    eventually("copies are dropped", || {
        all_pass(&shadowed, "filling", 100);
        shadowed.report()["routes"]["open"]["dropped_by"]["queue_full"].as_u64() > Some(0)
    });
    assert!(shadowed.report()["queue"]["waiting"].as_u64() <= Some(256));
    shadowed.signal(Signal::Kill);
    all_pass(&shadowed, "killed", 30);
}

#[test]
fn a_silent_shadow_is_a_difference_and_a_silent_reference_is_not() {
    let legacy =
        Backend::with(|seen| if requested(seen, "/open/silent") { Vec::new() } else { http("", "here") });
    let shadowed = Shadowed::open(legacy, Backend::answering("")).comparator();
    assert_eq!(shadowed.edge.get("/open").send().status, 200);
    let route = shadowed.done("open", 1);
    assert_eq!(route["by_kind"], serde_json::json!({ "no_answer": 1 }), "{route:#}");
    let _ = shadowed.edge.get("/open/silent").try_send();
    let route = shadowed.done("open", 2);
    assert_eq!(route["dropped_by"], serde_json::json!({ "reference_unanswered": 1 }), "{route:#}");
    assert_eq!(route["different"], 1);
}

#[test]
fn both_backends_accept_the_identity_and_no_credential_is_in_the_report() {
    // Both repeat the whole request, and differ in one byte after it.
    let echo = |end: &'static str| {
        Backend::with(move |seen| {
            let head = String::from_utf8_lossy(&seen.head).replace(['\r', '"'], " ");
            let cookie = format!("Set-Cookie: session=set-cookie-secret-{end}; Path=/\r\n");
            http(&cookie, &format!("{head}\n{end}\n{head}"))
        })
    };
    let route = "  - { name: mine, host: api, prefix: /mine, policy: signed-in, to: { legacy: 100, users: 0 }, shadow: users, answers: auth }\n";
    let shadowed = Shadowed::start(echo("one"), echo("two"), route, &[]).comparator();
    let token = shadowed.edge.mint().good(0);
    let request = shadowed.edge.get("/mine/1?code=query-secret").header("x-csrf-token", "csrf-secret");
    let cookies = format!("madome_access_token={token}; theme=cookie-secret");
    let request = request.header("cookie", cookies);
    assert_eq!(request.send().status, 200);
    let route = shadowed.done("mine", 1);
    assert_eq!(route["different"], 1, "{route:#}");
    assert!(route["by_kind"]["body_text"].as_u64() >= Some(1), "{route:#}");

    let identity = shadowed.users.last().header("x-madome-identity").expect("the shadow gets the identity");
    assert_eq!(shadowed.legacy.last().header("x-madome-identity"), Some(identity.clone()));
    let claims = identity.split('.').nth(1).expect("a JWT has claims");
    let claims = base64_decoded(claims);
    assert_eq!(claims["aud"], serde_json::json!(["legacy", "users"]));

    let text = shadowed.report().to_string();
    let all = [text, shadowed.comparator.as_ref().expect("it runs").log()].concat();
    for secret in [&*token, &*identity, "query-secret", "csrf-secret", "cookie-secret", "set-cookie-secret"] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    for jwt in [&token, &identity] {
        let signature = jwt.rsplit('.').next().expect("a JWT has a signature");
        assert!(
            !all.contains(signature) && !all.contains(&signature[..20]),
            "a piece of a token is in {all}"
        );
    }
}

fn base64_decoded(text: &str) -> Value {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("it is base64url");
    serde_json::from_slice(&bytes).expect("it is JSON")
}
