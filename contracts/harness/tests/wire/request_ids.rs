//! P6, every request has one request id: a valid one of the client's, or a new one; the backend and the access log
//! agree on it.

use std::collections::HashSet;

use harness::wire::Connection;
use harness::{Backend, Edge, Part};

#[test]
fn every_request_has_one_valid_id_and_no_two_share_one() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).without(Part::Authz).start();
    let kept = [
        "01932c07-0000-7000-8000-000000000001",
        "7D444840-9DC0-11D1-B245-5FFDCE74FAD2",
        "01JD0000000000000000000000",
        "01jdzzzzzzzzzzzzzzzzzzzzzz",
    ];
    for id in kept {
        assert_eq!(edge.get("/open").header("X-Request-Id", id).send().status, 200);
        assert_eq!(backend.last().all("x-request-id"), [id], "a valid id is kept byte for byte");
    }
    let long = "a".repeat(50_000);
    let replaced = [
        "",
        "1",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "00000000000000000000000000",
        "81JD0000000000000000000000",
        "01932c07000070008000000000000001",
        "{01932c07-0000-7000-8000-000000000001}",
        "01932c07-0000-7000-8000-000000000001, x",
        "01932c07-0000-7000-8000-00000000000g",
        "' OR 1=1 --",
        "\u{e9}",
        &long,
    ];
    let mut ids = HashSet::new();
    for id in replaced {
        assert_eq!(edge.get("/open").header("x-request-id", id).send().status, 200, "{id:.40}");
        let seen = backend.last().all("x-request-id");
        assert_eq!(seen.len(), 1, "{id:.40}");
        let settled = uuid::Uuid::parse_str(&seen[0]).unwrap_or_else(|e| panic!("{seen:?}: {e}"));
        assert_eq!(settled.get_version_num(), 7, "{id:.40}");
        assert!(ids.insert(settled), "{settled} was given out twice");
    }
    let twice = edge.get("/open").header("x-request-id", kept[0]).header("X-Request-ID", kept[1]);
    assert_eq!(twice.send().status, 200);
    let seen = backend.last().all("x-request-id");
    assert!(
        seen.len() == 1 && seen[0] != kept[0] && seen[0] != kept[1],
        "two ids are replaced by a new one: {seen:?}"
    );

    let huge = edge.get("/open").header("x-request-id", "a".repeat(1 << 20)).try_send();
    assert!(huge.is_ok_and(|answer| answer.status == 431), "an id of 1 MiB is refused");

    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    for _ in 0..2_000 {
        connection.write(&edge.get("/open").bytes()).expect("the edge reads");
        assert_eq!(connection.answer(false).expect("an answer").status, 200);
    }
    let seen = backend.seen();
    let fresh: HashSet<String> =
        seen[seen.len() - 2_000..].iter().flat_map(|s| s.all("x-request-id")).collect();
    assert_eq!(fresh.len(), 2_000);

    // The log has the same id, for refused requests too.
    assert_eq!(edge.get("/internal").header("x-request-id", kept[0]).send().status, 404);
    assert_eq!(edge.logged("/internal", 404)["request_id"], kept[0]);
    let log = edge.access_log(2_000 + kept.len() + replaced.len() + 2);
    let logged: HashSet<&str> = log.iter().filter_map(|line| line["request_id"].as_str()).collect();
    for seen in backend.seen() {
        assert!(logged.contains(seen.all("x-request-id")[0].as_str()), "the log does not know {seen:?}");
    }
}
