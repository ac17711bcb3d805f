//! From a request or an event to a row of the outbox.

use std::sync::Arc;

use clock::Clock;
use events::handled::{Handle, NotHandled};
use events::outbox::{Entry, OutboxError, Put};
use events::statement::sql;
use events::{Envelope, Outbox};
use identity::{ServiceName, TenantId};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, TransactionTrait as _};

use crate::error::Error;
use crate::key;
use crate::message::{Content, MAIL, Message, PUSH};
use crate::removal;

/// Queues messages. Clones share the outbox.
#[derive(Clone, Debug)]
pub struct Queue {
    database: DatabaseConnection,
    outbox: Outbox,
}

impl Queue {
    /// A queue in `database`.
    #[must_use]
    pub fn new(database: DatabaseConnection, clock: Arc<dyn Clock>) -> Self {
        Self { database, outbox: Outbox::new(clock) }
    }

    /// Returns the outbox behind it.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Returns the database behind it.
    #[must_use]
    pub fn database(&self) -> DatabaseConnection {
        self.database.clone()
    }

    /// Queues the `message` of `caller` under `key`, and says whether that was new. Each caller has its own keys for
    /// each tenant.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Store`], and [`Error::Conflict`] when the key has another message.
    pub async fn put(&self, caller: &ServiceName, key: &str, message: &Message) -> Result<Put, Error> {
        let change = self.database.begin().await.map_err(Error::Store)?;
        let put = self.put_in(&change, caller, key, message).await?;
        // Behind the row, so that a removal that begins now waits for the end of this transaction and finds the row.
        if removal::has_left(&change, &message.tenant_id).await.map_err(Error::Store)? {
            return Err(Error::Invalid("the tenant of `tenantId` has left the platform".to_owned()));
        }
        change.commit().await.map_err(Error::Store)?;
        self.outbox.committed();
        Ok(put)
    }

    async fn put_in(
        &self,
        change: &DatabaseTransaction,
        caller: &ServiceName,
        key: &str,
        message: &Message,
    ) -> Result<Put, Error> {
        let kind = match message.check().map_err(Error::Invalid)? {
            Content::Push(_) => PUSH,
            Content::Mail(_) => MAIL,
        };
        let payload = serde_json::to_string(message).map_err(|error| Error::Invalid(error.to_string()))?;
        let tenant: TenantId = message
            .tenant_id
            .parse()
            .map_err(|error: identity::InvalidId| Error::Invalid(error.to_string()))?;
        let name = key::name(caller, &tenant, key).map_err(Error::Invalid)?;
        let entry =
            Entry { kind, payload: &payload, idempotency_key: &name, delay: std::time::Duration::ZERO };
        let put = self.outbox.put(change, entry).await.map_err(|error| match error {
            OutboxError::Database(error) => Error::Store(error),
            OutboxError::Event(_) | OutboxError::Length { .. } | OutboxError::Nul(_) => {
                Error::Invalid(error.to_string())
            }
        })?;
        match put {
            Put::AlreadyThere if !is_same(change, &name, message).await? => Err(Error::Conflict),
            Put::Written | Put::AlreadyThere => Ok(put),
        }
    }
}

/// Whether the row `name` has this `message`. A row that was removed at this moment counts as the same: its message was
/// delivered.
async fn is_same(change: &DatabaseTransaction, name: &str, message: &Message) -> Result<bool, Error> {
    let text = "SELECT CAST(payload AS text) FROM outbox_events WHERE idempotency_key = $1";
    let row = change.query_one_raw(sql(change, text, [name.into()])).await.map_err(Error::Store)?;
    let Some(row) = row else { return Ok(true) };
    let payload: String = row.try_get_by_index(0).map_err(Error::Store)?;
    Ok(serde_json::from_str::<Message>(&payload).is_ok_and(|queued| queued == *message))
}

/// Queues what arrives on the exchange of notifications: `data` is a message without its tenant, which the envelope has. The
/// event's id is the key and its source the caller, so an event that arrives twice is one message.
#[derive(Clone, Debug)]
pub struct Arriving(pub Queue);

impl Handle for Arriving {
    async fn handle(&self, effect: &DatabaseTransaction, event: &Envelope) -> Result<(), NotHandled> {
        // Not refused: the queue of refused messages would keep it.
        if removal::has_left(effect, &event.tenant_id.to_string()).await? {
            return Ok(());
        }
        let mut data = event.data.clone();
        data.insert("tenantId".to_owned(), event.tenant_id.to_string().into());
        // The library's error can repeat the value.
        let message: Message = serde_json::from_value(data.into()).map_err(|_| {
            NotHandled::Refused("`data` is not a message: see the API's `Message`".to_owned())
        })?;
        let caller =
            event.source.service.parse().map_err(|_| {
                NotHandled::Refused("`source.service` is not the name of a service".to_owned())
            })?;
        match self.0.put_in(effect, &caller, &event.id.to_string(), &message).await {
            Ok(_) => Ok(()),
            Err(Error::Store(error)) => Err(error.into()),
            Err(error) => Err(NotHandled::Refused(error.to_string())),
        }
    }
}
