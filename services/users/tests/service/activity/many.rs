//! A list has its answer although the books of its tags do not fit one answer of the library.

use crate::app::{DEMO, TestApp};
use crate::older::uuid;

/// A hundred books of each of ten tags, with titles of ten KiB: ten MiB together, where an answer has eight.
const BOOKS: &str = "
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO books (id, title, language, page, kind, created_at, updated_at)
SELECT 1000 + i, hex(zeroblob(5120)), 'english', 4, 'manga', '2022-01-31 17:12:00+00:00', '2022-01-31 17:12:00+00:00' FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
INSERT INTO book_tags (id, kind, name) SELECT 1000 + i, 'misc', 'tag ' || i FROM n;
INSERT INTO book_tag_ref (book_id, book_tag_id)
SELECT books.id, book_tags.id FROM books, book_tags WHERE books.id > 1000 AND book_tags.id = 1001 + books.id % 10;
";

#[tokio::test]
async fn ten_tags_have_a_hundred_large_books_each() {
    let app = TestApp::new().await;
    let library = kit::store::open(None, &app.home.home().database("library")).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&library, BOOKS).await.unwrap();
    let likes = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
         INSERT INTO likes_book_tag (id, tag_kind, tag_name, user_id, is_dislike, created_at)
         SELECT randomblob(16), 'misc', 'tag ' || i, {}, false, '2022-01-31 17:12:00+00:00' FROM n",
        uuid(true, DEMO)
    );
    app.sql(&likes).await;
    let line = "GET /users/@me/tastes?books-per-page=100";
    let answer = app.call(line, &app.as_demo(), "").await;
    assert_eq!(answer.status, 200, "{:.200}", answer.body);
    let count = |what: &str| answer.body.matches(what).count();
    assert_eq!((count(r#""tag_kind":"#), count(r#""published_at":"#)), (10, 1_000));
}
