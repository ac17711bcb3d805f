//! From a row of the outbox to the provider.
//!
//! Neither FCM nor SES has an idempotency key, so a mark is written before a message is sent (`sending`) and after it (`sent`):
//!
//! | this process is killed | then |
//! |---|---|
//! | before the mark `sending` | another worker sends it |
//! | between the two marks | nothing knows whether the provider took it: see below |
//! | behind the mark `sent` | another worker finds the mark and only finishes the row |
//!
//! A push message is sent again under the same collapse id, so the device shows one. A letter is **not** sent again: it becomes
//! a dead letter that says so, and an operator decides (`POST …/retry`).
//!
//! The same holds when a request was sent and its answer lost, and when the database is away after the answer for longer than
//! a worker waits.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use events::moment::column;
use events::outbox::{Deliver, Item, Outcome};
use events::statement::sql;
use events::{Envelope, Exchange, Outbox, Source};
use mail::{Letter, Sent, Ses};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait as _};
use uuid::Uuid;

use crate::key;
use crate::message::{Content, Mail, Message, Push};
use crate::push::{Fcm, Pushed};
use crate::queue::{MAIL, PUSH};

/// The name of this service, in the events that it announces and for the bus.
pub const SERVICE: &str = "notifications";

/// The pause before a mark is tried again.
const MARK_AGAIN: Duration = Duration::from_millis(200);

/// The providers. A kind of message without one waits in the outbox.
#[derive(Clone, Debug, Default)]
pub struct Providers {
    /// For push messages.
    pub fcm: Option<Arc<Fcm>>,
    /// For letters.
    pub ses: Option<Arc<Ses>>,
    /// This process, in the events that it announces.
    pub instance: String,
}

/// Sends messages. Clones share the providers.
#[derive(Clone, Debug)]
pub struct Sending {
    database: DatabaseConnection,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    providers: Providers,
}

/// What the mark of a message says before it is sent.
enum Mark {
    /// It was not sent.
    Fresh,
    /// An earlier attempt left no result.
    Unsure,
    /// It was sent.
    Sent,
}

/// What came of a sending, and the mark that says so.
enum Came {
    Sent(String),
    NotSent(Outcome),
    Unsure(Outcome),
}

impl Sending {
    /// Sends with `providers`, with marks in `database`.
    #[must_use]
    pub const fn new(
        database: DatabaseConnection,
        outbox: Outbox,
        clock: Arc<dyn Clock>,
        providers: Providers,
    ) -> Self {
        Self { database, outbox, clock, providers }
    }

    async fn send(&self, item: &Item) -> Result<Outcome, DbErr> {
        let message: Message = match serde_json::from_str(&item.payload) {
            Ok(message) => message,
            // The library's error can repeat the value.
            Err(_) => return Ok(Outcome::Refused { error: "the row is not a message".to_owned() }),
        };
        let content = match message.check() {
            Ok(content) => content,
            Err(error) => return Ok(Outcome::Refused { error }),
        };
        if let Content::Push(push) = content
            && self.is_gone(&push.device).await?
        {
            return Ok(Outcome::Refused { error: "the device is not registered any more".to_owned() });
        }
        match (self.begin(item.id).await?, content) {
            (Mark::Sent, _) => return Ok(Outcome::Delivered),
            (Mark::Unsure, Content::Mail(_)) => {
                return Ok(unsure("an earlier attempt ended without a result"));
            }
            (Mark::Fresh | Mark::Unsure, _) => {}
        }
        let result = match content {
            Content::Push(push) => self.push(item.id, push, &message.tenant_id).await?,
            Content::Mail(mail) => self.mail(item.id, mail).await,
        };
        match result {
            Came::Sent(provider_id) => {
                // While the database is away, this is tried for as long as the worker waits for the delivery.
                while let Err(error) = self.mark(item.id, "sent", Some(&provider_id)).await {
                    tracing::warn!(id = %item.id, %error, "a sent message cannot be marked; trying again");
                    tokio::time::sleep(MARK_AGAIN).await;
                }
                Ok(Outcome::Delivered)
            }
            Came::NotSent(outcome) => {
                self.mark(item.id, "waiting", None).await?;
                Ok(outcome)
            }
            // The mark stays.
            Came::Unsure(outcome) => Ok(outcome),
        }
    }

    async fn push(&self, id: Uuid, push: &Push, tenant: &str) -> Result<Came, DbErr> {
        let Some(fcm) = &self.providers.fcm else { return Ok(no_provider()) };
        Ok(match fcm.send(id, push).await {
            Pushed::Accepted(name) => Came::Sent(name),
            Pushed::Gone => {
                self.forget(push, tenant).await?;
                Came::NotSent(Outcome::Refused { error: "the device is not registered any more".to_owned() })
            }
            Pushed::Later { error, after } => Came::NotSent(Outcome::Failed { error, after }),
            Pushed::Unavailable(error) => Came::NotSent(Outcome::Unavailable { error }),
            Pushed::Refused(error) => Came::NotSent(Outcome::Refused { error }),
            Pushed::Unknown(error) => Came::Unsure(Outcome::Failed { error, after: None }),
        })
    }

