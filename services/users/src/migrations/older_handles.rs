//! The handles of a restored dump whose table of people has them: people keep theirs.
//!
//! [`HandleAndTenant`](super::HandleAndTenant) adds the column, and an added column must not exist. So one step before
//! it sets the handles aside, and one after it puts them back.

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use sea_orm_migration::prelude::*;

use super::normal_forms;

/// Where the handles are in between.
const ASIDE: &str = "users_older_handles";

/// Sets the handles aside, with their column and its indexes. Where this service has added the column, nothing happens.
pub(super) struct SetAside;

impl MigrationName for SetAside {
    fn name(&self) -> &'static str {
        "0000_older_handles"
    }
}

/// SQLite keeps an index of a column from being dropped with it.
const INDEXES: &str = "
    SELECT DISTINCT list.name FROM pragma_index_list('users') AS list JOIN pragma_index_info(list.name) AS info
    WHERE info.name = 'handle' AND list.origin = 'c'";

#[async_trait::async_trait]
impl MigrationTrait for SetAside {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_table("users").await? || !manager.has_column("users", "handle").await? {
            return Ok(());
        }
        let database = manager.get_connection();
        let own = Query::select()
            .column("version")
            .from("users_migrations")
            .and_where(Expr::col("version").eq(super::HandleAndTenant.name()))
            .to_owned();
        if database.query_one(&own).await?.is_some() {
            return Ok(());
        }
        let copy = format!("CREATE TABLE {ASIDE} AS SELECT id, handle FROM users WHERE handle IS NOT NULL");
        database.execute_unprepared(&copy).await?;
        for column in ["id", "handle"] {
            let name = format!("{ASIDE}_{column}");
            manager.create_index(Index::create().name(name).table(ASIDE).col(column).to_owned()).await?;
        }
        if manager.get_database_backend() == DbBackend::Sqlite {
            let indexes = Statement::from_string(DbBackend::Sqlite, INDEXES);
            for row in database.query_all_raw(indexes).await? {
                let name: String = row.try_get("", "name")?;
                manager.drop_index(Index::drop().name(name).to_owned()).await?;
            }
        }
        manager.alter_table(Table::alter().table("users").drop_column("handle").to_owned()).await
    }
}

/// A person who had no handle gets their name.
const NAMES: &str = "
    UPDATE users SET handle = name
    WHERE handle IS NULL AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.handle = users.name)";

/// Puts the handles back, in the stored form of new ones. A person whose name is the handle of another one is given a handle
/// at the first read, as a person whom the legacy backend adds.
pub(super) struct PutBack;

impl MigrationName for PutBack {
    fn name(&self) -> &'static str {
        "0003_older_handles_back"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PutBack {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_table(ASIDE).await? {
            return Ok(());
        }
        let database = manager.get_connection();
        // All at once: a name that an earlier step made a handle can be the handle of another person. Two people with one
        // handle cannot both keep it.
        let back = format!(
            "UPDATE users SET handle = (
                 SELECT handle FROM {ASIDE} AS own WHERE own.id = users.id AND NOT EXISTS (
                     SELECT 1 FROM {ASIDE} AS other WHERE other.handle = own.handle AND other.id < own.id))"
        );
        database.execute_unprepared("UPDATE users SET handle = NULL").await?;
        database.execute_unprepared(&back).await?;
        normal_forms(manager, "handle").await?;
        database.execute_unprepared(NAMES).await?;
        manager.drop_table(Table::drop().table(ASIDE).to_owned()).await
    }
}
