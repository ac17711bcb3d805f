//! A path of people moves to the users service, on the older surface, and no client sees a difference: the comparator
//! compares the answers of both backends behind a real edge.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::process::Command;

use harness::wire::Request;
use harness::{Edge, Port, Process, eventually, venv};
use serde_json::{Value, json};

const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";
const COMPARATOR: &str = "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n";
const ME: &str =
    "{ name: users-me, host: api, exact: /users/@me, policy: signed-in, to: users, answers: users }";
const CREATE: &str = "{ name: users-create, host: api, exact: /users, methods: [POST], policy: bot, to: users, answers: users }";

/// An edge that shadows `/users/@me`: the legacy backend answers, and the users service gets copies.
struct Shadowed {
    edge: Edge,
    /// Of the person `demo`. The legacy backend accepts it, because its own session check is answered by the edge.
    token: String,
    admin: Port,
    _comparator: Process,
    _people: tempfile::NamedTempFile,
}

fn shadowed(surface: &str) -> Shadowed {
    let people = tempfile::NamedTempFile::new().expect("a temporary file");
    // In the legacy backend's order of fields.
    let demo = format!(
        r#"[{{"id":"{DEMO}","email":"demo@example.com","name":"Demo","role":0,"created_at":"2022-01-31T17:12:00.962888Z","updated_at":"2022-02-01T00:00:00Z"}}]"#
    );
    std::fs::write(people.path(), demo).expect("it is writable");
    let (copies, admin) = (Port::lease(), Port::lease());
    // The web server of the sample writes its own `date`, at another place than the old services did.
    let edge = Edge::dev()
        .replace(COMPARATOR, &format!("{COMPARATOR}  sample_percent: 100\n  ignore: [{{ header: date }}]\n"))
        .replace(ME, &ME.replace("to: users", "to: legacy, shadow: users"))
        .replace(CREATE, &CREATE.replace("policy: bot", "policy: signed-in"))
        .variable("USERS_SURFACE", surface)
        .variable("LEGACY_PEOPLE", &people.path().display().to_string())
        .variable("COMPARATOR_ADDRESS", &copies.address().to_string())
        .variable("COMPARATOR_ADMIN_ADDRESS", &admin.address().to_string())
        .start();
    // The same moments in both, as on one database.
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=10); \
                  db.execute(\"UPDATE users SET created_at = '2022-01-31 17:12:00.962888+00:00', \
                  updated_at = '2022-02-01 00:00:00+00:00' WHERE email = 'demo@example.com'\"); db.commit()";
    let file = edge.home().join("db/users.sqlite");
    let done = Command::new(venv().join("bin/python")).args(["-c", script]).arg(&file).status();
    assert!(done.expect("Python can be started").success());
    let comparator = edge.comparator(admin.address());
    let post = |path: &str, body: Value| {
        edge.request("POST", path).header("content-type", "application/json").body(body.to_string()).send()
    };
    assert_eq!(post("/auth/code", json!({ "email": "demo@example.com" })).status, 201);
    let code = edge.login_code("demo@example.com");
    let signed_in = post("/auth/token", json!({ "email": "demo@example.com", "code": code }));
    let token = signed_in.cookie("madome_access_token").expect("a session");
    Shadowed { edge, token, admin, _comparator: comparator, _people: people }
}

impl Shadowed {
    /// Sends ten requests for the own account, and returns the comparator's report about them.
    fn compared(&self) -> Value {
        for _ in 0..10 {
            let answer = self.edge.get("/users/@me").token(&self.token).send();
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.text().contains(".962888Z"), "{answer:?}");
        }
        let mut report = Value::Null;
        eventually("ten copies are compared", || {
            report = Request::new(self.admin.address(), "GET", "/report").send().json();
            report["routes"]["users-me"]["compared"].as_u64().is_some_and(|compared| compared >= 10)
        });
        report["routes"]["users-me"].clone()
    }
}

#[test]
fn the_comparison_of_the_older_surface_is_silent_and_that_of_the_later_one_is_not() {
    let older = shadowed("older");
    let report = older.compared();
    assert_eq!(report["different"], 0, "{report:#}");

    // Creating people is not a GET, so no copy shows it.
    let create = |body: &str| {
        let request = older
            .edge
            .request("POST", "/users")
            .token(&older.token)
            .header("content-type", "application/json");
        request.body(body).send()
    };
    let made = create(r#"{"name":"New","email":"new@example.com"}"#);
    assert_eq!((made.status, made.text().as_str(), made.header("content-type")), (201, "", None), "{made:?}");
    let again = create(r#"{"name":"New","email":"new@example.com"}"#);
    assert_eq!((again.status, again.text().as_str()), (409, "Already exist user"), "{again:?}");
    drop(older);

    let later = shadowed("later").compared();
    assert!(later["different"].as_u64().is_some_and(|different| different > 0), "{later:#}");
}
