//! The devices of people, to which push messages go.

use events::Envelope;
use events::handled::{Handle, NotHandled};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Order};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Activity, row_id};
use crate::account::Owner;
use crate::error::Error;

/// The longest token. Those of Firebase have about 160 characters, and Firebase names 4 KiB as the limit.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// The most devices of a person: a household's, with room for reinstalled apps. The least recently used one makes room.
const MAX_DEVICES: u64 = 20;

/// Tokens that were not renewed for this long are not used, as in the legacy backend: the app is gone.
const LIFE: time::Duration = time::Duration::days(30);

/// The type of the event that a push token is not valid any more. The notifications service announces it.
pub const GONE: &str = "notifications.device.gone";

/// Removes the tokens of devices that are gone, so that no message is sent to them.
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
    /// last signed in on it: otherwise the next owner of a telephone would get the messages of the person before.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn keep_token(&self, owner: Owner, device: Option<Uuid>, token: &str) -> Result<(), Error> {
        let device = device.unwrap_or_else(|| row_id::of_device(token, owner.id()));
        let add = Query::insert()
            .into_table("fcm_token")
            .columns(["udid", "user_id", "fcm_token", "updated_at"])
            .values_panic([Expr::val(device), Expr::val(owner.id()), Expr::val(token), Expr::val(self.now())])
            .on_conflict(
                OnConflict::column("udid").update_columns(["user_id", "fcm_token", "updated_at"]).to_owned(),
            )
            .take();
        self.run(&add).await?;
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
