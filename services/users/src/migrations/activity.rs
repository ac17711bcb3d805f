//! The legacy backend's tables of likes, histories, notifications and push tokens.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;

/// In a restored dump each table exists already. What such a one lacks are the defaults of two later steps of the legacy
/// backend, which were switched off: without them its own inserts of histories fail.
pub(super) struct Tables;

impl MigrationName for Tables {
    fn name(&self) -> &'static str {
        "0004_activity"
    }
}

/// The defaults, which only PostgreSQL can add to an existing column.
const DEFAULTS: &str = "
ALTER TABLE histories_book ALTER COLUMN page SET DEFAULT 1;
ALTER TABLE likes_book ALTER COLUMN is_dislike SET DEFAULT false;
ALTER TABLE likes_book_tag ALTER COLUMN is_dislike SET DEFAULT false;
";

/// A person's rows are found by the person, and those of a book or tag when it is renewed or announced.
const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS users_likes_book_user ON likes_book (user_id);
CREATE INDEX IF NOT EXISTS users_likes_book_book ON likes_book (book_id);
CREATE INDEX IF NOT EXISTS users_likes_book_tag_user ON likes_book_tag (user_id);
CREATE INDEX IF NOT EXISTS users_likes_book_tag_tag ON likes_book_tag (tag_name, tag_kind);
CREATE INDEX IF NOT EXISTS users_histories_book_user ON histories_book (user_id);
CREATE INDEX IF NOT EXISTS users_histories_book_book ON histories_book (book_id);
CREATE INDEX IF NOT EXISTS users_notifications_book_user ON notifications_book (user_id);
CREATE INDEX IF NOT EXISTS users_notifications_book_book ON notifications_book (book_id);
CREATE INDEX IF NOT EXISTS users_notifications_book_tag_book ON notifications_book_tag (notification_book_id);
CREATE INDEX IF NOT EXISTS users_fcm_token_user ON fcm_token (user_id);
";

#[async_trait::async_trait]
impl MigrationTrait for Tables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        let database = manager.get_connection();
        if manager.get_database_backend() == DbBackend::Postgres {
            database.execute_unprepared(DEFAULTS).await?;
        }
        database.execute_unprepared(INDEXES).await?;
        Ok(())
    }
}

fn tables() -> [TableCreateStatement; 6] {
    let uuid = |name: &'static str| ColumnDef::new(name).uuid().not_null().take();
    let integer = |name: &'static str| ColumnDef::new(name).integer().not_null().take();
    let text = |name: &'static str| ColumnDef::new(name).string().not_null().take();
    let moment = |name: &'static str| ColumnDef::new(name).timestamp_with_time_zone().not_null().take();
    let dislike = || ColumnDef::new("is_dislike").boolean().not_null().default(false).take();
    let table = |name: &'static str, key: &'static str| {
        Table::create().table(name).if_not_exists().col(uuid(key).primary_key()).take()
    };
    let likes_book = table("likes_book", "id")
        .col(integer("book_id"))
        .col(uuid("user_id"))
        .col(dislike())
        .col(moment("created_at"))
        .foreign_key(&mut belongs("likes_book", "user_id", "users", "fk-likes_book-user_id"))
        .take();
    let likes_book_tag = table("likes_book_tag", "id")
        .col(text("tag_kind"))
        .col(text("tag_name"))
        .col(uuid("user_id"))
        .col(dislike())
        .col(moment("created_at"))
        .foreign_key(&mut belongs("likes_book_tag", "user_id", "users", "fk-likes_book_tag-user_id"))
        .take();
    let histories_book = table("histories_book", "id")
        .col(integer("book_id"))
        .col(uuid("user_id"))
        .col(integer("page").default(1))
        .col(moment("created_at"))
        .col(moment("updated_at"))
        .foreign_key(&mut belongs("histories_book", "user_id", "users", "fk-histories_book-user_id"))
        .take();
    let notifications_book = table("notifications_book", "id")
        .col(integer("book_id"))
        .col(uuid("user_id"))
        .col(moment("created_at"))
        .take();
    let notifications_book_tag = table("notifications_book_tag", "id")
        .col(uuid("notification_book_id"))
        .col(text("tag_kind"))
        .col(text("tag_name"))
        .foreign_key(&mut belongs(
            "notifications_book_tag",
            "notification_book_id",
            "notifications_book",
            "fk-notifications_book_tag-notification_book_id",
        ))
        .take();
    let fcm_token = table("fcm_token", "udid")
        .col(uuid("user_id"))
        .col(text("fcm_token"))
        .col(moment("updated_at"))
        .take();
    [likes_book, likes_book_tag, histories_book, notifications_book, notifications_book_tag, fcm_token]
}

/// A row ends with the row that it belongs to.
fn belongs(
    table: &'static str,
    column: &'static str,
    to: &'static str,
    name: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, column)
        .to(to, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
