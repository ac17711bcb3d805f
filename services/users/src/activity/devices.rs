//! The devices of people, to which push messages go.

use events::Envelope;
use events::handled::{Handle, NotHandled};
use sea_orm::sea_query::{Expr, ExprTrait as _, InsertStatement, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{
    Condition, ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Order, Statement,
    TransactionTrait as _,
};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Activity, present, row_id};
use crate::account::Owner;
use crate::error::Error;

/// The longest token. Those of Firebase have about 160 characters, and Firebase names 4 KiB as the limit.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// The most devices of a person: a household's, with room for reinstalled apps. The least recently used one makes room.
const MAX_DEVICES: u64 = 20;

/// Tokens that were not renewed for this long are not used, as in the legacy backend: the app is gone.
const LIFE: time::Duration = time::Duration::days(30);

/// Holds back other transactions about the same token until this one ends. The second number is this table's.
const ONE_AT_A_TIME: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 3615))";

/// Removes the tokens of devices that are gone, so that no message is sent to them. The notifications service announces them as
/// `notifications.device.gone`.
#[derive(Clone, Copy, Debug)]
pub struct Gone;

impl Handle for Gone {
    async fn handle(&self, effect: &DatabaseTransaction, event: &Envelope) -> Result<(), NotHandled> {
        // PostgreSQL refuses a statement with a NUL in a text.
        let token = event.data.get("device").and_then(Value::as_str).filter(|token| !token.contains('\0'));
        let Some(token) = token else {
            return Err(NotHandled::Refused("`data.device` is not a push token".to_owned()));
        };
        // The provider gives a token to one installation of the app, so it names one device, of any person.
        let remove =
            Query::delete().from_table("fcm_token").and_where(Expr::col("fcm_token").eq(token)).take();
        effect.execute(&remove).await?;
        Ok(())
    }
}

/// Tokens that were renewed after this are used at `now`.
pub(super) fn oldest(now: OffsetDateTime) -> OffsetDateTime {
    now.checked_sub(LIFE).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

impl Activity {
    /// Stores the push token of a device. Without `device` the token itself names it.
    ///
    /// The legacy backend leaves the first owner and time of a device in place. Here a device belongs to the person who
    /// last signed in on it: otherwise the next owner of a telephone would get the messages of the person before. For the
    /// same reason a token belongs to the person who last sent it: the provider gives it to one installation of the app.
    ///
    /// The id of a device is no secret, so it moves a device within a tenant only. A person of another tenant who sends it
    /// gets a row of their own, unless the token, which is a secret, shows that it is the same device.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the person was deleted meanwhile; [`Error::Store`].
    pub async fn keep_token(&self, owner: Owner, device: Option<Uuid>, token: &str) -> Result<(), Error> {
        let device = device.unwrap_or_else(|| row_id::of_device(token, owner.id()));
        let stored = self.store_token(owner, device, token).await.map_err(Error::Store)?;
        self.remove_surplus(owner, stored.ok_or(Error::NotFound)?).await
    }

    /// Stores a token and removes its other rows. Returns the id under which the device is stored, or `None` when the
    /// person is gone.
    async fn store_token(&self, owner: Owner, device: Uuid, token: &str) -> Result<Option<Uuid>, DbErr> {
        let transaction = self.database.begin().await?;
        let backend = transaction.get_database_backend();
        if backend == DbBackend::Postgres {
            // Of two people who send one token at the same time, the later one has to see the row of the other one.
            // SQLite has one writer at a time anyway.
            let lock = Statement::from_sql_and_values(backend, ONE_AT_A_TIME, [token.into()]);
            transaction.execute_raw(lock).await?;
        }
        present::hold(&transaction, &[owner.id()]).await?;
        let mut stored = device;
        let mut is_stored = store(&transaction, owner, stored, token, self.now()).await?;
        if !is_stored {
            stored = Uuid::now_v7();
            is_stored = store(&transaction, owner, stored, token, self.now()).await?;
        }
        if !is_stored {
            return Ok(None);
        }
        let others = Query::select()
            .column("udid")
            .from("fcm_token")
            .and_where(Expr::col("fcm_token").eq(token))
            .and_where(Expr::col("udid").ne(stored))
            // A row that is locked is about to get another token or to go. To wait for it could be a deadlock.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let remove =
            Query::delete().from_table("fcm_token").and_where(Expr::col("udid").in_subquery(others)).take();
        transaction.execute(&remove).await?;
        transaction.commit().await?;
        Ok(Some(stored))
    }

    /// Removes the least recently used devices of a person who has too many, but not `device`.
    async fn remove_surplus(&self, owner: Owner, device: Uuid) -> Result<(), Error> {
        let newest = Query::select()
            .column("udid")
            .from("fcm_token")
            .and_where(Expr::col("user_id").eq(owner.id()))
            .order_by("updated_at", Order::Desc)
            .order_by("udid", Order::Asc)
            .limit(MAX_DEVICES)
            .take();
        let surplus = Query::delete()
            .from_table("fcm_token")
            .and_where(Expr::col("user_id").eq(owner.id()))
            .and_where(Expr::col("udid").ne(device))
            .and_where(Expr::col("udid").not_in_subquery(newest))
            .take();
        self.run(&surplus).await.map(drop)
    }

    /// Returns the push tokens of `owners`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn tokens(&self, owners: &[Owner]) -> Result<Vec<String>, Error> {
        let oldest = oldest(self.now());
        let query = Query::select()
            .column("fcm_token")
            .from("fcm_token")
            .and_where(Expr::col("user_id").is_in(owners.iter().map(|owner| owner.id())))
            .and_where(Expr::col("updated_at").gt(oldest))
            .order_by("udid", Order::Asc)
            .take();
        let rows = self.database.query_all(&query).await.map_err(Error::Store)?;
        let tokens: Result<_, _> = rows.iter().map(|row| row.try_get("", "fcm_token")).collect();
        tokens.map_err(Error::Store)
    }
}

