//! The rows are those of the legacy backend: a restored dump serves, and what is written has its ids.

use identity::Role;
use kit::testing::{PrivatePostgres, TENANT};
use sea_orm::ConnectionTrait as _;

use crate::app::TestApp;

/// The legacy backend's tables of a restored dump, without the two defaults, with rows from before it (random ids).
const DUMP: &str = r#"
CREATE TABLE users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY, name varchar NOT NULL CONSTRAINT users_name_key UNIQUE,
    email varchar NOT NULL CONSTRAINT users_email_key UNIQUE, role smallint NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE likes_book (
    id uuid PRIMARY KEY, book_id integer NOT NULL, user_id uuid NOT NULL, is_dislike boolean NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT "fk-likes_book-user_id" FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE likes_book_tag (
    id uuid PRIMARY KEY, tag_kind varchar NOT NULL, tag_name varchar NOT NULL, user_id uuid NOT NULL,
    is_dislike boolean NOT NULL, created_at timestamptz NOT NULL,
    CONSTRAINT "fk-likes_book_tag-user_id" FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE histories_book (
    id uuid PRIMARY KEY, book_id integer NOT NULL, user_id uuid NOT NULL, page integer NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    CONSTRAINT "fk-histories_book-user_id" FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE notifications_book (
    id uuid PRIMARY KEY, book_id integer NOT NULL, user_id uuid NOT NULL, created_at timestamptz NOT NULL
);
CREATE TABLE notifications_book_tag (
    id uuid PRIMARY KEY, notification_book_id uuid NOT NULL, tag_kind varchar NOT NULL, tag_name varchar NOT NULL,
    CONSTRAINT "fk-notifications_book_tag-notification_book_id" FOREIGN KEY (notification_book_id)
        REFERENCES notifications_book (id) ON DELETE CASCADE
);
CREATE TABLE fcm_token (
    udid uuid PRIMARY KEY, user_id uuid NOT NULL, fcm_token varchar NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint NOT NULL);
INSERT INTO users VALUES
    ('00000000-0000-7000-8000-0000000000c0', 'Old', 'old@example.com', 0, '2022-01-31 17:12:00+00', '2022-01-31 17:12:00+00');
INSERT INTO likes_book VALUES
    ('11111111-1111-4111-8111-111111111111', 7, '00000000-0000-7000-8000-0000000000c0', false, '2022-01-31 17:12:00.5+00');
INSERT INTO histories_book VALUES
    ('22222222-2222-4222-8222-222222222222', 7, '00000000-0000-7000-8000-0000000000c0', 1, '2022-01-31 17:12:00+00', '2022-01-31 17:12:00+00');
"#;

const OLD: &str = "00000000-0000-7000-8000-0000000000c0";

/// How the legacy backend adds a history, which has no page.
const LEGACY_HISTORY: &str = "INSERT INTO histories_book (id, book_id, user_id, created_at, updated_at) VALUES \
    ('33333333-3333-4333-8333-333333333333', 9, '00000000-0000-7000-8000-0000000000c0', now(), now())";

#[tokio::test]
async fn a_restored_dump_serves_and_goes_on_with_its_own_ids() {
    let postgres = PrivatePostgres::start();
    let unused = std::path::Path::new("unused");
    let database = kit::store::open(Some(&postgres.url()), unused).await.unwrap();
    database.execute_unprepared(DUMP).await.unwrap();
    let refused = database.execute_unprepared(LEGACY_HISTORY).await;
    assert!(refused.is_err(), "without its default the page is missing");
    let app = TestApp::older(Some(postgres.url())).await;
    app.sql(&format!("UPDATE users SET tenant_id = '{TENANT}'")).await;
    app.sql(LEGACY_HISTORY).await;

    let old = app.as_person(OLD, Role::NORMAL);
    let likes = app.call("GET /users/@me/likes", &old, "").await;
    assert!(likes.body.contains(r#""book_id":7,"created_at":"2022-01-31T17:12:00.500Z""#), "{likes:?}");
    // The row from before has another id than a new like would have, and is the same like.
    let seven = r#"{"kind":"book","book_id":7}"#;
    assert_eq!(app.call("POST /users/@me/likes", &old, seven).await.status, 409);
    assert_eq!(app.call("DELETE /users/@me/likes", &old, seven).await.status, 204);
    assert_eq!(app.call("POST /users/@me/likes", &old, seven).await.status, 201);
    let ids = async |table: &str| {
        let row = format!("SELECT CAST(id AS text) AS id FROM {table} WHERE book_id = 7");
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, row);
        let rows = database.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get::<String>("", "id").unwrap()).collect::<Vec<_>>()
    };
    // uuid5(NAMESPACE_OID, "7" + the person's id)
    assert_eq!(ids("likes_book").await, ["c68264b0-0bfb-5f3d-ac92-04e889b6ec21"]);
    let read = r#"{"kind":"book","book_id":7,"page":3}"#;
    assert_eq!(app.call("POST /users/@me/histories", &old, read).await.status, 201);
    assert_eq!(ids("histories_book").await, ["22222222-2222-4222-8222-222222222222"]);

    // Everything of a person ends with the person.
    app.sql(&format!("DELETE FROM users WHERE id = '{OLD}'")).await;
    assert_eq!((ids("likes_book").await.len(), ids("histories_book").await.len()), (0, 0));
}
