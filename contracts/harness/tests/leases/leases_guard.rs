//! Leases at the edge, with an authorizer that the test controls: what the guard serves without a check, and everything
//! that makes it send one.

pub(crate) mod authorizer;
pub(crate) mod trapping;

use std::time::Duration;

use authorizer::{Manner, StandIn, grant};
use harness::wire::{Answer, Connection, h2};
use harness::{Backend, Edge, EdgeBuilder, IN_FORCE_WITHIN, Part, eventually, pause};
use lease::{Ended, Tag};

const LEASED: (&str, &str) =
    ("signed-in: { kind: session }", "signed-in: { kind: session, lease: { seconds: 20 } }");

struct Stage {
    edge: Edge,
    authorizer: StandIn,
    backend: Backend,
}

/// An edge with leases before a backend, and an authorizer that grants one for `/books`.
fn stage(policy: &str) -> Stage {
    stage_on(Edge::dev(), policy)
}

fn stage_on(edge: EdgeBuilder, policy: &str) -> Stage {
    let backend = Backend::plain();
    let mut edge = edge
        .replace(LEASED.0, policy)
        .every_backend(backend.address())
        .without(Part::Authz)
        .without(Part::Envoy)
        .start();
    let authorizer = StandIn::on(edge.address("AUTHZ_ADDRESS"));
    authorizer.script().grant = Some(grant("books", |_| ()));
    edge.start(Part::Envoy);
    edge.wait_until_ready();
    let stage = Stage { edge, authorizer, backend };
    stage.until("the feed is read", |stage| stage.authorizer.script().asked > 4);
    stage
}

impl Stage {
    fn get(&self, token: &str) -> Answer {
        self.edge.get("/books/1").header("cookie", format!("madome_access_token={token}")).send()
    }

    /// Number of checks during `act`.
    fn checks(&self, act: impl FnOnce(&Self)) -> usize {
        let before = self.authorizer.script().checks;
        act(self);
        self.authorizer.script().checks - before
    }

    fn asks(&self, token: &str) -> bool {
        self.checks(|stage| assert_eq!(stage.get(token).status, 200)) == 1
    }

    fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        eventually(what, || done(self));
    }
}

