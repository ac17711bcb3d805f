//! A good request for every operation, in an order in which each finds what it needs.

use std::sync::Arc;

use clock::SystemClock;
use harness::wire::Answer;
use harness::{Authenticator, eventually_some};
use serde_json::Value;
use service_client::{Account, Tokens};

use super::run::{By, Good, Run, Shown, cookies};

const DEMO: &str = "demo@example.com";

const NEW_BOOK: &str =
    r#"{"id":1000,"title":"A new book","kind":"image-set","tags":[{"kind":"misc","name":"full color"}]}"#;
const PUT_BOOK: &str = r#"{"books":[{"id":1001,"title":"One","kind":"manga","tags":[{"kind":"misc","name":"full color"}],"language":"english","page":3,"created_at":"2022-01-31T17:12:00.000Z"}]}"#;
const BY_TAGS: &str = r#"{"tags":[["misc","full color"]],"per_page":3,"page":1,"sort_by":"id-desc"}"#;
const LIKE: &str = r#"{"kind":"book","book_id":7,"is_dislike":false}"#;
const READ: &str = r#"{"kind":"book","book_id":7,"page":2}"#;
const SEVEN: &str = r#"{"kind":"book","book_id":7}"#;
const NEWS: &str = r#"{"kind":"book","book_id":1000,"book_tags":[["misc","full color"]]}"#;
const NEW_PERSON: &str = r#"{"name":"New","handle":"new","email":"new@example.com","role":0}"#;
const NEW_TENANT: &str = r#"{"id":"00000000-0000-7000-8000-0000000000f1","name":"New"}"#;
const LETTER: &str = r#"{"idempotencyKey":"refused","message":{"tenantId":"t","mail":{"to":"a@example.com","subject":"A","text":"B"}}}"#;
const PICTURE: &str =
    "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"1.gif\"\r\n\r\nGIF89a\r\n--b--\r\n";

/// Sends all of them.
pub(crate) fn all(mut run: Run) -> Vec<Shown> {
    let (demo, bot) = (run.sign_in(DEMO), run.sign_in("bot@example.com"));
    let (person, bot) = (By::Person(&demo), By::Bot(&bot));
    for (operation, by, target, body, status) in catalogue(person, bot)
        .into_iter()
        .chain(people(person, bot))
        .chain(between_services())
        .chain(tenants())
    {
        run.send(&Good { operation, by, target, body, status });
    }
    pictures(&mut run, person, bot);
    passkeys(&mut run, person);
    letters(&mut run);
    service_token(&mut run);
    sessions(&mut run, &demo);
    run.shown
}

/// Operation, caller, target, body, status.
type Line<'a> = (&'static str, By<'a>, &'static str, &'static str, u16);

fn catalogue<'a>(person: By<'a>, bot: By<'a>) -> Vec<Line<'a>> {
    vec![
        ("GET /books", person, "/books?per-page=2&sort-by=id-asc", "", 200),
        ("POST /books", bot, "/books", NEW_BOOK, 201),
        ("PATCH /books", bot, "/books", NEW_BOOK, 200),
        ("GET /books/{id}", person, "/books/1000", "", 200),
        ("GET /books/search", person, "/books/search?q=sample", "", 200),
        ("GET /books/tags/search", person, "/books/tags/search?q=full", "", 200),
        ("GET /books/tags/{tag}", person, "/books/tags/misc-full-color", "", 200),
        ("GET /books/need-check", bot, "/books/need-check?per-page=1", "", 200),
        ("GET /books/ids", bot, "/books/ids?per-page=2", "", 200),
        ("PATCH /books/{id}/check", bot, "/books/1000/check", "", 204),
        ("PATCH /books/{id}/release", bot, "/books/1000/release", "", 204),
        ("POST /books/{old}/renew/{new}", bot, "/books/40/renew/1000", "", 204),
        ("GET /books/currently-renewing", person, "/books/currently-renewing", "", 200),
        // A renewal is under way only while the users service is away.
        ("GET /books/{id}/currently-renewing", person, "/books/1000/currently-renewing", "", 404),
        ("GET /open-graph/books/{id}", By::Anyone, "/open-graph/books/7", "", 200),
        (
            "GET /open-graph/books/tags/{kind}/{name}",
            By::Anyone,
            "/open-graph/books/tags/misc/full%20color",
            "",
            200,
        ),
    ]
}

