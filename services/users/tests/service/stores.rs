//! The same behaviour on SQLite and on PostgreSQL.

use identity::Role;
use kit::testing::PrivatePostgres;
use sea_orm::ConnectionTrait as _;

use crate::app::{Answer, BOT, TestApp, settings};

/// The legacy backend's table with one of its people, as in a restored dump.
const LEGACY: &str = "
    CREATE TABLE users (
        id uuid PRIMARY KEY, name varchar NOT NULL UNIQUE, email varchar NOT NULL UNIQUE, role smallint NOT NULL,
        created_at timestamp with time zone NOT NULL, updated_at timestamp with time zone NOT NULL
    );
    CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint NOT NULL);
    INSERT INTO seaql_migrations VALUES ('m20220110_000001_create_users_table', 1);
";

async fn an_account_from_creation_to_change(database_url: Option<String>) {
    let app = TestApp::on(database_url).await;
    let bot = app.as_person(BOT, Role::BOT);
    let auth = app.edge.service("auth", "users");
    app.clock.advance_seconds(1);
    let new = r#"{"name":"New","handle":"new","email":"new@example.com"}"#;
    assert_eq!(app.call("POST /users", &bot, new).await, Answer::text(201, ""));
    assert_eq!(app.call("POST /users", &bot, new).await, Answer::text(409, "Already exist user"));
    let found = app.call("GET /_/users/new@example.com", &auth, "").await;
    let found: serde_json::Value = serde_json::from_str(&found.body).unwrap();
    let person = app.as_person(found["id"].as_str().unwrap(), Role::NORMAL);
    app.clock.advance_seconds(1);
    assert_eq!(app.call("PATCH /users/@me", &person, r#"{"handle":"demo"}"#).await.status, 409);
    assert_eq!(app.call("PATCH /users/@me", &person, r#"{"handle":"newer"}"#).await.status, 204);
    let me: serde_json::Value =
        serde_json::from_str(&app.call("GET /users/@me", &person, "").await.body).unwrap();
    assert_eq!(
        me,
        serde_json::json!({
            "id": found["id"], "name": "New", "handle": "newer", "email": "new@example.com", "role": 0,
            "created_at": "2026-11-20T00:00:01.000Z", "updated_at": "2026-11-20T00:00:02.000Z",
        })
    );
    assert_eq!(app.call("GET /readyz", "", "").await.status, 200);
}

async fn a_legacy_table_is_taken_over(database_url: Option<&str>, file: &std::path::Path) {
    let database = kit::store::open(database_url, file).await.unwrap();
    database.execute_unprepared(LEGACY).await.unwrap();
    let sqlite = database_url.is_none();
    let id =
        if sqlite { "X'000000000000700080000000000000c0'" } else { "'00000000-0000-7000-8000-0000000000c0'" };
    let row = format!(
        "INSERT INTO users VALUES ({id}, 'Old', 'old@example.com', 1, '2022-01-31 17:12:00.5+00:00', \
         '2022-01-31 17:12:00+00:00')"
    );
    database.execute_unprepared(&row).await.unwrap();
    let other = |number: u8, name: &str| {
        let id = if sqlite {
            format!("X'000000000000700080000000000000d{number}'")
        } else {
            format!("'00000000-0000-7000-8000-0000000000d{number}'")
        };
        format!(
            "INSERT INTO users VALUES ({id}, '{name}', 'd{number}@x', 0, '2022-01-31 17:12:00+00:00', '2022-01-31 17:12:00+00:00')"
        )
    };
    // A name that is not in its form, one whose form is taken, and one without a valid form.
    for (number, name) in [(1, "Zoe\u{308}"), (2, "Ann "), (3, "Ann"), (4, "De\u{202e}mo")] {
        database.execute_unprepared(&other(number, name)).await.unwrap();
    }
    users::migrations::run(&database).await.unwrap();
    users::migrations::run(&database).await.expect("a second start changes nothing");
    let accounts = users::account::Accounts::new(database, std::sync::Arc::new(clock::SystemClock));
    let platform = kit::Reach::from(&kit::testing::platform_service("auth"));
    let key = users::account::Key::Email("old@example.com".to_owned());
    let old = accounts.look_up(platform, &key).await.unwrap();
    assert_eq!((old.profile.handle.as_str(), old.tenant, old.role), ("Old", None, Role::DEVELOPER));
    assert_eq!(old.created_at.millisecond(), 500);
    for (number, expected) in [(1, "Zo\u{eb}"), (2, "Ann "), (3, "Ann"), (4, "De\u{202e}mo")] {
        let key = users::account::Key::Email(format!("d{number}@x"));
        let profile = accounts.look_up(platform, &key).await.unwrap().profile;
        assert_eq!((profile.name.as_str(), profile.handle.as_str()), (expected, expected));
    }
}

/// A generation after the legacy backend has handles of its own.
async fn the_handles_of_a_dump_are_kept(database_url: Option<&str>, file: &std::path::Path) {
    let database = kit::store::open(database_url, file).await.unwrap();
    database
        .execute_unprepared(
            "CREATE TABLE users (
                 id uuid PRIMARY KEY, name varchar NOT NULL UNIQUE, handle varchar, email varchar NOT NULL UNIQUE,
                 role smallint NOT NULL, created_at timestamp with time zone NOT NULL, updated_at timestamp with time zone NOT NULL);
             CREATE UNIQUE INDEX users_handle_key ON users (handle);",
        )
        .await
        .unwrap();
    // A handle that is another person's name, one that is not in its form, and a person without one whose name is taken.
    let people =
        [("Ann", Some("ben"), "ben"), ("ben", None, "ben-"), ("Zoe", Some("zoe\u{308}"), "zo\u{eb}")];
    for (number, (name, handle, _)) in (1..).zip(people) {
        let id = format!("00000000-0000-7000-8000-0000000000d{number}");
        let id =
            if database_url.is_none() { format!("X'{}'", id.replace('-', "")) } else { format!("'{id}'") };
        let handle = handle.map_or("NULL".to_owned(), |handle| format!("'{handle}'"));
        let row = format!(
            "INSERT INTO users VALUES ({id}, '{name}', {handle}, '{name}@x', 0, '2022-01-31 17:12:00+00:00', \
             '2022-01-31 17:12:00+00:00')"
        );
        database.execute_unprepared(&row).await.unwrap();
    }
    users::migrations::run(&database).await.unwrap();
    users::migrations::run(&database).await.expect("a second start changes nothing");
    let accounts = users::account::Accounts::new(database.clone(), std::sync::Arc::new(clock::SystemClock));
    let platform = kit::Reach::from(&kit::testing::platform_service("auth"));
    for (name, _, expected) in people {
        let key = users::account::Key::Email(format!("{name}@x"));
        let profile = accounts.look_up(platform, &key).await.unwrap().profile;
        assert_eq!(profile.name, name);
        assert!(profile.handle.starts_with(expected), "{name}: {}", profile.handle);
    }
    let twice = "UPDATE users SET handle = 'ben' WHERE name = 'Zoe'";
    assert!(database.execute_unprepared(twice).await.is_err(), "a handle is unique");
    assert!(
        database.execute_unprepared("SELECT 1 FROM users_older_handles").await.is_err(),
        "nothing is left"
    );
}

#[tokio::test]
async fn sqlite() {
    an_account_from_creation_to_change(None).await;
    let directory = tempfile::tempdir().unwrap();
    the_handles_of_a_dump_are_kept(None, &directory.path().join("handles.sqlite")).await;
    a_legacy_table_is_taken_over(None, &directory.path().join("legacy.sqlite")).await;
}

#[tokio::test]
async fn postgresql() {
    let postgres = PrivatePostgres::start();
    // The legacy backend's database first: the new service starts on it.
    a_legacy_table_is_taken_over(Some(&postgres.url()), std::path::Path::new("unused")).await;
    an_account_from_creation_to_change(Some(postgres.url())).await;
    postgres.sql("CREATE DATABASE handles");
    let url = format!("postgres://postgres@127.0.0.1:{}/handles", postgres.port());
    the_handles_of_a_dump_are_kept(Some(&url), std::path::Path::new("unused")).await;
}

#[tokio::test]
async fn a_second_start_keeps_what_people_changed() {
    let home = kit::testing::TestHome::new();
    let clock = clock::ManualClock::at(kit::testing::START);
    let work = kit::work::Work::default();
    let start = || users::router(settings(home.home(), None), std::sync::Arc::new(clock.clone()), &work);
    let edge = home.edge(&clock);
    let demo =
        edge.person(&kit::testing::person(crate::app::DEMO, crate::app::SESSION, Role::NORMAL), "users");
    let call = async |method: &str, body: &str| {
        use tower::ServiceExt as _;
        let request = http::Request::builder()
            .method(method)
            .uri("/users/@me")
            .header("x-madome-identity", &demo)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_owned()))
            .unwrap();
        let response = start().await.unwrap().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
    };
    assert!(call("PATCH", r#"{"name":"Changed"}"#).await.is_empty());
    let me = String::from_utf8(call("GET", "").await.to_vec()).unwrap();
    assert!(me.contains(r#""name":"Changed""#), "{me}");
}
