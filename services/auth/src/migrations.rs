//! The tables of this service. `auth_migrations` records the applied steps, because services can share one
//! database.

use kit::store::StoreError;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DynIden};
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
            Box::new(OlderCodes),
            Box::new(CodesAndSessions),
            Box::new(ClientAssertions),
            Box::new(SessionFamilies),
            Box::new(CodePauses),
            Box::new(Passkeys),
            Box::new(Tenants),
            Box::new(PasskeysOfAll),
        ]
    }

    fn migration_table_name() -> DynIden {
        "auth_migrations".into_iden()
    }
}

/// Sets the codes of another generation aside. A restored dump may have them in a table of the same name, with other
/// columns; they are good for minutes and their people have a new one mailed. Where this service has its own table,
/// nothing happens.
struct OlderCodes;

impl MigrationName for OlderCodes {
    fn name(&self) -> &'static str {
        "0000_older_codes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OlderCodes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !manager.has_table("auth_codes").await? || manager.has_column("auth_codes", "slot").await? {
            return Ok(());
        }
        let rename = Table::rename().table("auth_codes", "older_auth_codes").to_owned();
        manager.rename_table(rename).await
    }
}

struct CodesAndSessions;

impl MigrationName for CodesAndSessions {
    fn name(&self) -> &'static str {
        "0001_codes_and_sessions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CodesAndSessions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let codes = Table::create()
            .table("auth_codes")
            .col(ColumnDef::new("email").string().not_null())
            .col(ColumnDef::new("slot").small_integer().not_null())
            .col(ColumnDef::new("digest").string().not_null())
            .col(ColumnDef::new("expires_at").big_integer().not_null())
            .primary_key(Index::create().col("email").col("slot"))
            .to_owned();
        manager.create_table(codes).await?;
        let sessions = Table::create()
            .table("auth_sessions")
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("user_id").uuid().not_null())
            .col(ColumnDef::new("tenant_id").uuid().not_null())
            .col(ColumnDef::new("refresh_id").uuid().not_null())
            .col(ColumnDef::new("created_at").big_integer().not_null())
            .col(ColumnDef::new("access_expires_at").big_integer().not_null())
            .col(ColumnDef::new("refresh_expires_at").big_integer().not_null())
            .col(ColumnDef::new("dead_from").big_integer())
            .to_owned();
        manager.create_table(sessions).await?;
        // Expired rows are deleted every hour.
        for (name, table, column) in [
            ("auth_codes_expires_at", "auth_codes", "expires_at"),
            ("auth_sessions_refresh_expires_at", "auth_sessions", "refresh_expires_at"),
            ("auth_sessions_access_expires_at", "auth_sessions", "access_expires_at"),
        ] {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        Ok(())
    }
}

struct ClientAssertions;

impl MigrationName for ClientAssertions {
    fn name(&self) -> &'static str {
        "0002_client_assertions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ClientAssertions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let assertions = Table::create()
            .table("auth_client_assertions")
            .col(ColumnDef::new("digest").string().not_null().primary_key())
            .col(ColumnDef::new("expires_at").big_integer().not_null())
            .to_owned();
        manager.create_table(assertions).await?;
        let (name, table) = ("auth_client_assertions_expires_at", "auth_client_assertions");
        manager.create_index(Index::create().name(name).table(table).col("expires_at").to_owned()).await
    }
}

/// Adds the sign-in that a session came from, and the usage of one person. Older sessions are families of
/// their own.
struct SessionFamilies;

impl MigrationName for SessionFamilies {
    fn name(&self) -> &'static str {
        "0003_session_families"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SessionFamilies {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column at a time, and nullable: SQLite supports no more. While replicas are replaced, one of
        // the previous version writes rows without these columns.
        for column in [ColumnDef::new("family_id").uuid(), ColumnDef::new("family_began_at").big_integer()] {
            manager.alter_table(Table::alter().table("auth_sessions").add_column(column).to_owned()).await?;
        }
        let families = Query::update()
            .table("auth_sessions")
            .value("family_id", Expr::col("id"))
            .value("family_began_at", Expr::col("created_at"))
            .to_owned();
        manager.get_connection().execute(&families).await?;
        let people = Table::create()
            .table("auth_people")
            .col(ColumnDef::new("user_id").uuid().not_null().primary_key())
            .col(ColumnDef::new("refreshes_paid_until").big_integer().not_null())
            .col(ColumnDef::new("ended_before").big_integer().not_null())
            .col(ColumnDef::new("ended_until").big_integer().not_null())
            .to_owned();
        manager.create_table(people).await?;
        let family = Index::create()
            .name("auth_sessions_family_id")
            .table("auth_sessions")
            .col("family_id")
            .to_owned();
        manager.create_index(family).await?;
        // For the living sessions of one person, and for the ended ones that must be listed.
        let person = Index::create()
            .name("auth_sessions_user_id")
            .table("auth_sessions")
            .col("user_id")
            .col("access_expires_at")
            .to_owned();
        manager.create_index(person).await
    }
}

