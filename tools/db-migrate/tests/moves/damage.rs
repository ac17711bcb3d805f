//! Each damage of the target is found, and named.

use crate::stage::Stage;

/// The damage, as SQL on the target, and the differences that have to be found.
const DAMAGES: &[(&str, &[&str])] = &[
    (
        "UPDATE users SET role = 2 WHERE email = 'p7@example.com'",
        &["row public.users (00000000-0000-7000-8000-000000000007)"],
    ),
    (
        "DELETE FROM books WHERE id = 13",
        &[
            "row count public.book_tag_ref",
            "row public.book_tag_ref (13)",
            "row count public.books",
            "row public.books (13)",
        ],
    ),
    (
        "INSERT INTO users VALUES ('00000000-0000-7000-8000-0000000fffff', 'New', 'new@x', 0, now(), now())",
        &["row count public.users", "row public.users (00000000-0000-7000-8000-0000000fffff)"],
    ),
    ("DROP INDEX \"IDX_books_kind\"", &["index public.\"IDX_books_kind\""]),
    ("ALTER TABLE histories_book ALTER page SET DEFAULT 0", &["column public.histories_book.page"]),
    ("SELECT setval('book_tags_id_seq', 19)", &["sequence value public.book_tags_id_seq"]),
    ("SELECT setval('book_tags_id_seq', 20, false)", &["sequence value public.book_tags_id_seq"]),
    ("ALTER SEQUENCE book_tag_ref_id_seq INCREMENT 2", &["sequence public.book_tag_ref_id_seq"]),
    (
        "ALTER TABLE likes_book DROP CONSTRAINT \"fk-likes_book-user_id\"",
        &["constraint public.likes_book.\"fk-likes_book-user_id\""],
    ),
    ("ALTER TABLE users ALTER role TYPE int4", &["column public.users.role"]),
    ("ALTER TABLE users ALTER name DROP NOT NULL", &["column public.users.name"]),
    ("ALTER TYPE book_tags_kind_enum ADD VALUE 'other'", &["type public.book_tags_kind_enum"]),
    ("ALTER TABLE visits ENABLE ROW LEVEL SECURITY", &["table public.visits"]),
    ("CREATE FUNCTION public.later() RETURNS int LANGUAGE sql AS 'SELECT 1'", &["function public.later()"]),
    // Of a table without a primary key: null is not the empty text, and of two equal rows one may be missing.
    ("UPDATE visits SET path = '' WHERE path IS NULL", &["row public.visits", "row public.visits"]),
    (
        "DELETE FROM visits WHERE ctid = (SELECT min(ctid) FROM visits WHERE path = '/books/1' AND seen = 1)",
        &["row count public.visits", "row public.visits"],
    ),
];

#[test]
fn each_damage_is_found_and_named() {
    let stage = Stage::moved();
    let equal = stage.run(&["verify"]);
    assert_eq!((equal.code, equal.differences().len()), (Some(0), 0), "{equal:?}");
    assert_eq!(equal.report["parity"]["rows"], 3000 + 500 + 1 + 200 + 20 + 200 + 200 + 1 + 52);
    for (damage, expected) in DAMAGES {
        // A copy of the moved database takes the damage, so that each is found alone.
        stage.target.sql("CREATE DATABASE damaged TEMPLATE postgres");
        let url = format!("postgres://postgres@127.0.0.1:{}/damaged", stage.target.port());
        stage.target.sql_in("damaged", damage);
        let mut command = stage.command(&["verify"]);
        command.env("DB_MIGRATE_TARGET", url);
        let found = crate::stage::ended(command.spawn().unwrap());
        let differences = found.differences();
        assert_eq!(found.code, Some(1), "{damage}: {found:?}");
        assert_eq!(differences.len(), expected.len(), "{damage}: {differences:?}");
        // Rows and positions of sequences are content, everything else is the schema.
        let is_content = |one: &&str| one.starts_with("row ") || one.starts_with("sequence value ");
        let (source, target) =
            (&found.report["parity"]["source_schema"], &found.report["parity"]["target_schema"]);
        assert_eq!(source == target, expected.iter().all(is_content), "{damage}: {found:?}");
        for (difference, expected) in differences.iter().zip(*expected) {
            // Rows without a key are named by a digest.
            let is_it = if expected.ends_with("row public.visits") {
                difference.starts_with(expected)
            } else {
                difference == expected
            };
            assert!(is_it, "{damage}: {differences:?}");
        }
        stage.target.sql("DROP DATABASE damaged");
    }
}

#[test]
fn a_restore_that_fails_leaves_the_target_empty_and_releases_the_source() {
    let stage = Stage::set();
    stage.target.sql(
        "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no index today'; END $$;
         CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.refuse()",
    );
    let failed = stage.run(&["run", "--hold"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(
        failed.log.contains("pg_restore: exit status") && failed.log.contains("no index today"),
        "{failed:?}"
    );
    assert!(stage.source_takes_writes());
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(stage.target.sql(tables), "0");
    stage.target.sql("DROP EVENT TRIGGER refuse; DROP FUNCTION refuse");
    // Nothing is left of the first try, so there is nothing to roll back.
    let moved = stage.run(&["run"]);
    assert_eq!((moved.code, moved.differences().len()), (Some(0), 0), "{moved:?}");
}

#[test]
fn a_restore_that_differs_is_a_failed_move() {
    let stage = Stage::set();
    // The target's own default makes each restored table different, as a wrong server setting would.
    stage.target.sql(
        "CREATE FUNCTION public.spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM pg_class WHERE relname = 'IDX_books_kind') THEN
                EXECUTE 'UPDATE public.books SET page = 4 WHERE id = 1';
            END IF; END $$;
         CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.spoil()",
    );
    let moved = stage.run(&["run", "--hold"]);
    assert_eq!(moved.code, Some(1), "{moved:?}");
    let differences = moved.differences();
    assert!(differences.contains(&"row public.books (1)".to_owned()), "{differences:?}");
    assert_eq!(moved.report["source_is_read_only"], false, "`--hold` is for a good move only");
    assert!(stage.source_takes_writes());
}
