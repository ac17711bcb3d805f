//! No request is lost on change: under constant load the edge reloads, weights move, Envoy is replaced on the same
//! port, and authorizers restart one after the other. Every request is answered, by a policy that was current during it.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::wire::{Connection, Request};
use harness::{Backend, Edge, EdgeBuilder, Part, Signal, eventually, pause};

const BOOKS: &str = "prefix: /books, policy: signed-in, to: legacy";

/// Envoy's workers get a new table a moment after its main thread. For this long the old table still counts as current.
/// A busy machine needs more than a quiet one.
const MOMENT: Duration = Duration::from_millis(500);

/// One answered request.
struct Asked {
    from: Instant,
    until: Instant,
    status: u16,
}

/// A client that keeps its connection until an answer closes it.
fn ask_on(
    request: &Request,
    address: SocketAddr,
    stop: &AtomicBool,
    count: &AtomicUsize,
) -> (Vec<Asked>, Vec<String>) {
    let (mut asked, mut failed) = (Vec::new(), Vec::new());
    let mut kept: Option<Connection> = None;
    while !stop.load(Ordering::Relaxed) {
        let from = Instant::now();
        let answer = kept.take().map_or_else(|| Connection::open(address), Ok).and_then(|mut connection| {
            connection.write(&request.bytes())?;
            connection.answer(false).map(|answer| (connection, answer))
        });
        match answer {
            Ok((connection, answer)) => {
                if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close")) {
                    kept = Some(connection);
                }
                if ![200, 403].contains(&answer.status) {
                    failed.push(format!("{answer:?}"));
                }
                asked.push(Asked { from, until: Instant::now(), status: answer.status });
            }
            Err(error) => failed.push(error.to_string()),
        }
        count.fetch_add(1, Ordering::Relaxed);
        pause(Duration::from_millis(5), "the pace of the client");
    }
    (asked, failed)
}

/// The revision that is current on disk.
fn rendered(edge: &Edge) -> String {
    let link = edge.rendered();
    let name = link.file_name().expect("it has a name").to_string_lossy().into_owned();
    name.split('-').next().unwrap_or_default().to_owned()
}

fn envoy_has(edge: &Edge, revision: &str) -> bool {
    let path = "/stats?filter=version_text";
    let answer = Request::new(edge.address("ENVOY_ADMIN_ADDRESS"), "GET", path).try_send();
    let text = answer.map(|answer| answer.text()).unwrap_or_default();
    ["listener_manager.lds", "cluster_manager.cds", "http.edge-public.rds.public"]
        .iter()
        .all(|subscription| text.contains(&format!("{subscription}.version_text: \"{revision}\"")))
}

fn authorizer_has(edge: &Edge, revision: &str) -> bool {
    decides_by(edge.address("AUTHZ_ADMIN_ADDRESS"), revision)
}

fn decides_by(admin: SocketAddr, revision: &str) -> bool {
    let answer = Request::new(admin, "GET", "/readyz").try_send();
    answer.is_ok_and(|answer| answer.json()["revision"] == revision)
}

/// The right answer for each span of time.
type Current = Vec<(u16, Instant, Option<Instant>)>;

/// Brings the edge file into force in Envoy, and notes that `status` is the right answer from now on.
fn bring_in(edge: &Edge, status: u16, current: &mut Current) {
    taken(edge, status, current, || edge.render());
}

/// Moves the link `current` to a configuration that was rendered before, as `cutover render` does when a file comes
/// back: the last step of rendering, without the program around it.
fn bring_back(edge: &Edge, target: &Path, status: u16, current: &mut Current) {
    taken(edge, status, current, || {
        let next = edge.home().join("envoy/current.next");
        std::os::unix::fs::symlink(target, &next).expect("the home is writable");
        std::fs::rename(&next, edge.home().join("envoy/current")).expect("the home is writable");
    });
}

fn taken(edge: &Edge, status: u16, current: &mut Current, change: impl FnOnce()) {
    let from = Instant::now();
    change();
    let revision = rendered(edge);
    eventually("Envoy has the revision", || envoy_has(edge, &revision));
    if let Some((_, _, until)) = current.last_mut() {
        *until = Some(Instant::now());
    }
    current.push((status, from, None));
}

/// Every answer was that of one of the two policies.
fn nothing_lost(edge: &Edge, load: &Load) {
    let Load { asked, failed } = load;
    if !failed.is_empty() {
        let mut why: BTreeMap<String, usize> = BTreeMap::new();
        for line in edge.access_log(1) {
            if line["path"] == "/books" && ![200, 403].contains(&line["status"].as_u64().unwrap_or_default())
            {
                let said =
                    ["status", "details", "flags", "reason", "revision"].map(|name| line[name].to_string());
                let second =
                    line["time"].as_str().unwrap_or_default().get(11..19).unwrap_or_default().to_owned();
                *why.entry(format!("{second} {}", said.join(" "))).or_default() += 1;
            }
        }
        let authorizer: Vec<_> = [
            "health_check.failure",
            "health_check.attempt",
            "upstream_rq_timeout",
            "upstream_cx_connect_fail",
        ]
        .map(|name| (name, edge.envoy_stat(&format!("cluster.authorizer.{name}"))))
        .into();
        panic!(
            "{} of {} were lost: {:?}\n{why:#?}\n{authorizer:?}",
            failed.len(),
            asked.len(),
            failed.first()
        );
    }
}