/// Stores a device, and returns whether it did: not where it belongs to a person of another tenant, or the owner is
/// gone.
async fn store(
    transaction: &DatabaseTransaction,
    owner: Owner,
    device: Uuid,
    token: &str,
    now: OffsetDateTime,
) -> Result<bool, DbErr> {
    let added = transaction.execute(&add(owner, device, token, now)?).await?;
    Ok(added.rows_affected() > 0)
}

fn add(owner: Owner, device: Uuid, token: &str, now: OffsetDateTime) -> Result<InsertStatement, DbErr> {
    let own = Query::select()
        .column("tenant_id")
        .from_as("users", "own")
        .and_where(Expr::col(("own", "id")).eq(owner.id()))
        .take();
    // A holder who does not exist any more holds nothing, and one without a tenant is in no other person's tenant.
    let stranger = Query::select()
        .column("id")
        .from_as("users", "holder")
        .and_where(Expr::col(("holder", "id")).equals(("fcm_token", "user_id")))
        .and_where(Expr::col(("holder", "id")).ne(owner.id()))
        .cond_where(
            Condition::any()
                .add(Expr::col(("holder", "tenant_id")).is_null())
                .add(Expr::col(("holder", "tenant_id")).not_in_subquery(own)),
        )
        .take();
    let may_change =
        Condition::any().add(Expr::col(("fcm_token", "fcm_token")).eq(token)).add(Expr::not_exists(stranger));
    let mut change = OnConflict::column("udid");
    change.update_columns(["user_id", "fcm_token", "updated_at"]).action_cond_where(may_change);
    let values = Query::select()
        .exprs([Expr::val(device), Expr::val(owner.id()), Expr::val(token), Expr::val(now)])
        .and_where(present::exists(owner.id()))
        .take();
    let mut insert = Query::insert()
        .into_table("fcm_token")
        .columns(["udid", "user_id", "fcm_token", "updated_at"])
        .take();
    insert.select_from(values).map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(insert.on_conflict(change).take())
}
