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
//! The same holds when a request was sent and its answer lost, and when the database is away after the answer for longer
//! than the lease of the row.
//!
//! A push message whose device is gone is done: its row ends like that of a sent one, without a mark.
//!
//! A mark also has the number of the attempt that wrote it. An attempt that could not reach the provider or the database
//! does not count, so the next one has its number again: a mark `sending` with this number is known to belong to a message
//! that was not sent.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use events::moment::column;
use events::outbox::{DELIVER_WITHIN, Deliver, Item, LEASE, Outcome};
use events::statement::sql;
use events::{Envelope, Exchange, Outbox, Source};
use mail::{Letter, Sent, Ses};
use prometheus::IntCounter;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait as _};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::key;
use crate::message::{Content, MAIL, Mail, Message, PUSH, Push};
use crate::push::{Fcm, Pushed};

/// The name of this service, in the events that it announces and for the bus.
pub const SERVICE: &str = "notifications";

/// The pause before a mark is tried again.
const MARK_AGAIN: Duration = Duration::from_millis(200);

/// How long a mark of a result is tried, from the beginning of the delivery: as long as the row is this worker's, but for
/// the last seconds, in which the row itself is finished.
const MARK_WITHIN: Duration = LEASE.saturating_sub(Duration::from_secs(10));

/// How long a delivery may take: a last try of the mark may wait some seconds for the database.
const WITHIN: Duration = LEASE.saturating_sub(Duration::from_secs(5));

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
    kinds: &'static [&'static str],
    gone: IntCounter,
}

/// What the mark of a message says before it is sent.
enum Mark {
    /// It is to be sent, and the mark says that this attempt does.
    Own,
    /// An earlier attempt left no result, and it must not be sent twice.
    Unsure,
    /// It was sent.
    Sent,
}

/// What came of a sending, and the mark that says so.
enum Came {
    Sent(String),
    NotSent(Outcome),
    /// The device is gone, so no one can get it. It has no mark any more.
    Gone,
    /// The mark stays what it is.
    Kept(Outcome),
}

impl Sending {
    /// Sends with `providers`, with marks in `database`. `gone` counts the push messages whose device is gone.
    #[must_use]
    pub const fn new(
        database: DatabaseConnection,
        outbox: Outbox,
        clock: Arc<dyn Clock>,
        providers: Providers,
        gone: IntCounter,
    ) -> Self {
        Self { database, outbox, clock, providers, kinds: &[PUSH, MAIL], gone }
    }

