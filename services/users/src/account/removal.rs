//! Removes all people of a tenant that leaves, in two steps, because the second cannot be undone.
//!
//! The removal is prepared first: a row that says so. Only then does a request remove people, so one wrong request removes
//! no person. What belongs to a person (tastes, histories, notifications, devices) goes in the same transaction as the person:
//! not every table has a foreign key that would do it, neither here nor in a restored dump. Push messages that wait in the
//! outbox go, too. The row of the removal stays, so that a repeated request finds that it was prepared.
//!
//! With a broker, what is changed here is in the audit, by an event in the same transaction.

pub mod entity;

use events::Exchange;
use events::outbox::{Rows, forget_tenant};
use kit::VerifiedTenant;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, TransactionTrait as _,
};
use uuid::Uuid;

use super::Accounts;
use super::entity::{Column, Entity};
use crate::activity::news::Acting;
use crate::activity::present;
use crate::error::Error;
use crate::settings::ABOUT;

/// People of one statement. Each takes some rows of other tables along, and a statement locks all of them.
const BATCH: u64 = 500;

/// Push messages that one statement removes.
const MESSAGES: u32 = 1_000;

/// The tables whose rows belong to a person, by the column `user_id`. Tags of notifications belong to a notification.
const TABLES: [&str; 5] =
    ["likes_book", "likes_book_tag", "histories_book", "notifications_book", "fcm_token"];

/// What a request to remove people came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The tenant has no people any more.
    Done,
    /// The removal was not prepared, so no person was removed.
    NotPrepared,
}

impl Accounts {
    /// Prepares the removal of the people of `tenant`. A second time changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn prepare_removal(&self, tenant: VerifiedTenant, by: &Acting) -> Result<(), Error> {
        let row = entity::ActiveModel { tenant_id: Set(tenant.id().0), prepared_at: Set(self.now()) };
        let once = OnConflict::column(entity::Column::TenantId).do_nothing().to_owned();
        let change = self.database.begin().await.map_err(Error::Store)?;
        let written = entity::Entity::insert(row).on_conflict(once).exec_without_returning(&change);
        let is_new = written.await.map_err(Error::Store)? > 0;
        self.finish(change, is_new.then_some(("users.removal.prepared", None)), (by, tenant)).await
    }

    /// Takes the preparation back. Without one nothing changes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn take_removal_back(&self, tenant: VerifiedTenant, by: &Acting) -> Result<(), Error> {
        let change = self.database.begin().await.map_err(Error::Store)?;
        let gone = entity::Entity::delete_by_id(tenant.id().0).exec(&change).await.map_err(Error::Store)?;
        let was_there = gone.rows_affected > 0;
        self.finish(change, was_there.then_some(("users.removal.taken_back", None)), (by, tenant)).await
    }

    /// Removes the people of `tenant`, some at a time. A request that was cut off goes on when it is repeated.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn remove_people(&self, tenant: VerifiedTenant, by: &Acting) -> Result<Removal, Error> {
        let id = tenant.id().0;
        let prepared = entity::Entity::find_by_id(id).one(&self.database).await.map_err(Error::Store)?;
        if prepared.is_none() {
            return Ok(Removal::NotPrepared);
        }
        self.give_by_rule(tenant).await?;
        while self.remove_some(tenant, by).await? > 0 {}
        // A message names a device of a person, and a change of tastes names people.
        let kinds = [Exchange::Notifications.kind(), Exchange::Events.kind()];
        let rows = Rows { kinds: &kinds, source: Some(ABOUT.name) };
        let tenant = identity::TenantId::from(tenant.id());
        let some =
            async || forget_tenant(&self.database, rows, &tenant, MESSAGES).await.map_err(Error::Store);
        while !some().await?.is_empty() {}
        Ok(Removal::Done)
    }

    /// Gives `tenant` to the people without one whom the rule puts there, so that they are removed, too. They would get
    /// it when they are read for the first time.
    async fn give_by_rule(&self, tenant: VerifiedTenant) -> Result<(), Error> {
        let tenant = tenant.id();
        let Some(rule) = self.rule.as_ref().filter(|rule| rule.tenants().any(|known| known == tenant)) else {
            return Ok(());
        };
        let mut last = Uuid::nil();
        loop {
            let some: Vec<(Uuid, String)> = Entity::find()
                .select_only()
                .columns([Column::Id, Column::Email])
                .filter(Column::TenantId.is_null())
                .filter(Column::Id.gt(last))
                .order_by_asc(Column::Id)
                .limit(BATCH)
                .into_tuple()
                .all(&self.database)
                .await
                .map_err(Error::Store)?;
            let Some((end, _)) = some.last() else { return Ok(()) };
            last = *end;
            let theirs = some.iter().filter(|(_, email)| rule.tenant_of(email) == Some(tenant));
            Entity::update_many()
                .col_expr(Column::TenantId, tenant.0.into())
                .filter(Column::Id.is_in(theirs.map(|(id, _)| *id)))
                .filter(Column::TenantId.is_null())
                .exec(&self.database)
                .await
                .map_err(Error::Store)?;
        }
    }

    /// Removes at most [`BATCH`] people of `tenant` with everything that belongs to them, and returns their number.
    async fn remove_some(&self, tenant: VerifiedTenant, by: &Acting) -> Result<usize, Error> {
        let id = tenant.id().0;
        let some: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(id))
            .limit(BATCH)
            .into_tuple()
            .all(&self.database)
            .await
            .map_err(Error::Store)?;
        if some.is_empty() {
            return Ok(0);
        }
        let change = self.database.begin().await.map_err(Error::Store)?;
        // A transaction that writes for them ends first, or begins later and finds them gone.
        let held = present::hold_to_remove(&change, &some).await.map_err(Error::Store)?;
        remove_activity(&change, &held).await.map_err(Error::Store)?;
        let people = Entity::delete_many().filter(Column::Id.is_in(held.iter().copied()));
        people.filter(Column::TenantId.eq(id)).exec(&change).await.map_err(Error::Store)?;
        let done = (!held.is_empty()).then_some(("users.removal.carried_out", Some(held.len())));
        self.finish(change, done, (by, tenant)).await?;
        Ok(some.len())
    }

    /// Writes what was done for the audit, if something was, as the type of the event and the number of people, and commits.
    async fn finish(
        &self,
        change: DatabaseTransaction,
        done: Option<(&str, Option<usize>)>,
        (by, tenant): (&Acting, VerifiedTenant),
    ) -> Result<(), Error> {
        let audited = self.news.as_ref().zip(done);
        if let Some((news, (kind, people))) = audited {
            let written = news.audit(&change, kind, (by, tenant.id().into()), people, self.clock.now());
            written.await.map_err(Error::Store)?;
        }
        change.commit().await.map_err(Error::Store)?;
        if let Some((news, _)) = audited {
            news.committed();
        }
        Ok(())
    }
}

/// Removes what belongs to `people`. A tenant never changes once a person has one, so they still belong to it.
async fn remove_activity(database: &impl ConnectionTrait, people: &[Uuid]) -> Result<(), DbErr> {
    let of_people = || Expr::col("user_id").is_in(people.iter().copied());
    let notifications = Query::select().column("id").from("notifications_book").and_where(of_people()).take();
    let tags = Query::delete()
        .from_table("notifications_book_tag")
        .and_where(Expr::col("notification_book_id").in_subquery(notifications))
        .take();
    database.execute(&tags).await?;
    for table in TABLES {
        database.execute(&Query::delete().from_table(table).and_where(of_people()).take()).await?;
    }
    Ok(())
}