/// The result of a load: every answered request, and every failure.
struct Load {
    asked: Vec<Asked>,
    failed: Vec<String>,
}

/// Fewer requests are not a load.
const LOAD: usize = 1000;

/// Sends requests for books without a pause during `work`, and at least [`LOAD`] of them: a busy machine takes longer.
fn under_load(request: &Request, address: SocketAddr, work: impl FnOnce()) -> Load {
    let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let work = || {
        work();
        eventually("there was enough load", || count.load(Ordering::Relaxed) > LOAD);
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..3).map(|_| scope.spawn(|| ask_on(request, address, &stop, &count))).collect();
        let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        let results = clients.into_iter().map(|client| client.join().expect("a client ends")).collect();
        if let Err(panic) = work {
            std::panic::resume_unwind(panic);
        }
        results
    });
    let (asked, failed): (Vec<_>, Vec<_>) = results.into_iter().unzip();
    Load { asked: asked.into_iter().flatten().collect(), failed: failed.into_iter().flatten().collect() }
}

#[test]
fn no_request_is_lost_or_decided_by_a_policy_that_was_not_current() {
    let backend = Backend::plain();
    let edge = Edge::dev().every_backend(backend.address()).start();
    let (open, closed) = open_and_closed(&edge);
    let file = edge.file().display().to_string();
    let request = edge.get("/books").token(&edge.mint().good(0));
    let mut current: Current = vec![(200, Instant::now(), None)];

    let load = under_load(&request, edge.public(), || {
        let mut links = Vec::new();
        // The authorizer knows both before Envoy gets either.
        for (text, status) in [(&closed, 403), (&open, 200)] {
            let old = rendered(&edge);
            edge.replace(text);
            eventually("the authorizer has another revision", || !authorizer_has(&edge, &old));
            bring_in(&edge, status, &mut current);
            links.push(edge.rendered());
        }
        // 200 reloads, each with the other policy; every tenth is rendered again.
        for reload in 0..100 {
            for ((text, link), status) in [&closed, &open].into_iter().zip(&links).zip([403, 200]) {
                edge.replace(text);
                if reload % 10 == 0 {
                    bring_in(&edge, status, &mut current);
                } else {
                    bring_back(&edge, link, status, &mut current);
                }
            }
        }
        // 20 weights.
        for step in 1..=20 {
            let to = format!("users={},legacy={}", step * 5, 100 - step * 5);
            let output = edge.cutover(&["set", &file, "books", "--to", &to]);
            let revision =
                output.rsplit("revision ").next().unwrap_or_default().trim_end().trim_end_matches(')');
            eventually("the authorizer has the weights", || authorizer_has(&edge, revision));
            bring_in(&edge, 200, &mut current);
        }
    });
    nothing_lost(&edge, &load);
    only_what_was_current(&load, &current);
    revisions_as_a_whole(&edge, &load);
}

/// The two policies of these tests: one that allows the caller, one that does not.
fn open_and_closed(edge: &Edge) -> (String, String) {
    let before = edge.text();
    let open = before.replace(BOOKS, &BOOKS.replace("to: legacy", "to: { legacy: 100, users: 0 }"));
    let closed = open.replace(BOOKS.split(", to").next().unwrap_or_default(), "prefix: /books, policy: bot");
    assert!(open != before && closed != open);
    (open, closed)
}

/// Every answer was that of a policy that was current during the request.
fn only_what_was_current(load: &Load, current: &Current) {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for one in &load.asked {
        *counts.entry(one.status).or_default() += 1;
        let was_current = current.iter().any(|(status, from, until)| {
            *status == one.status
                && *from <= one.until
                && until.is_none_or(|until| one.from <= until + MOMENT)
        });
        assert!(was_current, "{} was answered by a policy that was not current", one.status);
    }
    assert!(counts.len() == 2, "both policies decided: {counts:?}");
}

/// The access log shows which rules decided: those of one whole revision, never a mixture.
fn revisions_as_a_whole(edge: &Edge, load: &Load) {
    let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
    for line in edge.access_log(load.asked.len()) {
        if line["path"] == "/books" {
            let revision = line["revision"].as_str().unwrap_or_default().to_owned();
            let status = line["status"].as_u64().unwrap_or_default();
            let first = *statuses.entry(revision.clone()).or_insert(status);
            assert_eq!(first, status, "revision {revision} decided twice in two ways");
        }
    }
}