#[test]
fn the_second_request_needs_no_check_and_looks_the_same() {
    let stage = stage(LEASED.1);
    assert!(stage.asks("a"));
    let checked = stage.backend.last();
    assert!(!stage.asks("a"));
    let leased = stage.backend.last();
    let without_id = |seen: &harness::Seen| {
        let text = String::from_utf8_lossy(&seen.head).into_owned();
        text.lines().filter(|line| !line.starts_with("x-request-id")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_id(&checked), without_id(&leased));
    assert_ne!(checked.header("x-request-id"), leased.header("x-request-id"));

    let log = stage.edge.access_log(2);
    let line = log.iter().rev().find(|line| line["decision"] == "lease").unwrap();
    for (key, value) in [
        ("lease_of", "granted-with"),
        ("reason", "because"),
        ("subject", "somebody"),
        ("session", "their-session"),
        ("tenant", "theirs"),
        ("route", "books"),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert!(log.iter().any(|line| line["decision"] == "allow" && line["lease_of"].is_null()));
    stage.until("what was served is reported", |stage| {
        stage.authorizer.script().spent.iter().any(|spent| spent.route == "books" && spent.uses == 1)
    });
}

#[test]
fn only_the_same_credential_on_the_same_class_and_a_safe_method_is_served() {
    let stage = stage(LEASED.1);
    assert!(stage.asks("a"));
    assert!(!stage.asks("a"));
    assert!(stage.asks("b"), "another credential");
    let cookie = "madome_access_token=a";
    let get = |target: &str| stage.edge.get(target).header("cookie", cookie);
    for (what, request) in [
        ("another method", stage.edge.request("POST", "/books/1").header("cookie", cookie)),
        ("another audience", get("/users/@me")),
        ("two credentials", get("/books/1").header("authorization", "Bearer a")),
        ("two cookies", stage.edge.get("/books/1").header("cookie", format!("{cookie}; {cookie}"))),
        ("the same as a bearer token", stage.edge.get("/books/1").header("authorization", "Bearer a")),
        ("an odd path", get("/books/%31")),
    ] {
        assert_eq!(stage.checks(|_| assert_eq!(request.send().status, 200, "{what}")), 1, "{what}");
    }
}

#[test]
fn a_lease_opens_no_way_for_http_1_0() {
    let stage = stage(LEASED.1);
    assert!(stage.asks("t") && !stage.asks("t"), "the second request has a lease");
    let mut connection = Connection::open(stage.edge.public()).expect("the edge listens");
    let request = "GET /books/1 HTTP/1.0\r\nhost: localhost\r\ncookie: madome_access_token=t\r\n\r\n";
    connection.write(request.as_bytes()).expect("the edge reads");
    assert_eq!(connection.answers()[0].status, 426);
    assert!(!stage.asks("t"), "the lease lives on");
}

#[test]
fn no_header_of_a_client_makes_extends_or_forges_a_lease() {
    let stage = stage(LEASED.1);
    let forged = [
        ("wasm.cutover.decision", "lease"),
        ("cutover.decision", "lease"),
        ("x-envoy-filter-state", "wasm.cutover.decision=lease"),
        ("x-madome-auth-sub", "me"),
        ("x-madome-identity", "me"),
        ("x-tenant-id", "mine"),
        ("envoy.filters.http.ext-authz", "lease"),
        ("lease", "lease 1"),
    ];
    let send = || {
        let request = stage.edge.get("/books/1").header("cookie", "madome_access_token=f");
        let request = forged.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(request.send().status, 200);
    };
    assert_eq!(stage.checks(|_| send()), 1);
    assert_eq!(stage.checks(|_| send()), 0);
    let seen = stage.backend.last();
    assert_eq!(seen.all("x-madome-auth-sub"), ["somebody"]);
    assert_eq!(seen.all("x-madome-identity"), ["a.b.c"]);
    assert_eq!(seen.all("x-tenant-id"), ["theirs"]);
}

/// A native guard marks a request that a lease serves before Envoy creates any filter. The marks are headers that no
/// HTTP message can have.
#[test]
fn no_client_can_send_the_mark_of_a_leased_request() {
    let stage = stage(LEASED.1);
    let current = std::fs::read_link(stage.edge.home().join("envoy/current")).unwrap();
    let name = current.file_name().unwrap().to_string_lossy().into_owned();
    let (revision, _) = name.rsplit_once('-').unwrap();
    let mark = format!("{revision}/books");
    let routes = std::fs::read_to_string(stage.edge.home().join("envoy/current/routes-public.json")).unwrap();
    assert_eq!(routes.contains(&mark), harness::guard_is_native(), "the twin of a leased route");
    let forged = [
        ("x_cutover_lease", mark.as_str()),
        ("X_Cutover_Lease", &mark),
        (":x_cutover_lease", &mark),
        (":cutover-decision", "lease"),
        (":cutover-subject", "forged"),
        (":cutover-lease-of", "forged"),
        (": cutover-subject", "forged"),
    ];
    let cookie = "madome_access_token=forger";
    for (name, value) in forged {
        let what = format!("{name}: {value}");
        let checks = stage.checks(|stage| {
            let mut connection = Connection::open(stage.edge.public()).unwrap();
            let head = format!(
                "GET /books/1 HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n{name}: {value}\r\n\r\n"
            );
            connection.write(head.as_bytes()).unwrap();
            assert!(connection.answer(false).is_ok_and(|answer| answer.status == 400), "{what}");
            let mut lines = h2::headers("GET", "localhost", "/books/1");
            lines
                .extend([("cookie", cookie), (name, value)].map(|(name, value)| (name.into(), value.into())));
            let outcome = h2::Connection::open(stage.edge.public()).unwrap().ask(&lines);
            assert!(outcome.is_refusal(), "{what} over HTTP/2: {outcome:?}");
        });
        assert_eq!((checks, stage.backend.seen().len()), (0, 0), "{what}: it went on");
    }
    assert!(stage.asks("a") && !stage.asks("a"));
    let _ = stage.edge.logged("/books/1", 200);
    let log = std::fs::read_to_string(stage.edge.home().join("logs/access.json")).unwrap();
    assert!(!log.contains("forged"), "the log has it: {log}");
}

/// For a moment Envoy may have routes of another revision than the guard.
#[test]
fn a_mark_without_a_route_in_this_revision_reaches_no_backend() {
    let stage = stage(LEASED.1);
    stage.authorizer.script().grant = Some(grant("books", |grant| grant.uses = 6));
    assert!(stage.asks("a") && !stage.asks("a"));
    let directory = stage.edge.home().join("envoy");
    let current = std::fs::canonicalize(directory.join("current")).unwrap();
    let other = directory.join("revisions/other");
    std::fs::create_dir(&other).unwrap();
    for entry in std::fs::read_dir(&current).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // The twins of another revision, and a route that shows when Envoy has applied them.
        let text = text.replace("/books\":{\"action\"", "/elsewhere\":{\"action\"");
        let text = text.replace("\"key\":\"x-forwarded-for\",", "\"key\":\"x-taken\",");
        std::fs::write(other.join(path.file_name().unwrap()), text).unwrap();
    }
    std::os::unix::fs::symlink(&other, directory.join("next")).unwrap();
    std::fs::rename(directory.join("next"), directory.join("current")).unwrap();
    stage.until("the routes are taken", |stage| {
        stage.get("b");
        stage.backend.last().header("x-taken").is_some()
    });
    let (mut asked, before) = (Vec::new(), stage.backend.seen().len());
    for _ in 0..16 {
        asked.push(stage.asks("a"));
    }
    assert!(asked.contains(&false) && asked.contains(&true), "leases serve, and end: {asked:?}");
    for seen in stage.backend.seen().iter().skip(before) {
        assert!(seen.names().iter().all(|name| !name.contains("cutover")), "{:?}", seen.names());
        assert_eq!(seen.all("x-madome-auth-sub"), ["somebody"]);
    }
    stage.until("the checks are in the log as checks", |stage| {
        let log = stage.edge.access_log(1);
        let decided = |decision: &str| log.iter().filter(|line| line["decision"] == decision).count();
        let checks = stage.authorizer.script().checks;
        decided("allow") == checks && decided("lease") + checks == stage.backend.seen().len()
    });
}

/// The notes of an early lookup would reach an HTTP/2 backend.
#[test]
fn leases_of_routes_to_http_2_are_not_used_early() {
    for (protocol, early) in [("http1", harness::guard_is_native()), ("http2", false)] {
        let edge = Edge::dev().replace(LEASED.0, LEASED.1);
        let edge = edge
            .replace("  legacy:\n    address", &format!("  legacy:\n    protocol: {protocol}\n    address"));
        let edge = edge.without(Part::Authz).without(Part::Envoy).start();
        let current = edge.home().join("envoy/current");
        let routes = std::fs::read_to_string(current.join("routes-public.json")).unwrap();
        let marked = |route: &str| routes.contains(&format!("/{route}\":{{\"action\""));
        assert_eq!((marked("books"), marked("users-me")), (early, harness::guard_is_native()), "{protocol}");
    }
}

#[test]
fn a_grant_that_is_not_for_this_route_or_not_whole_is_not_kept() {
    let stage = stage(LEASED.1);
    let whole = grant("books", |_| ());
    for (token, text) in [
        ("1", grant("users-me", |_| ())),
        ("2", grant("books", |grant| grant.policy = "bot".to_owned())),
        ("3", whole.get(..whole.len() - 2).unwrap_or_default().to_owned()),
        ("4", String::new()),
        ("5", "lease 2".to_owned()),
        ("6", grant("books", |grant| grant.revision = "another".to_owned())),
    ] {
        stage.authorizer.script().grant = Some(text);
        assert!(stage.asks(token) && stage.asks(token), "{token}");
    }
}

#[test]
fn a_lease_is_used_as_often_and_as_long_as_its_grant_allows() {
    let stage = stage(LEASED.1);
    stage.authorizer.script().grant = Some(grant("books", |grant| grant.uses = 5));
    let asked: Vec<bool> = (0..13).map(|_| stage.asks("a")).collect();
    let expected: Vec<bool> = (0..13).map(|index| index % 6 == 0).collect();
    assert_eq!(asked, expected);
    stage.authorizer.script().grant = Some(grant("books", |grant| grant.lifetime_ms = 700));
    assert!(stage.asks("b"));
    pause(Duration::from_millis(700), "`lifetime_ms` of the grant is over");
    assert!(stage.asks("b"));
}

#[test]
fn an_ended_lease_serves_nothing_after_a_second() {
    let stage = stage(LEASED.1);
    for (token, feed) in [("a", Some(Ended::Tags(vec![Tag(1)]))), ("b", Some(Ended::All)), ("c", None)] {
        stage.authorizer.script().grant =
            Some(grant("books", |grant| grant.tags = vec![Tag(if token == "a" { 1 } else { 2 })]));
        stage.authorizer.script().feed = Some(Ended::Tags(vec![]));
        stage.until("leases count", |stage| !stage.asks(token));
        stage.authorizer.script().feed = feed;
        pause(IN_FORCE_WITHIN, "the feed's state is in force");
        assert!(stage.asks(token), "{token}");
    }
}

#[test]
fn a_revision_that_is_not_in_force_has_no_leases() {
    let stage = stage(LEASED.1);
    assert!(stage.asks("a") && !stage.asks("a"));
    stage.authorizer.script().revision = Some("another".to_owned());
    pause(IN_FORCE_WITHIN, "the feed's state is in force");
    assert!(stage.asks("a"));
}

#[test]
fn with_on_outage_lease_a_lease_lives_on_but_not_past_a_reported_end() {
    let stage = stage("signed-in: { kind: session, lease: { seconds: 20, on_outage: lease } }");
    assert!(stage.asks("a") && !stage.asks("a"));
    stage.authorizer.script().feed = None;
    pause(IN_FORCE_WITHIN, "the feed's state is in force");
    assert!(!stage.asks("a"), "no end was reported, so it lasts");
    stage.authorizer.script().feed = Some(Ended::Tags(vec![Tag(1)]));
    pause(IN_FORCE_WITHIN, "the feed's state is in force");
    assert!(stage.asks("a"));
}

/// A feed that hangs or gives a wrong answer counts as a failed feed.
#[test]
fn a_feed_that_hangs_or_answers_nonsense_counts_as_absent() {
    let stage = stage(LEASED.1);
    let odd = [
        Manner::Never,
        Manner::With(""),
        Manner::With("{}"),
        Manner::With("\0\u{ffff}"),
        Manner::With("ended none"),
    ];
    for manner in odd {
        stage.authorizer.script().manner = Manner::Well;
        stage.until("leases count", |stage| !stage.asks("a"));
        stage.authorizer.script().manner = manner;
        pause(IN_FORCE_WITHIN, "the feed's state is in force");
        assert!(stage.asks("a") && stage.asks("a"), "{manner:?}: a lease counts");
    }
    stage.authorizer.script().manner = Manner::Well;
    stage.until("leases count again", |stage| !stage.asks("a"));
}

#[test]
fn after_a_trap_no_lease_counts_until_the_feed_replies_again() {
    let home = tempfile::tempdir().unwrap();
    let module = home.path().join("trapping.wasm");
    std::fs::write(&module, trapping::module(&std::fs::read(harness::wasm_guard()).unwrap())).unwrap();
    let edge = Edge::dev().variable("CUTOVER_GUARD", &module.display().to_string());
    // Such leases last while the feed reports no end, so only the trap stops them.
    let stage = stage_on(edge, "signed-in: { kind: session, lease: { seconds: 25, on_outage: lease } }");
    stage.authorizer.script().grant = Some(grant("books", |grant| grant.lifetime_ms = 25_000));
    assert!(stage.asks("a") && !stage.asks("a"));
    stage.authorizer.script().grant = None;
    stage.authorizer.script().feed = None;
    pause(IN_FORCE_WITHIN, "the feed's state is in force");
    assert!(!stage.asks("a"), "no end was reported, so it lasts");

    let headers = 0..=trapping::MOST;
    let trap = headers.fold(stage.edge.get("/books/1"), |request, n| request.header(format!("x-{n}"), "1"));
    assert!((500..=503).contains(&trap.send().status), "it traps");
    // It starts again after a pause; meanwhile no request passes, and the first one that does is checked.
    let checks = stage.checks(|stage| stage.until("the guard works", |stage| stage.get("a").status == 200));
    assert_eq!(checks, 1, "the first request that passes is checked");
    for _ in 0..20 {
        assert!(stage.asks("a"), "the feed has not answered yet");
    }
    stage.authorizer.script().feed = Some(Ended::Tags(vec![]));
    stage.until("what is in the slot is used again", |stage| !stage.asks("a"));
}
