//! What happens when a part is gone, stuck or wrong: which requests fail, with which answer, and how the edge recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::tokens::DEMO_TENANT;
use harness::wire::Answer;
use harness::{Backend, Edge, IN_FORCE_WITHIN, Part, Signal, eventually, pause};

/// The 503 of a route whose answers have no content type.
fn assert_bare_503(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (503, "Service unavailable"), "{what}: {answer:?}");
    assert_eq!(answer.header("content-type"), None, "{what}: {answer:?}");
    assert_eq!(answer.header("x-cutover-bare"), None, "{what}: {answer:?}");
}

#[test]
fn without_an_authorizer_requests_that_need_a_decision_are_refused_and_others_go_on() {
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(2);
    assert_eq!(edge.get("/users/@me").token(&token).send().status, 200);

    edge.stop(Part::Authz, Signal::Kill);
    let before = backend.seen().len();
    for target in ["/users/@me", "/auth/token", "/", "/anything"] {
        assert_bare_503(&edge.get(target).token(&token).send(), target);
    }
    let library = edge.get("/books").token(&token).send();
    assert_eq!(library.status, 503);
    assert_eq!(library.header("content-type"), Some(b"text/plain; charset=utf-8".as_slice()), "{library:?}");
    assert_eq!(library.text(), "Service unavailable");
    assert_eq!(backend.seen().len(), before, "a request passed without a decision");

    let public = edge.get("/open-graph").send();
    assert_eq!(public.status, 200, "a public route needs no decision: {public:?}");
    assert_eq!(backend.last().header("x-madome-public").as_deref(), Some("1"));

    edge.start(Part::Authz);
    eventually("requests pass again", || edge.get("/users/@me").token(&token).send().status == 200);
}

#[test]
fn an_authorizer_that_hangs_is_not_waited_for() {
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    edge.part(Part::Authz).signal(Signal::Stop);
    assert_bare_503(&edge.get("/users/@me").token(&token).send(), "a frozen authorizer");
    edge.part(Part::Authz).signal(Signal::Continue);
    eventually("requests pass again", || edge.get("/users/@me").token(&token).send().status == 200);
}

/// A frozen replica accepts connections and never answers. No check moves to another replica before its timeout: it may
/// have been decided, and a limit would count it twice. So two checks time out (and those sent beside them), and then
/// the replica gets no more, first because it is ejected and then because it is unhealthy.
#[test]
fn of_two_authorizers_a_frozen_one_costs_two_checks_and_then_nothing() {
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).two_authorizers().start();
    let request = edge.get("/books").token(&edge.mint().good(0));
    eventually("both are well", || edge.envoy_stat("cluster.authorizer.membership_healthy") == Some(2));
    edge.part(Part::SecondAuthz).signal(Signal::Stop);
    let until = Instant::now() + Duration::from_secs(4);
    let (mut late, mut passed) = (0, 0);
    while Instant::now() < until {
        match request.send().status {
            200 => passed += 1,
            503 => late += 1,
            other => panic!("a frozen replica answered {other}"),
        }
    }
    assert!(passed > 50, "the other one answers: {passed}");
    assert!(late <= 2, "{late} of {} ran out", late + passed);
    edge.part(Part::SecondAuthz).signal(Signal::Continue);
    eventually("it is asked again", || edge.envoy_stat("cluster.authorizer.membership_healthy") == Some(2));
}

#[test]
fn a_backend_that_is_gone_takes_only_its_own_routes_with_it() {
    let here = Backend::plain();
    let gone = harness::Port::lease();
    let edge = Edge::dev().every_backend(here.address()).stand_in("USERS_ADDRESS", gone.address()).start();
    let token = edge.mint().good(0);
    assert_eq!(edge.get("/users/@me").token(&token).send().status, 503);
    assert_eq!(edge.get("/books").token(&token).send().status, 200);
    assert_eq!(edge.get("/auth/token").token(&token).send().status, 200);
}

#[test]
fn a_backend_that_does_not_begin_to_answer_is_given_up_and_gets_no_second_try() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let silent = Backend::with(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        pause(Duration::from_secs(3), "the backend is slower than `request_timeout_ms`");
        Vec::new()
    });
    let edge = Edge::dev()
        .with_open_route()
        .replace("  legacy:\n", "  legacy:\n    request_timeout_ms: 200\n")
        .every_backend(silent.address())
        .start();
    for (before, method) in ["GET", "POST"].into_iter().enumerate() {
        assert_eq!(edge.request(method, "/open").send().status, 504, "{method}");
        assert_eq!(asked.load(Ordering::SeqCst), before + 1, "{method} was sent twice, or never");
    }
}