fn people<'a>(person: By<'a>, bot: By<'a>) -> Vec<Line<'a>> {
    vec![
        ("GET /users/@me", person, "/users/@me", "", 200),
        ("PATCH /users/@me", person, "/users/@me", r#"{"name":"Another"}"#, 204),
        ("POST /users", bot, "/users", NEW_PERSON, 201),
        ("POST /users/@me/tastes", person, "/users/@me/tastes", LIKE, 201),
        ("GET /users/@me/tastes", person, "/users/@me/tastes", "", 200),
        ("GET /users/@me/tastes/{kind}/{value}", person, "/users/@me/tastes/book/7", "", 200),
        ("POST /users/@me/histories", person, "/users/@me/histories", READ, 201),
        ("GET /users/@me/histories", person, "/users/@me/histories", "", 200),
        ("GET /users/@me/histories/{kind}/{value}", person, "/users/@me/histories/book/7", "", 200),
        ("GET /users/@me/notifications", person, "/users/@me/notifications", "", 200),
        ("POST /users/@me/fcm-token", person, "/users/@me/fcm-token", r#"{"token":"a"}"#, 201),
    ]
}

fn between_services() -> Vec<Line<'static>> {
    let [auth, users, library, notifications, sync] =
        ["auth", "users", "library", "notifications", "sync"].map(By::Service);
    vec![
        ("GET /_/users/{key}", auth, "/_/users/demo@example.com", "", 200),
        ("GET /_/users", auth, "/_/users?email=demo@example.com", "", 200),
        (
            "GET /_/users/{id}/likes",
            library,
            "/_/users/00000000-0000-7000-8000-0000000000a0/likes?kind=book&ids[]=7",
            "",
            200,
        ),
        (
            "GET /_/users/{id}/histories",
            library,
            "/_/users/00000000-0000-7000-8000-0000000000a0/histories?ids[]=7",
            "",
            200,
        ),
        (
            "GET /_/users/fcm-token",
            notifications,
            "/_/users/fcm-token?user-ids[]=00000000-0000-7000-8000-0000000000a0",
            "",
            200,
        ),
        (
            "GET /_/users/{id}/dislikes",
            library,
            "/_/users/00000000-0000-7000-8000-0000000000a0/dislikes",
            "",
            200,
        ),
        ("POST /_/users/notifications", library, "/_/users/notifications", NEWS, 201),
        ("PATCH /_/users/books/{old}/{new}", library, "/_/users/books/39/38", "", 204),
        ("GET /_/books", users, "/_/books?ids[]=1", "", 200),
        ("PUT /_/books", sync, "/_/books", PUT_BOOK, 200),
        ("POST /_/books/by-tags", users, "/_/books/by-tags", BY_TAGS, 200),
        ("POST /_/command", users, "/_/command", r#"{"kind":"has_book","book_id":1}"#, 200),
        ("PATCH /_/books/{old}/{new}", users, "/_/books/5/6", "", 204),
    ]
}

fn tenants() -> Vec<Line<'static>> {
    let [admin, tenants] = ["admin", "tenants"].map(By::Service);
    vec![
        ("POST /_/tenants", admin, "/_/tenants", NEW_TENANT, 201),
        ("GET /_/tenants", admin, "/_/tenants", "", 200),
        ("GET /_/tenants/{id}", admin, "/_/tenants/00000000-0000-7000-8000-0000000000f1", "", 200),
        (
            "POST /_/tenants/{id}/suspend",
            admin,
            "/_/tenants/00000000-0000-7000-8000-0000000000f1/suspend",
            "{}",
            200,
        ),
        (
            "POST /_/tenants/{id}/reinstate",
            admin,
            "/_/tenants/00000000-0000-7000-8000-0000000000f1/reinstate",
            "{}",
            200,
        ),
        (
            "GET /_/tenants/{id}/history",
            admin,
            "/_/tenants/00000000-0000-7000-8000-0000000000f1/history",
            "",
            200,
        ),
        // The three calls of a removal at each service that takes part, as the tenants service makes them.
        (
            "PUT /_/users/tenants/{tenant}/removal",
            tenants,
            "/_/users/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "DELETE /_/users/tenants/{tenant}/removal",
            tenants,
            "/_/users/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "PUT /_/users/tenants/{tenant}/removal",
            tenants,
            "/_/users/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "DELETE /_/users/tenants/{tenant}",
            tenants,
            "/_/users/tenants/00000000-0000-7000-8000-0000000000f1",
            "",
            204,
        ),
        (
            "PUT /_/auth/tenants/{tenant}/removal",
            tenants,
            "/_/auth/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "DELETE /_/auth/tenants/{tenant}/removal",
            tenants,
            "/_/auth/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "PUT /_/auth/tenants/{tenant}/removal",
            tenants,
            "/_/auth/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "DELETE /_/auth/tenants/{tenant}",
            tenants,
            "/_/auth/tenants/00000000-0000-7000-8000-0000000000f1",
            "",
            204,
        ),
        (
            "PUT /_/notifications/tenants/{tenant}/removal",
            tenants,
            "/_/notifications/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "DELETE /_/notifications/tenants/{tenant}/removal",
            tenants,
            "/_/notifications/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "PUT /_/notifications/tenants/{tenant}/removal",
            tenants,
            "/_/notifications/tenants/00000000-0000-7000-8000-0000000000f1/removal",
            "",
            204,
        ),
        (
            "DELETE /_/notifications/tenants/{tenant}",
            tenants,
            "/_/notifications/tenants/00000000-0000-7000-8000-0000000000f1",
            "",
            204,
        ),
        ("DELETE /_/tenants/{id}", admin, "/_/tenants/00000000-0000-7000-8000-0000000000f1", "", 202),
        (
            "GET /_/tenants/{id}/offboarding",
            admin,
            "/_/tenants/00000000-0000-7000-8000-0000000000f1/offboarding",
            "",
            200,
        ),
    ]
}

fn pictures(run: &mut Run, person: By<'_>, bot: By<'_>) {
    let target = "/image/library/7/1.gif";
    let good = |operation, by, target, body, status| Good { operation, by, target, body, status };
    let upload = good("PUT /image/library/{book}/{file}", bot, target, PICTURE, 204);
    run.send_as(&upload, "multipart/form-data; boundary=b");
    let read = run.send(&good("GET /image/library/{book}/{file}", person, target, "", 200));
    assert_eq!(read.body, b"GIF89a", "what was uploaded");
    run.send(&good("HEAD /image/library/{book}/{file}", person, target, "", 200));
    let list = run.send(&good("GET /image/library/{book}/@", person, "/image/library/7/@", "", 200));
    assert_eq!(list.text(), r#"["1.gif"]"#);
}

/// The options of a first half, and the id for the second.
fn begun(answer: &Answer, kind: &str) -> (Value, String) {
    let id = answer.all(&format!("x-madome-passkey-{kind}-id")).pop().expect("the id of the ceremony");
    (serde_json::from_str(&answer.text()).expect("options"), id)
}

fn passkeys(run: &mut Run, person: By<'_>) {
    let mut device = Authenticator::new("https://dev-domain.test");
    let target = "/auth/passkey/registration";
    let operation = "POST /auth/passkey/registration";
    let start = run.send(&Good { operation, by: person, target, body: "", status: 200 });
    let (options, id) = begun(&start, "registration");
    let body = device.create(&options).expect("a new passkey").to_string();
    let target = format!("/auth/passkey/registration?registration-id={id}");
    let operation = "PATCH /auth/passkey/registration";
    run.send(&Good { operation, by: person, target: &target, body: &body, status: 201 });
    let operation = "GET /auth/passkeys";
    run.send(&Good { operation, by: person, target: "/auth/passkeys", body: "", status: 200 });

    let target = format!("/auth/passkey/authentication?email={DEMO}");
    let operation = "POST /auth/passkey/authentication";
    let start = run.send(&Good { operation, by: By::Anyone, target: &target, body: "", status: 200 });
    let (options, id) = begun(&start, "authentication");
    let body = device.get(&options).to_string();
    let target = format!("/auth/passkey/authentication?authentication-id={id}&email={DEMO}");
    let operation = "PATCH /auth/passkey/authentication";
    run.send(&Good { operation, by: By::Anyone, target: &target, body: &body, status: 201 });

    let target = format!("/auth/passkeys/{}", device.id_text());
    let operation = "DELETE /auth/passkeys/{credential_id}";
    run.send(&Good { operation, by: person, target: &target, body: "", status: 204 });
}

/// A letter that its provider refuses is a dead letter, which an operator tries again.
fn letters(run: &mut Run) {
    let by = By::Service("admin");
    let good = |operation, target, body, status| Good { operation, by, target, body, status };
    run.send(&good("POST /_/notifications/messages", "/_/notifications/messages", LETTER, 202));
    let dead = good("GET /_/notifications/dead", "/_/notifications/dead", "", 200);
    let is_dead = |run: &mut Run| {
        eventually_some("the letter is dead", || {
            let letters: Vec<Value> = serde_json::from_str(&run.send(&dead).text()).ok()?;
            let refused = letters
                .iter()
                .find(|letter| letter.get("idempotencyKey").is_some_and(|key| key == "refused"))?;
            refused.get("id")?.as_str().map(str::to_owned)
        })
    };
    let id = is_dead(run);
    let target = format!("/_/notifications/dead/{id}/retry");
    run.send(&good("POST /_/notifications/dead/{id}/retry", &target, "", 204));
    let target = format!("/_/notifications/dead/{}", is_dead(run));
    run.send(&good("DELETE /_/notifications/dead/{id}", &target, "", 204));
    run.send(&good("GET /_/notifications/jobs", "/_/notifications/jobs", "", 200));
}

/// A service introduces itself in the body. Its own client library sends the request.
fn service_token(run: &mut Run) {
    let account = Account {
        name: "sync".parse().expect("a name"),
        key: run.edge.home().join("keys/sync.pem"),
        issuer: "https://api.dev-domain.test/auth".to_owned(),
        edge_url: format!("http://{}", run.edge.address("EDGE_SERVICE_ADDRESS")),
        tenant: None,
    };
    let tokens = Tokens::new(&account, Arc::new(SystemClock)).expect("a key");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // It takes no other status than 200 for a token.
    runtime.block_on(tokens.token()).expect("a token");
    let (operation, caller) = ("POST /_/auth/service-token", "service `sync`".to_owned());
    run.shown.push(Shown { operation, caller, status: 200 });
}

/// Check, refresh, sign-out; last, because they end the person's session. Before them, what a person has is removed.
fn sessions(run: &mut Run, person: &str) {
    let target = "/auth/token";
    for (operation, target, body) in [
        ("DELETE /users/@me/tastes", "/users/@me/tastes", SEVEN),
        ("DELETE /users/@me/histories", "/users/@me/histories", SEVEN),
    ] {
        run.send(&Good { operation, by: By::Person(person), target, body, status: 204 });
    }
    let operation = "GET /auth/token";
    run.send(&Good { operation, by: By::Person(person), target, body: "", status: 200 });
    let operation = "PATCH /auth/token";
    let answer = run.send(&Good { operation, by: By::Person(person), target, body: "", status: 201 });
    let operation = "DELETE /auth/token";
    run.send(&Good { operation, by: By::Person(&cookies(&answer)), target, body: "", status: 204 });
}