    async fn mail(&self, id: Uuid, mail: &Mail) -> Came {
        let Some(ses) = &self.providers.ses else { return no_provider() };
        let Mail { to, subject, text } = mail.clone();
        match ses.send(&Letter { to, subject, text, id: id.as_simple().to_string() }).await {
            Sent::Accepted(id) => Came::Sent(id),
            Sent::Later { error, after } => Came::NotSent(Outcome::Failed { error, after }),
            Sent::Unavailable(error) => Came::NotSent(Outcome::Unavailable { error }),
            Sent::Refused(error) => Came::NotSent(Outcome::Refused { error }),
            Sent::Unknown(error) => Came::Unsure(unsure(&error)),
        }
    }

    /// Marks a message as being sent, and returns what its mark said before.
    async fn begin(&self, id: Uuid) -> Result<Mark, DbErr> {
        let now = column(self.clock.now());
        let new = "INSERT INTO sendings (id, state, changed_at) VALUES ($1, 'sending', $2) ON CONFLICT (id) DO NOTHING";
        if self.database.execute_raw(sql(&self.database, new, [id.into(), now.into()])).await?.rows_affected()
            > 0
        {
            return Ok(Mark::Fresh);
        }
        let again =
            "UPDATE sendings SET state = 'sending', changed_at = $2 WHERE id = $1 AND state = 'waiting'";
        if self
            .database
            .execute_raw(sql(&self.database, again, [id.into(), now.into()]))
            .await?
            .rows_affected()
            > 0
        {
            return Ok(Mark::Fresh);
        }
        let state = "SELECT state FROM sendings WHERE id = $1";
        let row = self.database.query_one_raw(sql(&self.database, state, [id.into()])).await?;
        let state: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(if state.as_deref() == Some("sent") { Mark::Sent } else { Mark::Unsure })
    }

    async fn mark(&self, id: Uuid, state: &str, provider_id: Option<&str>) -> Result<(), DbErr> {
        let text = "UPDATE sendings SET state = $2, provider_id = $3, changed_at = $4 WHERE id = $1";
        let values =
            [id.into(), state.into(), provider_id.map(str::to_owned).into(), column(self.clock.now()).into()];
        self.database.execute_raw(sql(&self.database, text, values)).await.map(drop)
    }

    async fn is_gone(&self, device: &str) -> Result<bool, DbErr> {
        let text = "SELECT 1 FROM gone_devices WHERE digest = $1";
        let row = self.database.query_one_raw(sql(&self.database, text, [digest_of(device).into()])).await?;
        Ok(row.is_some())
    }

    /// Remembers that the device is gone, and announces it, so that its owner removes the token.
    async fn forget(&self, push: &Push, tenant: &str) -> Result<(), DbErr> {
        let now = self.clock.now();
        let change = self.database.begin().await?;
        let text = "INSERT INTO gone_devices (digest, since) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
        let values = [digest_of(&push.device).into(), column(now).into()];
        let is_new = change.execute_raw(sql(&change, text, values)).await?.rows_affected() > 0;
        if let (true, Ok(kind), Ok(tenant)) = (is_new, "notifications.device.gone".parse(), tenant.parse()) {
            let source = Source { service: SERVICE.to_owned(), instance: self.providers.instance.clone() };
            let data = [("device".to_owned(), push.device.as_str().into())].into_iter().collect();
            let event = Envelope::new(kind, tenant, source, data, now);
            if let Err(error) = self.outbox.announce(&change, Exchange::Events, &event).await {
                return Err(DbErr::Custom(error.to_string()));
            }
        }
        change.commit().await?;
        self.outbox.committed();
        Ok(())
    }
}

/// Marks the message `id` as not sent, so that a worker sends it again although it may have been sent: an operator's decision.
///
/// # Errors
/// The error of the database.
pub async fn send_again(database: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    let text = "UPDATE sendings SET state = 'waiting' WHERE id = $1 AND state = 'sending'";
    database.execute_raw(sql(database, text, [id.into()])).await.map(drop)
}

fn unsure(why: &str) -> Outcome {
    Outcome::Refused {
        error: format!("it is not known whether the letter was sent: {why}; retry it to send it (again)"),
    }
}

fn no_provider() -> Came {
    Came::NotSent(Outcome::Unavailable { error: "no provider is configured".to_owned() })
}

/// A device's token identifies a person's device, so only its digest is kept.
fn digest_of(device: &str) -> String {
    key::hex(device)
}

impl Deliver for Sending {
    fn kinds(&self) -> &'static [&'static str] {
        match (&self.providers.fcm, &self.providers.ses) {
            (Some(_), Some(_)) => &[PUSH, MAIL],
            (Some(_), None) => &[PUSH],
            (None, Some(_)) => &[MAIL],
            (None, None) => &[],
        }
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        match self.send(item).await {
            Ok(outcome) => outcome,
            // The mark tells the next attempt how far this one came.
            Err(error) => Outcome::Unavailable { error: format!("the database failed: {error}") },
        }
    }
}
