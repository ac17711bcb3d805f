//! Programs outside deliver books and pictures through the edge, signed and from a listed address.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

pub(crate) mod program;
pub(crate) mod sweep;

use std::net::SocketAddr;

use harness::eventually;
use harness::wire::Request;
use kit::testing::PrivatePostgres;
use program::{Stage, sha256, unsigned_headers};
use serde_json::{Value, json};

fn book(id: u64, title: &str) -> Value {
    json!({
        "id": id, "title": title, "kind": "manga", "tags": [{ "kind": "artist", "name": "some artist" }],
        "language": "english", "page": 3, "created_at": "2022-01-31T17:12:00.000Z",
    })
}

fn batch(books: &[Value]) -> String {
    json!({ "books": books }).to_string()
}

/// The whole way on one database.
fn deliveries(stage: &Stage) {
    let start = stage.json("GET", "/_sync/jobs/first", "");
    assert_eq!(start, (200, json!({ "next": 0, "events": 0 })));
    let two = batch(&[book(1001, "One"), book(1002, "Two")]);
    let added = json!({ "next": 1, "added": 2, "changed": 0, "unchanged": 0 });
    assert_eq!(stage.json("POST", "/_sync/jobs/first/batches/0", &two), (200, added.clone()));
    assert_eq!(stage.title(1002), "Two");
    // The answer was lost on the way, so the program sends the batch again.
    assert_eq!(stage.json("POST", "/_sync/jobs/first/batches/0", &two), (200, added));
    let other = batch(&[book(1001, "Other")]);
    let (status, refused) = stage.json("POST", "/_sync/jobs/first/batches/0", &other);
    assert_eq!((status, refused["error"].as_str()), (409, Some("batch 0 was delivered with other content")));
    let (status, refused) = stage.json("POST", "/_sync/jobs/first/batches/5", &other);
    assert_eq!((status, &refused["next"]), (409, &json!(1)));
    assert_eq!(stage.title(1001), "One");
    // The library says what it had like this; the order of the fields does not count.
    let mixed = format!(
        r#"{{"books":[{},{{"title":"One","tags":[{{"name":"some artist","kind":"artist"}}],"page":3,"language":"english","kind":"manga","id":1001,"created_at":"2022-01-31T17:12:00.000Z"}},{}]}}"#,
        book(1002, "Two again"),
        book(1003, "Three")
    );
    let outcome = json!({ "next": 2, "added": 1, "changed": 1, "unchanged": 1 });
    assert_eq!(stage.json("POST", "/_sync/jobs/first/batches/1", &mixed), (200, outcome));
    assert_eq!((stage.title(1002), stage.title(1003)), ("Two again".to_owned(), "Three".to_owned()));
    // What another program made of a book meanwhile is replaced, though this book was delivered before.
    let changed = json!({ "books": [book(1003, "Another's")] }).to_string();
    assert_eq!(stage.put_in_library(&changed).status, 200);
    assert_eq!(stage.title(1003), "Another's");
    let (three, third) = (batch(&[book(1003, "Three")]), "/_sync/jobs/second/batches/0");
    let outcome = json!({ "next": 1, "added": 0, "changed": 1, "unchanged": 0 });
    assert_eq!(stage.json("POST", third, &three), (200, outcome));
    assert_eq!(stage.title(1003), "Three");
    // A corrected time of a known book is a change, and one that was stored is none.
    let mut dated = book(1003, "Three");
    dated["created_at"] = json!("2021-05-04T03:02:01.123Z");
    for (number, changed) in [(1, 1), (2, 0)] {
        let outcome = json!({ "next": number + 1, "added": 0, "changed": changed, "unchanged": 1 - changed });
        let path = format!("/_sync/jobs/second/batches/{number}");
        let dated = batch(std::slice::from_ref(&dated));
        assert_eq!(stage.json("POST", &path, &dated), (200, outcome), "batch {number}");
    }
    // The library says what is wrong, and nothing of the batch is recorded.
    let mut wrong = book(1004, "Four");
    wrong["tags"] = json!([]);
    let (status, refused) =
        stage.json("POST", "/_sync/jobs/first/batches/2", &batch(&[book(1005, "Five"), wrong]));
    assert_eq!(status, 400, "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("books[1]"), "{refused}");
    assert_eq!(stage.json("GET", "/_sync/jobs/first", ""), (200, json!({ "next": 2, "events": 2 })));
    hostile(stage);
}

/// A program says which books of a batch are released.
fn releases(stage: &Stage) {
    let released = |mut book: Value, released: Value| {
        book["released"] = released;
        book
    };
    let published = |id: u64| stage.book(id)["published_at"].clone();
    let two = batch(&[released(book(1101, "One"), json!(true)), book(1102, "Two")]);
    let added = json!({ "next": 1, "added": 2, "changed": 0, "unchanged": 0 });
    assert_eq!(stage.json("POST", "/_sync/jobs/releases/batches/0", &two), (200, added.clone()));
    let first = published(1101);
    assert!(first.is_string(), "{first}");
    assert_eq!(published(1102), json!(null));
    // The answer was lost, and the program sends the batch again.
    assert_eq!(stage.json("POST", "/_sync/jobs/releases/batches/0", &two), (200, added));
    // A release is other content of a batch; `false` and nothing are the same one.
    let other = batch(&[released(book(1101, "One"), json!(true)), released(book(1102, "Two"), json!(true))]);
    assert_eq!(stage.json("POST", "/_sync/jobs/releases/batches/0", &other).0, 409);
    let same = batch(&[released(book(1101, "One"), json!(true)), released(book(1102, "Two"), json!(false))]);
    assert_eq!(stage.json("POST", "/_sync/jobs/releases/batches/0", &same).0, 200);
    // Another job releases the second one, changes the first one, and takes no release back.
    let both = batch(&[book(1101, "One now"), released(book(1102, "Two"), json!(true))]);
    let outcome = json!({ "next": 1, "added": 0, "changed": 2, "unchanged": 0 });
    assert_eq!(stage.json("POST", "/_sync/jobs/later/batches/0", &both), (200, outcome));
    assert_eq!((stage.title(1101), published(1101)), ("One now".to_owned(), first.clone()));
    let second = published(1102);
    assert!(second.is_string(), "{second}");
    let again =
        batch(&[released(book(1101, "One now"), json!(false)), released(book(1102, "Two"), json!(true))]);
    let outcome = json!({ "next": 2, "added": 0, "changed": 0, "unchanged": 2 });
    assert_eq!(stage.json("POST", "/_sync/jobs/later/batches/1", &again), (200, outcome));
    assert_eq!((published(1101), published(1102)), (first, second));
    for invalid in [json!(null), json!("true"), json!(1)] {
        let wrong = batch(&[released(book(1103, "Three"), invalid)]);
        let (status, refused) = stage.json("POST", "/_sync/jobs/releases/batches/1", &wrong);
        assert_eq!(status, 400, "{refused}");
    }
}

/// Whatever a program with a key sends, the answer is a refusal with a reason.
fn hostile(stage: &Stage) {
    for (method, path, body) in [
        ("POST", "/_sync/jobs/first/batches/2", "".to_owned()),
        ("POST", "/_sync/jobs/first/batches/2", "[]".to_owned()),
        ("POST", "/_sync/jobs/first/batches/2", batch(&[])),
        ("POST", "/_sync/jobs/first/batches/2", batch(&vec![book(1, "One"); 51])),
        ("POST", "/_sync/jobs/first/batches/2", batch(&[json!({ "id": 1 })])),
        ("POST", "/_sync/jobs/first/batches/2", batch(&[book(u64::MAX, "One")])),
        ("POST", "/_sync/jobs/first/batches/-1", batch(&[book(1, "One")])),
        ("POST", "/_sync/jobs/first/batches/x", batch(&[book(1, "One")])),
        ("GET", "/_sync/jobs/a%20b", String::new()),
        ("GET", "/_sync/jobs/first/files?path=a.png", String::new()),
        ("GET", "/_sync/jobs/first/files?path=..%2Fa.png&length=1&sha256=00", String::new()),
    ] {
        let (status, refused) = stage.json(method, path, &body);
        assert_eq!(status, 400, "{method} {path} {body}: {refused}");
        assert!(refused["error"].is_string(), "{refused}");
    }
    assert_eq!(stage.send("DELETE", "/_sync/jobs/first", "").status, 404);
}

fn files(stage: &Stage) {
    let content: Vec<u8> = (0..1_500_000u32).map(|at| (at % 251) as u8).collect();
    let target = |offset: usize, digest: &str| {
        format!(
            "/_sync/jobs/pictures/files?path=image/library/7/1.png&length={}&sha256={digest}&offset={offset}",
            content.len()
        )
    };
    let digest = sha256(&content);
    let place = stage.pictures().join("image/library/7/1.png");
    let part = |offset: usize, body: &[u8], digest: &str| {
        let answer = stage.send("PUT", &target(offset, digest), body);
        (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap_or_default())
    };
    let (first, second) = content.split_at(1_000_000);
    assert_eq!(part(0, first, &digest), (200, json!({ "received": 1_000_000, "complete": false })));
    assert!(!place.exists());
    let (status, refused) = part(1_000_001, second, &digest);
    assert_eq!((status, &refused["received"]), (409, &json!(1_000_000)));
    let so_far = stage.json("GET", &target(0, &digest), "");
    assert_eq!(so_far, (200, json!({ "received": 1_000_000, "complete": false })));
    assert_eq!(part(1_000_000, second, &digest), (200, json!({ "received": 1_500_000, "complete": true })));
    assert_eq!(std::fs::read(&place).unwrap(), content);
    assert_eq!(
        stage.json("GET", &target(0, &digest), ""),
        (200, json!({ "received": 1_500_000, "complete": true }))
    );
    // The answer to the last part was lost, so the program sends it again. That is one event, with the digest.
    assert_eq!(part(1_000_000, second, &digest), (200, json!({ "received": 1_500_000, "complete": true })));
    assert_eq!(part(0, first, &digest), (200, json!({ "received": 1_500_000, "complete": true })));
    assert_eq!(stage.json("GET", "/_sync/jobs/pictures", ""), (200, json!({ "next": 0, "events": 1 })));
    let event = stage.signed("GET", "/_sync/jobs/pictures/events", b"").stream().until("\n\n");
    assert!(event.contains(&digest), "{event}");
    // Another content under the same name, with a digest that is not its own: the old file stays.
    let promised = sha256(b"something else");
    assert_eq!(part(0, first, &promised).0, 200);
    let (status, refused) = part(1_000_000, second, &promised);
    assert_eq!(status, 400, "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("digest"), "{refused}");
    assert_eq!(std::fs::read(&place).unwrap(), content);
    assert_eq!(
        part(0, b"x", &promised),
        (200, json!({ "received": 1, "complete": false })),
        "it begins again"
    );
    // No part leads out of the directory.
    std::os::unix::fs::symlink("/tmp", stage.pictures().join("out")).unwrap();
    let outside = format!("/_sync/jobs/pictures/files?path=out/1.png&length=1&sha256={}", sha256(b"x"));
    assert_ne!(stage.send("PUT", &outside, "x").status, 200);
}

fn events(stage: &Stage) {
    let read = |after: Option<&str>| {
        let target = "/_sync/jobs/first/events";
        let mut request = stage.signed("GET", target, b"");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        request.stream()
    };
    let mut all = read(None);
    let first = all.until("\n\n");
    assert!(first.contains("id: 1\n") || first.contains("id:1\n"), "{first}");
    assert!(first.contains("batch") && first.contains(r#""added":2"#), "{first}");
    // A reader that was cut off after the first event begins with the second, and sees what comes.
    let mut later = read(Some("1"));
    assert!(later.until("\n\n").contains(r#""changed":1"#));
    let more = batch(&[book(1010, "Ten")]);
    assert_eq!(stage.json("POST", "/_sync/jobs/first/batches/2", &more).0, 200);
    assert!(later.until(r#""next":3"#).contains("batch"));
}

#[test]
fn books_are_delivered_in_batches_that_can_be_repeated() {
    let stage = Stage::start(None);
    deliveries(&stage);
    events(&stage);
    releases(&stage);
    sweep::every_request_is_answered(&stage);
}

#[test]
fn books_are_delivered_in_batches_that_can_be_repeated_on_postgresql() {
    let postgres = PrivatePostgres::start();
    let stage = Stage::start(Some(postgres.url()));
    deliveries(&stage);
    events(&stage);
    releases(&stage);
    sweep::every_request_is_answered(&stage);
    many_jobs(&stage, &postgres);
}

/// A program never runs out of jobs: the one that was idle for the longest time is forgotten, with its events.
fn many_jobs(stage: &Stage, postgres: &PrivatePostgres) {
    let ids = |job: &str| stage.json("GET", &format!("/_sync/jobs/{job}"), "").1;
    assert_eq!(ids("second")["next"], 3);
    let fill = "INSERT INTO sync_jobs (owner, id, next, events, used_at) \
                SELECT 'crawler', 'filled-' || n, 7, 0, 9000000000000 + n FROM generate_series(1, 9999) AS n";
    postgres.sql(fill);
    let next = batch(&[book(1020, "Twenty")]);
    assert_eq!(stage.json("POST", "/_sync/jobs/fresh/batches/0", &next).0, 200);
    assert_eq!((ids("fresh")["next"].clone(), ids("filled-9999")["next"].clone()), (json!(1), json!(7)));
    assert_eq!(ids("second"), json!({ "next": 0, "events": 0 }), "it was idle for the longest time");
    assert_eq!(stage.json("POST", "/_sync/jobs/fresh/batches/1", &next).0, 200, "and a job goes on");
}

#[test]
fn a_picture_comes_in_parts_and_appears_whole_or_not_at_all() {
    files(&Stage::start(None));
}

#[test]
fn only_a_fresh_signature_from_a_listed_address_passes() {
    let stage = Stage::start(None);
    let request = stage.signed("GET", "/_sync/jobs/first", b"");
    assert_eq!(request.send().status, 200);
    let replayed = request.send();
    assert_eq!((replayed.status, &*replayed.body), (429, &b"{\"error\":\"Sent before\"}"[..]));
    let bare = Request::new(stage.sync(), "GET", "/_sync/jobs/first").host("sync.dev-domain.test");
    assert_eq!(bare.send().status, 401);
    let forged = stage.signed_with("GET", "/_sync/jobs/first", b"", program::WRONG);
    assert_eq!(forged.send().status, 401);
    // An identity that the edge signs does not replace a signature.
    let named = unsigned_headers(bare);
    assert_eq!(named.send().status, 401);
    // Not on the listener for services, and the service's own routes not here.
    let elsewhere = Request::new(stage.services(), "GET", "/_sync/jobs/first");
    assert_eq!(elsewhere.send().status, 404);
    assert_eq!(stage.send("PUT", "/_/books", "{}").status, 404);
    let direct: SocketAddr = stage.service();
    assert_eq!(
        Request::new(direct, "GET", "/_sync/jobs/first").send().status,
        401,
        "without the edge's signature"
    );
    stage.list_another_address();
    eventually("another address is listed", || stage.send("GET", "/_sync/jobs/first", "").status == 403);
}

#[test]
fn a_library_that_is_gone_refuses_the_batch_until_it_is_back() {
    let mut stage = Stage::start(None);
    let one = batch(&[book(1001, "One")]);
    stage.stop_library();
    assert_eq!(stage.json("POST", "/_sync/jobs/first/batches/0", &one).0, 503);
    stage.start_library();
    eventually("the batch is taken", || stage.json("POST", "/_sync/jobs/first/batches/0", &one).0 == 200);
    assert_eq!(stage.title(1001), "One");
}
