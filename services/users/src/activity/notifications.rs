//! What people are told: that a book with a tag they like has appeared.

use std::collections::HashMap;

use kit::PlatformService;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{
    Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Order, TransactionTrait as _,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::part::{self, Page, Sort};
use super::tag::Tag;
use super::{Activity, devices, present, row, row_id};
use crate::account::Owner;
use crate::error::Error;

/// How many people are told in one transaction. Each gets a row, and one more for each tag: 200 people and 20 tags are
/// some thousand rows, and well below the 32,766 values that SQLite takes in a statement.
const PEOPLE_AT_ONCE: u64 = 200;

/// That a book has appeared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The book's id.
    pub book: i32,
    /// The book's tags.
    pub tags: Vec<Tag>,
    /// When the person was told.
    pub created_at: OffsetDateTime,
}

impl Activity {
    /// Returns a part of what a person was told.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn notifications(
        &self,
        owner: Owner,
        sort: Sort,
        page: Page,
    ) -> Result<Vec<Notification>, Error> {
        let mut query = Query::select()
            .columns(["id", "book_id", "created_at"])
            .from("notifications_book")
            .and_where(Expr::col("user_id").eq(owner.id()))
            .take();
        part::of(&mut query, self.database.get_database_backend(), sort, page);
        let rows = self.database.query_all(&query).await.map_err(Error::Store)?;
        let told: Vec<(Uuid, i32, OffsetDateTime)> = rows
            .iter()
            .map(|row| {
                Ok((row.try_get("", "id")?, row.try_get("", "book_id")?, row.try_get("", "created_at")?))
            })
            .collect::<Result<_, DbErr>>()
            .map_err(Error::Store)?;
        let mut tags = tags(&self.database, told.iter().map(|(id, ..)| *id)).await.map_err(Error::Store)?;
        let whole = |(id, book, created_at)| Notification {
            book,
            tags: tags.remove(&id).unwrap_or_default(),
            created_at,
        };
        Ok(told.into_iter().map(whole).collect())
    }

    /// Tells every person who likes one of `tags` that `book` has appeared. A person who was told of it before is not told
    /// again, so a service can repeat an announcement of which it does not know whether it arrived. Each device of a person
    /// who is told gets a push message ([`super::push`]).
    ///
    /// # Errors
    /// [`Error::Store`]. Some people may have been told then.
    pub async fn announce(&self, _: &PlatformService, book: i32, tags: &[Tag]) -> Result<(), Error> {
        let tags: Vec<Tag> = tags.iter().filter(|tag| tag.is_storable()).cloned().collect();
        let mut last = None;
        while !tags.is_empty() {
            let people = self.who_like(book, &tags, last).await.map_err(Error::Store)?;
            let Some(end) = people.last() else { break };
            last = Some(*end);
            self.tell(&people, book, &tags).await.map_err(Error::Store)?;
        }
        Ok(())
    }

    /// Returns the next people, after `last`, who like one of `tags` and were not told of `book`. So a repetition does
    /// not begin anew with those whom the last one told, and ends at some time however many they are.
    async fn who_like(&self, book: i32, tags: &[Tag], last: Option<Uuid>) -> Result<Vec<Uuid>, DbErr> {
        let told = Query::select()
            .column("id")
            .from("notifications_book")
            .and_where(Expr::col(("notifications_book", "user_id")).equals(("likes_book_tag", "user_id")))
            .and_where(Expr::col(("notifications_book", "book_id")).eq(book))
            .take();
        let some = tags.iter().fold(Condition::any(), |any, tag| {
            any.add(
                Condition::all()
                    .add(Expr::col("tag_kind").eq(tag.kind.as_str()))
                    .add(Expr::col("tag_name").eq(tag.name.as_str())),
            )
        });
        let mut query = Query::select()
            .distinct()
            .column("user_id")
            .from("likes_book_tag")
            .and_where(Expr::col("is_dislike").eq(false))
            .cond_where(some)
            .and_where(Expr::not_exists(told))
            .order_by("user_id", Order::Asc)
            .limit(PEOPLE_AT_ONCE)
            .take();
        if let Some(last) = last {
            query.and_where(Expr::col("user_id").gt(last));
        }
        self.database.query_all(&query).await?.iter().map(|row| row.try_get("", "user_id")).collect()
    }

    async fn tell(&self, people: &[Uuid], book: i32, tags: &[Tag]) -> Result<(), DbErr> {
        let now = self.now();
        let transaction = self.database.begin().await?;
        let people = present::hold(&transaction, people).await?;
        let mut told = Vec::with_capacity(people.len());
        for user in people {
            if add(&transaction, user, book, tags, now).await? {
                told.push(user);
            }
        }
        if let Some(news) = &self.news {
            let (since, now) = (devices::oldest(now), self.clock.now());
            news.of_book(&transaction, &told, (book, tags), since, now).await?;
        }
        transaction.commit().await?;
        if let Some(news) = &self.news {
            news.committed();
        }
        Ok(())
    }
}

/// Returns the tags of notifications, in the order in which they were written.
pub(super) async fn tags(
    database: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Vec<Tag>>, DbErr> {
    // The table has no column for an order.
    let place = if database.get_database_backend() == DbBackend::Sqlite { "rowid" } else { "ctid" };
    let query = Query::select()
        .columns(["notification_book_id", "tag_kind", "tag_name"])
        .from("notifications_book_tag")
        .and_where(Expr::col("notification_book_id").is_in(ids))
        .order_by_expr(Expr::cust(place), Order::Asc)
        .take();
    let mut all: HashMap<Uuid, Vec<Tag>> = HashMap::new();
    for row in database.query_all(&query).await? {
        let tag = Tag { kind: row.try_get("", "tag_kind")?, name: row.try_get("", "tag_name")? };
        all.entry(row.try_get("", "notification_book_id")?).or_default().push(tag);
    }
    Ok(all)
}

/// Writes a notification, unless the person has it already or is gone, and returns whether it did.
pub(super) async fn add(
    transaction: &DatabaseTransaction,
    user: Uuid,
    book: i32,
    tags: &[Tag],
    at: OffsetDateTime,
) -> Result<bool, DbErr> {
    let rest = [("created_at", Expr::val(at))];
    let Some(id) = row::add(transaction, "notifications_book", (book, user), rest).await? else {
        return Ok(false);
    };
    if tags.is_empty() {
        return Ok(true);
    }
    let mut rows = Query::insert()
        .into_table("notifications_book_tag")
        .columns(["id", "notification_book_id", "tag_kind", "tag_name"])
        // The same tag twice is one.
        .on_conflict(OnConflict::column("id").do_nothing().to_owned())
        .take();
    for tag in tags {
        rows.values_panic([
            Expr::val(row_id::of_notified(id, tag)),
            Expr::val(id),
            Expr::val(tag.kind.as_str()),
            Expr::val(tag.name.as_str()),
        ]);
    }
    transaction.execute(&rows).await?;
    Ok(true)
}