/// An answer that stops in the middle is cut off after `stream_idle_timeout`, and no other request waits for it. Here
/// it is two seconds instead of five minutes, so that the test can wait for it.
#[test]
fn a_backend_that_stops_in_the_middle_is_cut_off() {
    let backend = Backend::with(|seen| {
        let length = if seen.request_line().contains("/open/stops") { 100 } else { 4 };
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nhalf").into_bytes()
    });
    let edge = Edge::dev()
        .replace("exposure: public }", "exposure: public, wire: { idle_timeout_ms: 2000 } }")
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
        .start();
    let began = Instant::now();
    let mut connection = harness::wire::Connection::open(edge.public()).expect("the edge listens");
    connection.write(&edge.get("/open/stops").bytes()).expect("the edge reads");
    let all = String::from_utf8(connection.rest()).expect("it is text");
    assert!(all.ends_with("half"), "what came is passed on, and nothing is made up: {all}");
    assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(15));
    assert_eq!(edge.get("/open").send().status, 200, "others go on");
}

#[test]
fn a_suspended_tenant_is_out_within_a_second_and_back_when_it_is_active() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    assert_eq!(edge.get("/users/@me").token(&token).send().status, 200);
    let directory = edge.home().join("tenants.yaml");
    let text = std::fs::read_to_string(&directory).expect("the directory is there");
    let suspended = text.replacen("status: active", "status: suspended", 1);
    assert_ne!(text, suspended);

    // In place, as an editor on the machine would.
    std::fs::write(&directory, &suspended).expect("the directory is writable");
    pause(IN_FORCE_WITHIN, "the suspension is in force");
    let refused = edge.get("/users/@me").token(&token).send();
    assert_eq!((refused.status, refused.text().as_str()), (403, "Permission Denied"), "{refused:?}");

    // By a rename, as a deployment would.
    let replacement = directory.with_extension("new");
    std::fs::write(&replacement, &text).expect("the home is writable");
    std::fs::rename(&replacement, &directory).expect("the home is writable");
    eventually("the tenant is back", || edge.get("/users/@me").token(&token).send().status == 200);
}

#[test]
fn a_tenant_that_is_removed_or_unknown_gets_nothing() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    let stranger = edge.mint().with(|claims| {
        claims["tenantId"] = "00000000-0000-7000-8000-0000000000ff".into();
    });
    assert_eq!(edge.get("/users/@me").token(&stranger).send().status, 403);
    assert_eq!(edge.get("/users/@me").token(&token).send().status, 200);

    let directory = edge.home().join("tenants.yaml");
    let text = std::fs::read_to_string(&directory).expect("the directory is there");
    let without: Vec<_> = text.lines().filter(|line| !line.contains(DEMO_TENANT)).collect();
    std::fs::write(&directory, without.join("\n")).expect("the directory is writable");
    eventually("the removed tenant is refused", || edge.get("/users/@me").token(&token).send().status == 403);
}

#[test]
fn stats_and_metrics_count_each_decision() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let token = edge.mint().good(0);
    assert_eq!(edge.get("/users/@me").token(&token).send().status, 200);
    assert_eq!(edge.get("/books").header("x-madome-auth-sub", "forged").send().status, 401);
    assert_eq!(edge.get("/_/users/x").token(&token).send().status, 404);

    let admin = edge.address("AUTHZ_ADMIN_ADDRESS");
    let metrics = harness::wire::Request::new(admin, "GET", "/metrics").send().text();
    let reported = |parts: &[&str]| metrics.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(reported(&["route=\"users-me\"", "decision=\"allow\""]), "{metrics}");
    assert!(reported(&["route=\"books\"", "decision=\"deny\""]), "{metrics}");
    let stats = harness::wire::Request::new(admin, "GET", "/stats").send().json();
    assert!(stats.to_string().contains("users-me"), "{stats}");

    // The access log shows the same, request by request.
    let passed = edge.logged("/users/@me", 200);
    assert_eq!(
        (&passed["route"], &passed["policy"], &passed["backend"]),
        (&"users-me".into(), &"signed-in".into(), &"users".into())
    );
    assert_eq!((&passed["decision"], &passed["tenant"]), (&"allow".into(), &DEMO_TENANT.into()));
    let refused = edge.logged("/books", 401);
    assert_eq!(refused["decision"], "deny", "{refused:#}");
    assert!(refused["request_id"].is_string() && refused["reason"].is_string(), "{refused:#}");
    assert_eq!(backend.last().header("x-request-id").as_deref(), passed["request_id"].as_str());

    pause(Duration::from_millis(300), "the guard reports its counters five times a second");
    let envoy =
        harness::wire::Request::new(edge.address("ENVOY_ADMIN_ADDRESS"), "GET", "/stats").send().text();
    let counted = |part: &str| {
        envoy
            .lines()
            .any(|line| line.contains("cutover_guard") && line.contains(part) && !line.ends_with(": 0"))
    };
    for part in ["stripped_x-madome-auth-sub", "ids_minted", "refused_internal_path"] {
        assert!(counted(part), "no counter for {part}:\n{envoy}");
    }
}