/// Adds how many codes were mailed to an address, and when the next may be.
struct CodePauses;

impl MigrationName for CodePauses {
    fn name(&self) -> &'static str {
        "0004_code_pauses"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CodePauses {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let pauses = Table::create()
            .table("auth_code_pauses")
            .col(ColumnDef::new("email").string().not_null().primary_key())
            .col(ColumnDef::new("mailed").integer().not_null())
            .col(ColumnDef::new("next_at").big_integer().not_null())
            .col(ColumnDef::new("forgotten_at").big_integer().not_null())
            .to_owned();
        manager.create_table(pauses).await?;
        let (name, table) = ("auth_code_pauses_forgotten_at", "auth_code_pauses");
        manager.create_index(Index::create().name(name).table(table).col("forgotten_at").to_owned()).await
    }
}

/// Adds the passkeys, as the table of that name has them elsewhere, and their ceremonies. A restored dump may have the
/// table.
struct Passkeys;

impl MigrationName for Passkeys {
    fn name(&self) -> &'static str {
        "0005_passkeys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Passkeys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let passkeys = Table::create()
            .table("passkeys")
            .if_not_exists()
            .col(ColumnDef::new("credential_id").blob().not_null().primary_key())
            .col(ColumnDef::new("user_id").uuid().not_null())
            .col(ColumnDef::new("aaguid").uuid().not_null())
            .col(ColumnDef::new("credential").blob().not_null())
            .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
            .to_owned();
        manager.create_table(passkeys).await?;
        let person = Index::create()
            .name("idx_passkeys_user_id")
            .table("passkeys")
            .col("user_id")
            .if_not_exists()
            .to_owned();
        manager.create_index(person).await?;
        let ceremonies = Table::create()
            .table("auth_passkey_ceremonies")
            .col(ColumnDef::new("id").uuid().not_null().primary_key())
            .col(ColumnDef::new("owner").string().not_null())
            .col(ColumnDef::new("state").text().not_null())
            .col(ColumnDef::new("expires_at").big_integer().not_null())
            .to_owned();
        manager.create_table(ceremonies).await?;
        for (name, column) in
            [("auth_passkey_ceremonies_owner", "owner"), ("auth_passkey_ceremonies_expires_at", "expires_at")]
        {
            let index = Index::create().name(name).table("auth_passkey_ceremonies").col(column).to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// Adds the tenant of passkeys and codes, and the tenants that leave ([`crate::removal`]). The tenant of an older
/// passkey is that of its owner's newest session. Without one it stays unknown until the owner uses it.
struct Tenants;

impl MigrationName for Tenants {
    fn name(&self) -> &'static str {
        "0006_tenants"
    }
}

/// A person's tenant never changes, so any session would do.
const TENANTS_OF_PASSKEYS: &str = "
UPDATE passkeys SET tenant_id = (
    SELECT tenant_id FROM auth_sessions WHERE auth_sessions.user_id = passkeys.user_id ORDER BY created_at DESC LIMIT 1
)";

#[async_trait::async_trait]
impl MigrationTrait for Tenants {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Nullable: the legacy backend and a replica of the previous version write rows without it.
        for table in ["passkeys", "auth_codes", "auth_code_pauses"] {
            let column = ColumnDef::new("tenant_id").uuid().to_owned();
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.get_connection().execute_unprepared(TENANTS_OF_PASSKEYS).await?;
        for (name, table) in
            [("auth_passkeys_tenant_id", "passkeys"), ("auth_sessions_tenant_id", "auth_sessions")]
        {
            manager.create_index(Index::create().name(name).table(table).col("tenant_id").to_owned()).await?;
        }
        manager.create_table(kit::removal::table(crate::removal::TABLE)).await
    }
}

/// Lets each person have a passkey. In a restored dump a passkey refers to a table of people that this service does
/// not fill, so the first passkey of a new person would be refused.
struct PasskeysOfAll;

/// The name of the reference is whatever that generation called it.
const WITHOUT_REFERENCES: &str = "
    DO $$ DECLARE reference text; BEGIN
        FOR reference IN SELECT conname FROM pg_constraint WHERE conrelid = to_regclass('passkeys') AND contype = 'f' LOOP
            EXECUTE format('ALTER TABLE passkeys DROP CONSTRAINT %I', reference);
        END LOOP;
    END $$";

impl MigrationName for PasskeysOfAll {
    fn name(&self) -> &'static str {
        "0007_passkeys_of_all"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PasskeysOfAll {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A dump is restored into PostgreSQL alone.
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(WITHOUT_REFERENCES).await?;
        }
        Ok(())
    }
}
