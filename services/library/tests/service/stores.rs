//! A database that the legacy backend filled.

use std::sync::Arc;

use identity::Role;
use kit::generation::Surface;
use kit::testing::{PrivatePostgres, TestHome};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

use crate::app::{TestApp, settings};

/// The legacy backend's tables with one of its books, as in a restored dump.
const LEGACY: &str = "
    CREATE TYPE book_tags_kind_enum AS ENUM
        ('artist', 'group', 'series', 'character', 'female', 'male', 'misc', 'tag');
    CREATE TABLE books (
        id integer PRIMARY KEY, title varchar NOT NULL, language varchar NOT NULL, page smallint NOT NULL,
        kind varchar NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
    );
    CREATE INDEX \"IDX_title\" ON books (title);
    CREATE TABLE book_tags (id serial PRIMARY KEY, kind book_tags_kind_enum NOT NULL, name varchar NOT NULL);
    CREATE TABLE book_tag_ref (
        id bigserial PRIMARY KEY, book_id integer REFERENCES books ON DELETE CASCADE,
        book_tag_id integer REFERENCES book_tags ON DELETE CASCADE
    );
    CREATE TABLE book_tsvector (id integer PRIMARY KEY, title_tsv tsvector NOT NULL, tag_tsv tsvector NOT NULL);
    CREATE INDEX \"IDX_title_tsv\" ON book_tsvector (title_tsv);
    CREATE INDEX \"IDX_tag_tsv\" ON book_tsvector (tag_tsv);
    CREATE TABLE migrations (id serial PRIMARY KEY, timestamp bigint NOT NULL, name varchar NOT NULL);
    INSERT INTO migrations (timestamp, name) VALUES (1, 'Init1');
";

/// A book as the legacy backend adds one, before and after the new service starts.
fn legacy_book(id: u16, title: &str, tag_row: u16) -> String {
    format!(
        "INSERT INTO books (id, title, language, page, kind, created_at, updated_at)
            VALUES ({id}, '{title}', 'english', 3, 'game_cg', '2022-01-31T17:12:00.5Z', '2022-02-01T00:00:00Z');
         INSERT INTO book_tags (id, kind, name) VALUES ({tag_row}, 'artist', 'some artist');
         INSERT INTO book_tag_ref (book_id, book_tag_id) VALUES ({id}, {tag_row});
         INSERT INTO book_tsvector VALUES
            ({id}, to_tsvector('simple', '{title}'), to_tsvector('simple', 'artist+some artist'));"
    )
}

#[tokio::test]
async fn a_restored_dump_serves_and_the_legacy_backend_goes_on_writing() {
    let postgres = PrivatePostgres::start();
    let url = postgres.url();
    let database = kit::store::open(Some(&url), std::path::Path::new("unused")).await.unwrap();
    database.execute_unprepared(LEGACY).await.unwrap();
    database.execute_unprepared(&legacy_book(500, "An older book", 900)).await.unwrap();
    // More books than one statement indexes, of which PostgreSQL's own words are others than a search asks for.
    for (id, title) in
        (490..).zip(["Sample 1.5", "foo/bar", "Volume 1-2", "mail@host.example", "/etc/passwd"])
    {
        database.execute_unprepared(&legacy_book(id, title, id)).await.unwrap();
    }
    let many = "INSERT INTO books SELECT n, 'Many/' || n, 'english', 3, 'manga', now(), now() FROM generate_series(1001, 1600) AS n;
                INSERT INTO book_tags (id, kind, name) VALUES (1000, 'series', '2 girls/3.5');
                INSERT INTO book_tag_ref (book_id, book_tag_id) VALUES (1600, 1000);
                INSERT INTO book_tsvector SELECT id, to_tsvector('simple', title), to_tsvector('simple', 'series+2 girls/3.5')
                    FROM books WHERE id > 1000";
    database.execute_unprepared(many).await.unwrap();
    let app = TestApp::on(Some(url), Surface::Older).await;
    for (kind, q, ids) in [
        ("title", "sample+1.5", &[490][..]),
        ("title", "foo+bar", &[491]),
        ("title", "bar", &[491]),
        ("title", "volume-1-2", &[492]),
        ("title", "example+mail", &[493]),
        ("title", "passwd", &[494]),
        ("title", "many+1001", &[1001]),
        ("title", "1600", &[1600]),
        ("tag", "series-2-girls", &[1600]),
        ("tag", "3+AND+5", &[1600]),
    ] {
        let found = app.get(&format!("/books/search?search-kind={kind}&q={q}")).await;
        assert_eq!(found.ids(), ids, "{kind}: {q}");
    }
    // The same tag in a second row: the legacy table has no unique constraint.
    database.execute_unprepared(&legacy_book(501, "One beside", 901)).await.unwrap();
    let read = app.get("/books/500").await.body;
    let expected = r#"{"id":500,"title":"An older book","kind":"game_cg","language":"english","page":3,"tags":[["artist","some artist"]],"created_at":"2022-01-31T17:12:00.500Z","updated_at":"2022-02-01T00:00:00.000Z"}"#;
    assert_eq!(read, expected);
    assert_eq!(app.get("/books/search?search-kind=title&q=older").await.ids(), [500]);
    assert_eq!(app.get("/books/search?search-kind=title&q=besi").await.ids(), [501]);
    let tagged = app.get("/books?tags[]=artist-some-artist&per-page=8").await.value();
    let ids: Vec<_> = tagged[0][1].as_array().unwrap().iter().map(|book| book["id"].clone()).collect();
    assert_eq!(ids, [501, 500, 494, 493, 492, 491, 490, 39], "books of all rows of the tag");
    let completed = app.get("/books/search/completion?search-kind=tag&q=some-arti").await.value();
    assert_eq!(completed.as_array().unwrap().len(), 1, "a tag with two rows is one: {completed}");
    // A book with more words than an ordinary index takes.
    let tags: Vec<_> =
        (0..200).map(|n| ["misc".to_owned(), format!("{n}w{}", "q".repeat(90 + n % 100))]).collect();
    let wide = serde_json::json!({
        "id": 502, "title": "Wide", "kind": "manga", "language": "l", "page": 1, "tags": tags, "created_at": 0,
    });
    let added = app.call(identity::Role::NORMAL, "POST /books", &wide.to_string()).await;
    assert_eq!(added.status, 201, "{added:?}");
}

#[tokio::test]
async fn of_two_releases_at_once_the_first_one_counts() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url()), Surface::Later).await;
    // Another release that is not committed yet.
    let first = app.database().await.begin().await.unwrap();
    let time = "2022-03-01T00:00:00Z";
    first
        .execute_unprepared(&format!("UPDATE books SET published_at = '{time}' WHERE id = 7"))
        .await
        .unwrap();
    let waits =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%books%'";
    let (second, ()) = tokio::join!(app.call(Role::BOT, "PATCH /books/7/release", ""), async {
        harness::eventually_async("the second release waits", async || postgres.sql(waits) == "1").await;
        first.commit().await.unwrap();
    });
    assert_eq!(second.status, 204);
    let read = app.get("/books/7").await.value();
    assert_eq!(read["published_at"], "2022-03-01T00:00:00.000Z");
    assert_eq!(app.waiting().await, 0, "the first one told people");
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let home = TestHome::new();
    let clock = clock::ManualClock::at(kit::testing::START);
    for _ in 0..2 {
        let settings = settings(home.home(), None, Surface::Older);
        let started = library::router(settings, Arc::new(clock.clone()), &kit::work::Work::default()).await;
        assert!(started.is_ok(), "{:?}", started.err());
    }
}
