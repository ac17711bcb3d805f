//! A dump of the legacy backend, moved to another server, serves behind an edge: every operation that reads what is stored
//! answers with it, on both surfaces, and what the services write fits the rows that were there.

use std::collections::BTreeSet;

use harness::wire::{Answer, Request};
use harness::{Edge, operations, repository};
use serde_json::{Value, json};

use crate::stage::Stage;

/// The person whose rows are read.
const PERSON: &str = "00000000-0000-7000-8000-000000000005";
const EMAIL: &str = "p5@example.com";

/// The rows of that person, beside those of `legacy.sql`.
const ROWS: &str = include_str!("served.sql");

/// Who reads.
#[derive(Clone, Copy)]
enum By {
    Anyone,
    Person,
    Bot,
    Service(&'static str),
}

/// An operation, its caller, the target, the place in the answer (empty: the whole text), and what is there.
type Read = (&'static str, By, &'static str, &'static str, Value);

/// An edge on the moved database.
struct Served {
    edge: Edge,
    person: String,
    bot: String,
    _seeds: tempfile::TempDir,
}

impl Served {
    fn start(stage: &Stage, surface: &str) -> Self {
        let seeds = tempfile::tempdir().unwrap();
        let write = |name: &str, content: Value| {
            let file = seeds.path().join(name);
            // JSON is YAML.
            std::fs::write(&file, content.to_string()).unwrap();
            file.display().to_string()
        };
        // A bot, because the legacy backend has none; no book.
        let bot = json!({
            "id": "00000000-0000-7000-8000-00000000f0a2", "name": "Bot", "handle": "bot", "email": "bot@example.com", "role": 2,
            "tenant": harness::tokens::DEMO_TENANT,
        });
        let edge = Edge::shipped("dev")
            // A busy machine can miss the deadline of a decision, which is a 503.
            .replace("timeout_ms: 200", "timeout_ms: 5000")
            .variable("DATABASE_URL", &stage.target.url())
            .variable("USERS_SEED", &write("people.yaml", json!({ "people": [bot] })))
            .variable("LIBRARY_SEED", &write("books.yaml", json!({ "books": [] })))
            // The legacy tables have no tenants: all people belong to one.
            .variable("USERS_TENANT_RULE", &format!("*={}", harness::tokens::DEMO_TENANT))
            .variable("AUTH_SURFACE", surface)
            .variable("USERS_SURFACE", surface)
            .variable("USERS_ACTIVITY_SURFACE", surface)
            .variable("LIBRARY_SURFACE", surface)
            .start();
        let sign_in = |email: &str| {
            let post = |path: &str, body: Value| edge.request("POST", path).body(body.to_string()).send();
            assert_eq!(post("/auth/code", json!({ "email": email })).status, 201, "{email}");
            let code = edge.login_code(email);
            let answer = post("/auth/token", json!({ "email": email, "code": code }));
            answer.cookie(harness::SESSION_COOKIE).expect("a session")
        };
        let (person, bot) = (sign_in(EMAIL), sign_in("bot@example.com"));
        Self { edge, person, bot, _seeds: seeds }
    }

    fn send(&self, by: By, method: &str, target: &str, body: &str) -> Answer {
        let public = || self.edge.request(method, target);
        let request = match by {
            By::Anyone => public(),
            By::Person => public().token(&self.person),
            By::Bot => public().token(&self.bot),
            By::Service(name) => {
                let caller = identity::Caller::Service(name.parse().unwrap());
                let pem = self.edge.home().join(format!("keys/{name}.pem"));
                let signer = identity::assertion::Signer::from_file(name, &pem).unwrap();
                let now = clock::UnixTime::from_seconds(harness::tokens::now());
                let assertion = signer.sign(&caller, "dev", now).unwrap();
                Request::new(self.edge.address("EDGE_SERVICE_ADDRESS"), method, target)
                    .header("authorization", format!("Bearer {assertion}"))
            }
        };
        if body.is_empty() {
            request.send()
        } else {
            request.header("content-type", "application/json").body(body).send()
        }
    }

    /// Reads all of them, and names those that are answered otherwise.
    fn reads(&self, reads: &[Read]) {
        let mut wrong = Vec::new();
        for (operation, by, target, place, expected) in reads {
            let (method, body) = match *operation {
                "POST /_/books/by-tags" => {
                    ("POST", r#"{"tags":[["artist","artist 8"]],"per_page":3,"page":1,"sort_by":"id-desc"}"#)
                }
                "POST /_/command" => ("POST", r#"{"kind":"has_book_tag","book_tag":["artist","artist 8"]}"#),
                _ => ("GET", ""),
            };
            let answer = self.send(*by, method, target, body);
            let text = answer.text();
            let is_right = if place.is_empty() {
                text.contains(expected.as_str().unwrap())
            } else {
                let place = if *place == "/" { "" } else { place };
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                value.pointer(place) == Some(expected)
            };
            if !is_right {
                wrong.push(format!("{operation}: {target} {place}: {expected}\n{answer:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn older() -> Vec<Read> {
    let book = json!({
        "id": 7, "title": "An older book 7", "kind": "game_cg", "language": "english", "page": 3,
        "tags": [["artist", "artist 8"]], "created_at": "2022-01-31T17:12:00.500Z", "updated_at": "2022-02-01T00:00:00.000Z",
    });
    let me = json!({
        "id": PERSON, "email": EMAIL, "name": "Person 5", "role": 1,
        "created_at": "2022-01-31T17:17:00.500Z", "updated_at": "2022-02-01T00:00:00Z",
    });
    vec![
        ("", By::Person, "/auth/token?role=1", "/user_id", PERSON.into()),
        ("", By::Person, "/users/@me", "/", me),
        ("", By::Person, "/users/@me/likes", "/0/tag_name", "artist 8".into()),
        ("", By::Person, "/users/@me/likes", "/0/books/0/tags/0/1", "artist 8".into()),
        ("", By::Person, "/users/@me/likes", "/1/book/title", "An older book 5".into()),
        ("", By::Person, "/users/@me/histories", "/0/updated_at", "2022-03-05T00:00:00.500Z".into()),
        ("", By::Person, "/users/@me/histories", "/0/book/title", "An older book 7".into()),
        ("", By::Person, "/users/@me/notifications", "/0/book_tags/0/1", "artist 10".into()),
        ("", By::Person, "/books?per-page=1", "/0/id", 200.into()),
        ("", By::Person, "/books?ids[]=7", "/0", book.clone()),
        ("", By::Person, "/books?tags[]=artist-artist-8", "/0/0/1", "artist 8".into()),
        ("", By::Person, "/books/7", "/", book),
        ("", By::Person, "/books/search?search-kind=title&q=older+7", "/0/id", 79.into()),
        ("", By::Person, "/books/search?search-kind=tag&q=artist&per-page=1", "/0/id", 200.into()),
        (
            "",
            By::Person,
            "/books/search/completion?search-kind=title&q=older+book+7",
            "/0/keyword",
            "An older book 7".into(),
        ),
        (
            "",
            By::Person,
            "/books/search/completion?search-kind=tag&q=artist",
            "/0/keyword",
            "artist-artist 1".into(),
        ),
        ("", By::Person, "/books/7/images", "", "image/library/7/image_list".into()),
        ("", By::Person, "/books/7/images/1.png", "", "image/library/7/1.png".into()),
        ("", By::Anyone, "/open-graph/books/7", "", "An older book 7".into()),
        ("", By::Anyone, "/open-graph/books/tags/artist/artist%208", "", "artist/artist 8".into()),
    ]
}

/// Every operation of the documents that reads, and the two between services that read with POST.
fn later() -> Vec<Read> {
    let [auth, users, library, notifications] =
        ["auth", "users", "library", "notifications"].map(By::Service);
    let (person, bot) = (By::Person, By::Bot);
    let title = || json!("An older book 7");
    vec![
        ("GET /auth/token", person, "/auth/token", "/user_role", 1.into()),
        ("GET /auth/passkeys", person, "/auth/passkeys", "/", json!([])),
        ("GET /users/@me", person, "/users/@me", "/handle", "Person 5".into()),
        ("GET /users/@me", person, "/users/@me", "/created_at", "2022-01-31T17:17:00.500Z".into()),
        ("GET /users/@me/tastes", person, "/users/@me/tastes", "/0/tag_name", "artist 8".into()),
        ("GET /users/@me/tastes", person, "/users/@me/tastes?is-dislike=true", "/0/book_id", 9.into()),
        (
            "GET /users/@me/tastes/{kind}/{value}",
            person,
            "/users/@me/tastes/book/5",
            "/is_dislike",
            false.into(),
        ),
        ("GET /users/@me/histories", person, "/users/@me/histories", "/0/book/title", title()),
        ("GET /users/@me/histories/{kind}/{value}", person, "/users/@me/histories/book/7", "/page", 9.into()),
        ("GET /users/@me/notifications", person, "/users/@me/notifications", "/0/book_id", 9.into()),
        ("GET /books", person, "/books?per-page=1", "/0/id", 200.into()),
        ("GET /books/{id}", person, "/books/7", "/title", title()),
        // By a word of its title and one of its tags: the library has indexed the moved books anew.
        ("GET /books/search", person, "/books/search?q=older+7", "/0/id", 186.into()),
        ("GET /books/tags/search", person, "/books/tags/search?q=artist+8", "/0/name", "artist 8".into()),
        ("GET /books/tags/{tag}", person, "/books/tags/artist-artist-8", "/name", "artist 8".into()),
        ("GET /books/currently-renewing", person, "/books/currently-renewing", "/", json!([])),
        (
            "GET /books/need-check",
            bot,
            "/books/need-check?per-page=1",
            "/0/title",
            "An older book 200".into(),
        ),
        ("GET /books/ids", bot, "/books/ids?per-page=2", "/", json!([200, 199])),
        // A renewal is one statement, so none is ever under way.
        (
            "GET /books/{id}/currently-renewing",
            person,
            "/books/7/currently-renewing",
            "/name",
            "Not found resource".into(),
        ),
        ("GET /open-graph/books/{id}", By::Anyone, "/open-graph/books/7", "", title()),
        (
            "GET /open-graph/books/tags/{kind}/{name}",
            By::Anyone,
            "/open-graph/books/tags/artist/artist%208",
            "",
            "artist 8".into(),
        ),
        ("GET /_/users/{key}", auth, "/_/users/p5@example.com", "/id", PERSON.into()),
        ("GET /_/users", auth, "/_/users?email=p5@example.com", "/id", PERSON.into()),
        (
            "GET /_/users/{id}/likes",
            library,
            "/_/users/00000000-0000-7000-8000-000000000005/likes?kind=book&ids[]=5",
            "/0/book_id",
            5.into(),
        ),
        (
            "GET /_/users/{id}/dislikes",
            library,
            "/_/users/00000000-0000-7000-8000-000000000005/dislikes",
            "/books",
            json!([9]),
        ),
        (
            "GET /_/users/{id}/histories",
            library,
            "/_/users/00000000-0000-7000-8000-000000000005/histories?kind=book&ids[]=7",
            "/0/book_id",
            7.into(),
        ),
        (
            "GET /_/users/fcm-token",
            notifications,
            "/_/users/fcm-token?user-ids[]=00000000-0000-7000-8000-000000000005",
            "/",
            json!(["a newer token"]),
        ),
        ("GET /_/books", users, "/_/books?ids[]=7", "/0/title", title()),
        ("POST /_/books/by-tags", users, "/_/books/by-tags", "/0/0/1", "artist 8".into()),
        ("POST /_/command", users, "/_/command", "/has", true.into()),
    ]
}

/// What the services write fits the legacy rows: none is doubled, and a new one has the id that the legacy backend would give it.
fn writes(served: &Served, stage: &Stage) {
    let send = |method: &str, path: &str, body: &str| served.send(By::Person, method, path, body).status;
    let (five, tag) = (
        r#"{"kind":"book","book_id":5}"#,
        r#"{"kind":"book_tag","tag_kind":"artist","tag_name":"artist 8"}"#,
    );
    assert_eq!(
        send("POST", "/users/@me/likes", five),
        409,
        "a row of the generation before, with a random id"
    );
    assert_eq!(send("POST", "/users/@me/likes", tag), 409);
    assert_eq!(send("POST", "/users/@me/histories", r#"{"kind":"book","book_id":7,"page":9}"#), 201);
    let device = r#"{"udid":"00000000-0000-4000-8000-00000000000a","fcm_token":"a newer token"}"#;
    assert_eq!(send("POST", "/users/@me/fcm-token", device), 201);
    let eight = r#"{"kind":"book","book_id":8,"page":1}"#;
    for (path, table) in [("/users/@me/likes", "likes_book"), ("/users/@me/histories", "histories_book")] {
        assert_eq!(send("POST", path, eight), 201, "{path}");
        let id = format!("SELECT id FROM {table} WHERE book_id = 8 AND user_id = '{PERSON}'");
        // Made with Python's `uuid5`.
        assert_eq!(stage.target.sql(&id), "907a0d6c-3364-5843-a8f3-145147300fb0", "{table}");
        assert_eq!(send("DELETE", path, eight), 204, "{path}");
    }
    let count =
        |table: &str| stage.target.sql(&format!("SELECT count(*) FROM {table} WHERE user_id = '{PERSON}'"));
    let counts = ["likes_book", "likes_book_tag", "histories_book", "fcm_token"].map(count);
    assert_eq!(counts, ["2", "1", "1", "1"], "no row was doubled");
}

#[test]
fn a_moved_legacy_database_serves_every_operation_behind_an_edge() {
    let stage = Stage::set();
    stage.source.sql(ROWS);
    let moved = stage.run(&["run", "--hold"]);
    assert_eq!(moved.code, Some(0), "{moved:?}");

    let served = Served::start(&stage, "older");
    served.reads(&older());
    writes(&served, &stage);
    drop(served);

    let reads = later();
    let read: BTreeSet<&str> = reads.iter().map(|(operation, ..)| *operation).collect();
    for (service, kind) in
        ["auth", "library", "users"].into_iter().flat_map(|one| [(one, "public"), (one, "internal")])
    {
        let file = repository().join(format!("services/{service}/openapi/{kind}.yaml"));
        let document = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for operation in operations::of(&document).iter().filter(|operation| operation.method == "GET") {
            let name = format!("GET {}", operation.path);
            assert!(read.contains(name.as_str()), "add {name} to `later`");
        }
    }
    Served::start(&stage, "later").reads(&reads);
}