    /// One sender for each kind of message that has a provider. One provider's outage does not hold up the other's
    /// messages.
    #[must_use]
    pub fn of_each_kind(&self) -> Vec<Self> {
        let kinds: [(bool, &'static [&'static str]); 2] =
            [(self.providers.fcm.is_some(), &[PUSH]), (self.providers.ses.is_some(), &[MAIL])];
        let with_provider = kinds.into_iter().filter(|(has_provider, _)| *has_provider);
        with_provider.map(|(_, kinds)| Self { kinds, ..self.clone() }).collect()
    }

    async fn send(&self, item: &Item) -> Result<Came, DbErr> {
        let message: Message = match serde_json::from_str(&item.payload) {
            Ok(message) => message,
            // The library's error can repeat the value.
            Err(_) => return Ok(refused("the row is not a message".to_owned())),
        };
        let content = match message.check() {
            Ok(content) => content,
            Err(error) => return Ok(refused(error)),
        };
        if let Content::Push(push) = content
            && self.is_gone(&push.device).await?
        {
            // An earlier attempt may have left a mark.
            forget_mark(&self.database, item.id).await?;
            return Ok(Came::Gone);
        }
        let may_repeat = matches!(content, Content::Push(_));
        match self.begin(item, may_repeat).await? {
            Mark::Own => {}
            Mark::Sent => return Ok(Came::Kept(Outcome::Delivered)),
            Mark::Unsure => {
                return Ok(Came::Kept(unsure("an earlier attempt ended without a result")));
            }
        }
        match content {
            Content::Push(push) => self.push(item.id, push, &message.tenant_id).await,
            Content::Mail(mail) => Ok(self.mail(item.id, mail).await),
        }
    }

    async fn push(&self, id: Uuid, push: &Push, tenant: &str) -> Result<Came, DbErr> {
        let Some(fcm) = &self.providers.fcm else { return Ok(no_provider()) };
        Ok(match fcm.send(id, push).await {
            Pushed::Accepted(name) => Came::Sent(name),
            Pushed::Gone => {
                self.forget(id, push, tenant).await?;
                Came::Gone
            }
            Pushed::Later { error, after } => Came::NotSent(Outcome::Failed { error, after }),
            Pushed::Unavailable(error) => Came::NotSent(Outcome::Unavailable { error }),
            Pushed::Refused(error) => Came::NotSent(Outcome::Refused { error }),
            Pushed::Unknown(error) => Came::Kept(Outcome::Failed { error, after: None }),
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
            Sent::Unknown(error) => Came::Kept(unsure(&error)),
        }
    }

    /// Marks the message as being sent by this attempt, unless it was sent, or may have been and `may_repeat` is false.
    async fn begin(&self, item: &Item, may_repeat: bool) -> Result<Mark, DbErr> {
        let values = || [item.id.into(), item.attempt.into(), column(self.clock.now()).into()];
        let new = "INSERT INTO sendings (id, state, attempt, changed_at) VALUES ($1, 'sending', $2, $3) \
                   ON CONFLICT (id) DO NOTHING";
        let free = match may_repeat {
            true => "state <> 'sent'",
            false => "(state = 'waiting' OR (state = 'sending' AND attempt = $2))",
        };
        let again = format!(
            "UPDATE sendings SET state = 'sending', attempt = $2, changed_at = $3 WHERE id = $1 AND {free}"
        );
        for text in [new, again.as_str()] {
            let written = self.database.execute_raw(sql(&self.database, text, values())).await?;
            if written.rows_affected() > 0 {
                return Ok(Mark::Own);
            }
        }
        let state = "SELECT state FROM sendings WHERE id = $1";
        let row = self.database.query_one_raw(sql(&self.database, state, [item.id.into()])).await?;
        let state: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(if state.as_deref() == Some("sent") { Mark::Sent } else { Mark::Unsure })
    }

    /// Marks what came of the message. While the database is away, this is tried again until `until`.
    async fn mark(&self, item: &Item, provider_id: Option<&str>, until: Instant) {
        let mut is_logged = false;
        while let Err(error) = self.mark_once(item, provider_id).await {
            let (id, is_sent) = (item.id, provider_id.is_some());
            if Instant::now() >= until {
                tracing::error!(%id, is_sent, %error, "the result of a message cannot be marked; given up");
                return;
            }
            if !std::mem::replace(&mut is_logged, true) {
                tracing::warn!(%id, is_sent, %error, "the result of a message cannot be marked; trying again");
            }
            sleep(MARK_AGAIN).await;
        }
    }

    async fn mark_once(&self, item: &Item, provider_id: Option<&str>) -> Result<(), DbErr> {
        // That it was sent stays true. That it was not is only this attempt's to say.
        let (state, whose) = match provider_id {
            Some(_) => ("sent", ""),
            None => ("waiting", " AND state = 'sending' AND attempt = $5"),
        };
        let text =
            format!("UPDATE sendings SET state = $2, provider_id = $3, changed_at = $4 WHERE id = $1{whose}");
        let mut values = vec![
            item.id.into(),
            state.into(),
            provider_id.map(str::to_owned).into(),
            column(self.clock.now()).into(),
        ];
        if provider_id.is_none() {
            values.push(item.attempt.into());
        }
        self.database.execute_raw(sql(&self.database, &text, values)).await.map(drop)
    }

    async fn is_gone(&self, device: &str) -> Result<bool, DbErr> {
        let text = "SELECT 1 FROM gone_devices WHERE digest = $1";
        let row = self.database.query_one_raw(sql(&self.database, text, [digest_of(device).into()])).await?;
        Ok(row.is_some())
    }

    /// Remembers that the device of the message `id` is gone, and announces it, so that its owner removes the token.
    /// The message was not sent and never will be, so its mark goes, too.
    async fn forget(&self, id: Uuid, push: &Push, tenant: &str) -> Result<(), DbErr> {
        let now = self.clock.now();
        let change = self.database.begin().await?;
        forget_mark(&change, id).await?;
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

/// Removes the mark of the message `id`, which is removed itself.
///
/// # Errors
/// The error of the database.
pub async fn forget_mark(database: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    let text = "DELETE FROM sendings WHERE id = $1";
    database.execute_raw(sql(database, text, [id.into()])).await.map(drop)
}

/// Marks the message `id` as not sent, so that a worker sends it again although it may have been sent: an operator's decision.
///
/// # Errors
/// The error of the database.
pub async fn send_again(database: &impl ConnectionTrait, id: Uuid) -> Result<(), DbErr> {
    let text = "UPDATE sendings SET state = 'waiting' WHERE id = $1 AND state = 'sending'";
    database.execute_raw(sql(database, text, [id.into()])).await.map(drop)
}

fn refused(error: String) -> Came {
    Came::Kept(Outcome::Refused { error })
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
        self.kinds
    }

    fn within(&self) -> Duration {
        WITHIN
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        let until = Instant::now() + MARK_WITHIN;
        let came = match timeout(DELIVER_WITHIN, self.send(item)).await {
            Ok(Ok(came)) => came,
            // The mark tells the next attempt how far this one came.
            Ok(Err(error)) => return Outcome::Unavailable { error: format!("the database failed: {error}") },
            Err(_) => {
                return Outcome::Failed {
                    error: format!("no result within {DELIVER_WITHIN:?}"),
                    after: None,
                };
            }
        };
        match came {
            Came::Sent(provider_id) => {
                self.mark(item, Some(&provider_id), until).await;
                Outcome::Delivered
            }
            Came::NotSent(outcome) => {
                self.mark(item, None, until).await;
                outcome
            }
            // No failure: an app that was uninstalled leaves nothing to decide.
            Came::Gone => {
                self.gone.inc();
                Outcome::Delivered
            }
            Came::Kept(outcome) => outcome,
        }
    }
}