#[test]
fn an_envoy_is_replaced_on_the_same_port_without_a_lost_request() {
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).restartable().start();
    let request = edge.get("/books").token(&edge.mint().good(0));
    let load = under_load(&request, edge.public(), || {
        for _ in 0..2 {
            let mut old = edge.hand_over();
            old.wait(Duration::from_secs(60));
            edge.wait_until_ready();
        }
    });
    nothing_lost(&edge, &load);
    assert!(load.asked.iter().all(|one| one.status == 200));
}

const REPLICAS: [(Part, &str); 2] =
    [(Part::Authz, "AUTHZ_ADMIN_ADDRESS"), (Part::SecondAuthz, "AUTHZ_2_ADMIN_ADDRESS")];

fn both_answer(edge: &Edge) {
    eventually("Envoy finds both authorizers well", || {
        edge.envoy_stat("cluster.authorizer.membership_healthy") == Some(2)
    });
}

#[test]
fn authorizers_are_restarted_one_after_the_other_without_an_error() {
    let backend = Backend::plain();
    let (edge, load) = restarted(Edge::dev().every_backend(backend.address()));
    revisions_as_a_whole(&edge, &load);
}

/// The workers read the feed from either of the two, and one that has just started remembers nothing. (While Envoy has
/// the new routes and not yet the new guard, a lease of the old rules may still count: they were current until then,
/// but the log has the new revision beside them. So this test does not compare whole revisions.)
#[test]
fn with_leases_authorizers_are_restarted_without_an_error_and_ended_sessions_are_still_refused() {
    let backend = Backend::plain();
    let leased = "signed-in: { kind: session, lease: { seconds: 20 } }";
    let (edge, _) = restarted(
        Edge::dev().replace("signed-in: { kind: session }", leased).every_backend(backend.address()),
    );
    let served = || edge.envoy_stat("wasmcustom.cutover_guard_leased").unwrap_or_default();
    assert!(served() > 0, "leases served some of it");

    let session = uuid::Uuid::now_v7();
    let token = edge.mint().with(|claims| drop(claims.insert("sid".to_owned(), serde_json::json!(session))));
    let ask = || edge.get("/books").header("cookie", format!("madome_access_token={token}")).send().status;
    eventually("a lease serves the session", || {
        let before = served();
        assert_eq!(ask(), 200);
        served() > before
    });
    edge.cutover(&["revoke", "session", &session.to_string()]);
    eventually("the session is out", || ask() == 401);
    assert!((0..50).all(|_| ask() == 401), "whichever replica is asked");
}

/// Restarts each authorizer of `edge` twice under load.
fn restarted(edge: EdgeBuilder) -> (Edge, Load) {
    let mut edge = edge.two_authorizers().start();
    let (open, closed) = open_and_closed(&edge);
    let request = edge.get("/books").token(&edge.mint().good(0));
    let mut current: Current = vec![(200, Instant::now(), None)];
    both_answer(&edge);
    let load = under_load(&request, edge.public(), || {
        // Each round restarts both, with a file that may be newer than the one that their predecessors started with.
        for (text, status) in [(&closed, 403), (&open, 200)] {
            let old = rendered(&edge);
            edge.replace(text);
            for (_, admin) in REPLICAS {
                eventually("an authorizer has the file", || !decides_by(edge.address(admin), &old));
            }
            bring_in(&edge, status, &mut current);
            for (part, admin) in REPLICAS {
                edge.stop(part, Signal::Terminate);
                edge.start(part);
                let revision = rendered(&edge);
                eventually("it decides again", || decides_by(edge.address(admin), &revision));
                both_answer(&edge);
            }
        }
    });
    nothing_lost(&edge, &load);
    only_what_was_current(&load, &current);
    (edge, load)
}

#[test]
fn an_authorizer_that_dies_takes_no_request_with_it_while_another_lives() {
    let backend = Backend::plain();
    let mut edge = Edge::dev().every_backend(backend.address()).two_authorizers().start();
    let request = edge.get("/books").token(&edge.mint().good(0));
    both_answer(&edge);
    let load = under_load(&request, edge.public(), || {
        let revision = rendered(&edge);
        for (part, admin) in REPLICAS {
            edge.stop(part, Signal::Kill);
            edge.start(part);
            eventually("it decides again", || decides_by(edge.address(admin), &revision));
            both_answer(&edge);
        }
    });
    nothing_lost(&edge, &load);
    assert!(load.asked.iter().all(|one| one.status == 200));
    let again = edge.envoy_stat("cluster.authorizer.upstream_rq_retry_success");
    assert!(again.is_some_and(|count| count > 0), "no check was asked again: {again:?}");
}
