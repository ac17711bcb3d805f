//! The tables of this service. The first step is the legacy backend's own tables, so that a restored dump works
//! unchanged. The additions follow.
//!
//! `library_migrations` records the applied steps: the legacy backend keeps its own list in `migrations`, and two
//! services can share one database.

use kit::store::StoreError;
use sea_orm::{DatabaseConnection, DbBackend, DynIden};
use sea_orm_migration::prelude::*;

/// Brings the tables up to date.
///
/// # Errors
/// [`StoreError::Migration`].
pub async fn run(database: &DatabaseConnection) -> Result<(), StoreError> {
    kit::migrating::up::<Steps>(database).await
}

struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(LegacyTables),
            Box::new(ReleasesAndRenewals),
            Box::new(events::tables::Outbox),
            Box::new(WordsAnew),
            Box::new(events::tables::Unfinished),
            Box::new(RenewalsUnderWay),
            Box::new(events::tables::Handled),
            Box::new(events::tables::Selected),
            Box::new(WordsOfTags),
        ]
    }

    fn migration_table_name() -> DynIden {
        "library_migrations".into_iden()
    }
}

/// The legacy backend's tables in PostgreSQL. In a restored dump each exists already.
///
/// Its ordinary indexes of the word vectors go: they find no word, and they refuse a book whose words take more than
/// about 2,700 bytes.
const POSTGRES: &str = r#"
DO $$ BEGIN
    IF to_regtype('book_tags_kind_enum') IS NULL THEN
        CREATE TYPE book_tags_kind_enum AS ENUM
            ('artist', 'group', 'series', 'character', 'female', 'male', 'misc', 'tag');
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS books (
    id integer PRIMARY KEY, title varchar NOT NULL, language varchar NOT NULL, page smallint NOT NULL,
    kind varchar NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS book_tags (
    id serial PRIMARY KEY, kind book_tags_kind_enum NOT NULL, name varchar NOT NULL
);
CREATE TABLE IF NOT EXISTS book_tag_ref (
    id bigserial PRIMARY KEY, book_id integer NOT NULL REFERENCES books (id) ON DELETE CASCADE,
    book_tag_id integer NOT NULL REFERENCES book_tags (id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS book_tsvector (
    id integer PRIMARY KEY, title_tsv tsvector NOT NULL, tag_tsv tsvector NOT NULL
);
DO $$ DECLARE found record; BEGIN
    FOR found IN
        SELECT indexname FROM pg_indexes
        WHERE schemaname = current_schema() AND tablename = 'book_tsvector' AND indexdef ~ 'USING btree \((title|tag)_tsv\)'
    LOOP
        EXECUTE format('DROP INDEX %I', found.indexname);
    END LOOP;
END $$;
CREATE INDEX IF NOT EXISTS library_title_words ON book_tsvector USING gin (title_tsv);
CREATE INDEX IF NOT EXISTS library_tag_words ON book_tsvector USING gin (tag_tsv);
"#;

/// The same tables in SQLite, with FTS5 for the words.
const SQLITE: &str = r#"
CREATE TABLE IF NOT EXISTS books (
    id integer PRIMARY KEY, title varchar NOT NULL, language varchar NOT NULL, page smallint NOT NULL,
    kind varchar NOT NULL, created_at timestamp_with_timezone_text NOT NULL,
    updated_at timestamp_with_timezone_text NOT NULL
);
CREATE TABLE IF NOT EXISTS book_tags (id integer PRIMARY KEY AUTOINCREMENT, kind varchar NOT NULL, name varchar NOT NULL);
CREATE TABLE IF NOT EXISTS book_tag_ref (
    id integer PRIMARY KEY AUTOINCREMENT, book_id integer NOT NULL REFERENCES books (id) ON DELETE CASCADE,
    book_tag_id integer NOT NULL REFERENCES book_tags (id) ON DELETE CASCADE
);
CREATE VIRTUAL TABLE IF NOT EXISTS book_words USING fts5 (title, tags, tokenize = "unicode61 remove_diacritics 0");
"#;

/// Indexes that both databases have. A restored dump may have equal ones under other names; these cost little.
const INDEXES: &str = r#"
CREATE INDEX IF NOT EXISTS library_books_kind ON books (kind);
CREATE INDEX IF NOT EXISTS library_tags_name ON book_tags (name);
CREATE INDEX IF NOT EXISTS library_refs_book ON book_tag_ref (book_id);
CREATE INDEX IF NOT EXISTS library_refs_tag ON book_tag_ref (book_tag_id);
"#;

struct LegacyTables;

impl MigrationName for LegacyTables {
    fn name(&self) -> &'static str {
        "0001_legacy_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LegacyTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let postgres = manager.get_database_backend() == DbBackend::Postgres;
        let tables = if postgres { POSTGRES } else { SQLITE };
        manager.get_connection().execute_unprepared(tables).await?;
        manager.get_connection().execute_unprepared(INDEXES).await?;
        Ok(())
    }
}

/// Adds the times of release and check, and the book that replaces a book. The legacy backend's own inserts, which
/// name their columns, go on working.
struct ReleasesAndRenewals;

impl MigrationName for ReleasesAndRenewals {
    fn name(&self) -> &'static str {
        "0002_releases_and_renewals"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ReleasesAndRenewals {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column at a time: SQLite cannot add two.
        for column in [
            ColumnDef::new("published_at").timestamp_with_time_zone().take(),
            ColumnDef::new("checked_at").timestamp_with_time_zone().take(),
            ColumnDef::new("renewed_as").integer().take(),
        ] {
            manager.alter_table(Table::alter().table("books").add_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// Indexes the books of a restored dump anew. The legacy backend's words are those of `to_tsvector`, which keeps `1.5`,
/// `foo/bar` and `-2` as one word each; a search asks for runs of letters and digits ([`crate::book::words`]) and would
/// not find them.
///
/// SQLite has no books of the legacy backend.
struct WordsAnew;

/// How many books are indexed with one statement. A book with many long tags has 40 KB of words.
const BOOKS_AT_ONCE: usize = 250;

impl MigrationName for WordsAnew {
    fn name(&self) -> &'static str {
        "0004_words_anew"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for WordsAnew {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            crate::books::index_anew(manager.get_connection(), BOOKS_AT_ONCE).await?;
        }
        Ok(())
    }
}

/// Adds the book that is about to replace a book. What the users service has not heard yet of renewals from before is under way.
struct RenewalsUnderWay;

/// Few books are in a renewal, and their list is read without reading all books.
const UNDER_WAY: &str = "
CREATE INDEX books_renewing ON books (id) WHERE renewing_as IS NOT NULL;
UPDATE books SET renewing_as = renewed_as WHERE renewed_as IS NOT NULL AND EXISTS (
    SELECT 1 FROM outbox_events
    WHERE kind = 'library.book.renewed' AND processed_at IS NULL AND failed_at IS NULL
        AND idempotency_key LIKE 'library.book.renewed:' || books.id || ':' || books.renewed_as || ':%'
);
";

impl MigrationName for RenewalsUnderWay {
    fn name(&self) -> &'static str {
        "0006_renewals_under_way"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for RenewalsUnderWay {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("renewing_as").integer().take();
        manager.alter_table(Table::alter().table("books").add_column(column).to_owned()).await?;
        manager.get_connection().execute_unprepared(UNDER_WAY).await?;
        Ok(())
    }
}

/// Adds the words of a tag, in which a search for tags looks. The databases themselves would fold the case of some letters only
/// and split at some signs only. The legacy backend's own inserts, which name their columns, go on working.
struct WordsOfTags;

/// How many tags get their words with one statement.
const TAGS_AT_ONCE: u64 = 1_000;

impl MigrationName for WordsOfTags {
    fn name(&self) -> &'static str {
        "0007_words_of_tags"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for WordsOfTags {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("words").text().take();
        manager.alter_table(Table::alter().table("book_tags").add_column(column).to_owned()).await?;
        crate::books::words_anew(manager.get_connection(), TAGS_AT_ONCE).await
    }
}
