//! Push messages: a person who is told of a book hears of it on each device.
//!
//! A message is an event of the type [`ANNOUNCED`] on the exchange of notifications, one for each device, and the notifications
//! service sends it. It is written in the transaction that tells the person, so a person who was told has messages on the way,
//! also when this process is killed a moment later; and a person who is told once has each of them once.

use std::collections::BTreeSet;

use clock::UnixTime;
use events::Exchange;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, Order};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::devices;
use super::news::{News, tenants_of};
use super::tag::Tag;

/// The type of the events.
pub const ANNOUNCED: &str = "users.book.announced";

/// The most characters of a message's text: what a telephone shows of one.
const MAX_TEXT_CHARS: usize = 160;

/// A device that gets a message.
struct Device {
    tenant: identity::TenantId,
    token: String,
}

impl News {
    /// Writes that `book` has appeared, for each device of `people` that was used since `since`, in the transaction `change`.
    pub(super) async fn of_book(
        &self,
        change: &DatabaseTransaction,
        people: &[Uuid],
        (book, tags): (i32, &[Tag]),
        since: OffsetDateTime,
        now: UnixTime,
    ) -> Result<(), DbErr> {
        for Device { tenant, token } in devices_of(change, people, since).await? {
            let content = json!({
                "device": token,
                "title": "New book",
                "body": text(tags),
                // As `GET /users/@me/notifications` calls them.
                "data": { "kind": "book", "book_id": book.to_string() },
            });
            let data = [("push".to_owned(), content)].into_iter().collect();
            self.write(change, (Exchange::Notifications, ANNOUNCED), tenant, data, now).await?;
        }
        Ok(())
    }
}

/// Returns the devices of `people` in the order of their tokens, each token once. People without a tenant have none, because an
/// event belongs to a tenant.
async fn devices_of(
    change: &DatabaseTransaction,
    people: &[Uuid],
    since: OffsetDateTime,
) -> Result<Vec<Device>, DbErr> {
    let tenant_of = tenants_of(change, people).await?;
    let tokens = Query::select()
        .columns(["user_id", "fcm_token"])
        .from("fcm_token")
        .and_where(Expr::col("user_id").is_in(tenant_of.keys().copied()))
        .and_where(Expr::col("updated_at").gt(since))
        .order_by("fcm_token", Order::Asc)
        .take();
    let (mut devices, mut seen) = (Vec::new(), BTreeSet::new());
    for row in change.query_all(&tokens).await? {
        let (person, token): (Uuid, String) = (row.try_get("", "user_id")?, row.try_get("", "fcm_token")?);
        let Some(tenant) = tenant_of.get(&person) else { continue };
        // The provider gives a token to one installation, which may have sent it under two ids of a device.
        if is_token(&token) && seen.insert(token.clone()) {
            devices.push(Device { tenant: tenant.clone(), token });
        }
    }
    Ok(devices)
}

/// Whether a provider can have made `token`. Clients store any text here, as at the legacy backend.
fn is_token(token: &str) -> bool {
    token.len() <= devices::MAX_TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Names the tags of a book in one line, without what would be too long for it.
fn text(tags: &[Tag]) -> String {
    let names: Vec<String> = tags.iter().map(|tag| format!("{}: {}", tag.kind, tag.name)).collect();
    let line = names.join(", ").replace(char::is_control, " ");
    match line.chars().count() > MAX_TEXT_CHARS {
        true => line.chars().take(MAX_TEXT_CHARS.saturating_sub(1)).chain(['…']).collect(),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_that_a_telephone_shows() {
        let tag = |kind: &str, name: &str| Tag { kind: kind.to_owned(), name: name.to_owned() };
        assert_eq!(text(&[tag("group", "some\ngroup"), tag("misc", "new")]), "group: some group, misc: new");
        let long = text(&[tag("misc", &"é".repeat(500))]);
        assert!(long.chars().count() == MAX_TEXT_CHARS && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_token_of_a_provider_is_visible_ascii() {
        for (token, is) in [("c1:APA91b-_", true), ("two words", false), ("é", false), ("a\n", false)] {
            assert_eq!(is_token(token), is, "{token:?}");
        }
        assert!(!is_token(&"x".repeat(4097)));
    }
}
