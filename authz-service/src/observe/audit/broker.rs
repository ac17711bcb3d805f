//! Publishes events to RabbitMQ: the durable direct exchange [`EXCHANGE`], the durable queue [`QUEUE`] bound
//! to it by [`KEY`], each event persistent, with its kind as message type and its id as message id.
//!
//! | what happens | then |
//! |---|---|
//! | the broker confirms | the event counts as written |
//! | there are several brokers | they are tried in the order of the address, [`CONNECT_WITHIN`] each; events go to the first that accepts |
//! | it refuses, is silent for [`CONFIRM_WITHIN`], or the connection breaks | the same events are published again on a new connection; a consumer may see one twice and recognises it by its id |
//! | the exchange has another type, as older versions made it | the log says how to delete it; until then, as when it is unavailable |
//! | it stays unavailable | retried after 0.1 s, doubling up to [`MAX_PAUSE`]; events wait in the queue, and without room they are dropped and counted |
//! | the process ends | queued events have [`FLUSH_WITHIN`]; the rest is dropped and counted |
//!
//! It has a thread and a runtime of its own: a broker that hangs cannot delay a decision.

use std::io;
use std::sync::Arc;
use std::sync::mpsc as thread;
use std::time::Duration;

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ExchangeKind};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::observe::audit::event::Event;
use crate::observe::audit::sink::{self, Counts, MAX_WAITING, Strangers, Waiting};

use broker_connection::Entry;
pub use broker_connection::{Address, BadAddress};

/// The exchange that events are published to.
pub const EXCHANGE: &str = "coder.audit";

/// The queue that is created and bound if it is missing.
pub const QUEUE: &str = "coder.audit";

/// The routing key of every event. It is one for all kinds, because a direct exchange drops what no binding names.
pub const KEY: &str = "audit";

/// How long a connection with its declarations may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long confirmations of one batch may take.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// Events that are published before their confirmations are waited for.
const BATCH: usize = 256;

/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause: a broker that is back is found within this time.
pub const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How long shutdown waits for queued events.
pub const FLUSH_WITHIN: Duration = Duration::from_secs(3);

impl Waiting for mpsc::Sender<Arc<Event>> {
    fn offer(&self, event: Arc<Event>) -> Result<(), Arc<Event>> {
        self.try_send(event).map_err(TrySendError::into_inner)
    }
}

pub(super) type Queue = sink::Queue<mpsc::Sender<Arc<Event>>>;

/// The thread that publishes; dropping it gives queued events [`FLUSH_WITHIN`].
#[derive(Debug)]
pub(super) struct Broker {
    ending: watch::Sender<bool>,
    ended: thread::Receiver<()>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.ending.send(true);
        // The bound is the point. An error means that the thread has ended, which is just as good.
        let _ = self.ended.recv_timeout(FLUSH_WITHIN);
    }
}

pub(super) fn open(address: Address, counts: Counts) -> io::Result<(Queue, Broker)> {
    let (items, waiting) = mpsc::channel(MAX_WAITING);
    let (ending, end) = watch::channel(false);
    let (done, ended) = thread::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let strangers = Strangers::default();
    let (of_strangers, batch) = (strangers.clone(), Vec::new());
    let publisher =
        Publisher { address, counts: counts.clone(), waiting, end, batch, strangers: of_strangers };
    std::thread::Builder::new().name("audit-broker".to_owned()).spawn(move || {
        runtime.block_on(publisher.run());
        drop(done);
    })?;
    Ok((Queue::new(items, counts, strangers), Broker { ending, ended }))
}

/// Why events did not arrive.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Amqp(#[from] lapin::Error),
    #[error("no answer in time")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("cannot write an event as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the broker refused an event, probably because the queue is full")]
    Refused,
    #[error(
        "the exchange {EXCHANGE} exists and is not of the type direct; delete it once (`rabbitmqadmin delete exchange \
         name={EXCHANGE}`): it is made again at the next connection, and its queue keeps its messages"
    )]
    OtherType,
    #[error("the exchange leads to no queue")]
    Unroutable,
    #[error("{0}")]
    Files(#[from] BadAddress),
    #[error("{}", .0.join("; "))]
    NoBroker(Vec<String>),
}

struct Publisher {
    address: Address,
    counts: Counts,
    waiting: mpsc::Receiver<Arc<Event>>,
    end: watch::Receiver<bool>,
    /// The events that were taken out of the queue and are not confirmed.
    batch: Vec<Arc<Event>>,
    strangers: Strangers,
}

impl Publisher {
    async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        let mut is_logged = false;
        loop {
            let trouble = match Box::pin(self.session(&mut backoff, &mut is_logged)).await {
                Ok(()) => return,
                Err(trouble) => trouble,
            };
            if !std::mem::replace(&mut is_logged, true) {
                tracing::error!(broker = %self.address, %trouble, "audit broker unavailable; retrying");
            }
            if *self.end.borrow() || timeout(backoff.wait(), self.end.wait_for(|end| *end)).await.is_ok() {
                let lost = self.batch.len().saturating_add(self.waiting.len());
                self.counts.dropped.inc_by(u64::try_from(lost).unwrap_or(u64::MAX));
                return;
            }
        }
    }

    /// Runs one connection, until the end or until something fails.
    async fn session(&mut self, backoff: &mut Backoff, is_logged: &mut bool) -> Result<(), Trouble> {
        let (connection, channel) = connect(&self.address).await?;
        loop {
            if self.batch.is_empty() {
                tokio::select! {
                    biased;
                    _ = self.waiting.recv_many(&mut self.batch, BATCH) => {}
                    _ = self.end.wait_for(|end| *end) => {}
                }
                self.batch.iter().for_each(|event| self.strangers.leave(event));
            }
            if self.batch.is_empty() {
                // If this fails, the broker notices by itself.
                let _ = timeout(CONNECT_WITHIN, connection.close(200, "the authorizer ends".into())).await;
                return Ok(());
            }
            timeout(CONFIRM_WITHIN, publish(&channel, &self.batch)).await??;
            self.counts.written.inc_by(u64::try_from(self.batch.len()).unwrap_or(u64::MAX));
            self.batch.clear();
            backoff.reset();
            if std::mem::take(is_logged) {
                tracing::info!(broker = %self.address, "audit broker available again");
            }
        }
    }
}

/// A connection to the first broker that accepts one, with its channel ready.
async fn connect(address: &Address) -> Result<(Connection, Channel), Trouble> {
    let mut troubles = Vec::new();
    for entry in address.entries()? {
        let name = entry.to_string();
        let trouble = match timeout(CONNECT_WITHIN, Box::pin(connect_to(entry))).await {
            Ok(Ok(ready)) => return Ok(ready),
            Ok(Err(trouble)) => trouble,
            Err(late) => late.into(),
        };
        troubles.push(format!("{name}: {trouble}"));
    }
    Err(Trouble::NoBroker(troubles))
}

async fn connect_to(entry: Entry) -> Result<(Connection, Channel), Trouble> {
    let connection = entry.connect("authz-service audit").await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    // A queue that exists is used as it is: it may be a quorum queue, or have limits. The question ends its channel when there
    // is none.
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let asking = connection.create_channel().await?;
    let exists = asking.queue_declare(QUEUE.into(), passive, FieldTable::default()).await.is_ok();
    let channel = if exists { asking } else { connection.create_channel().await? };
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Direct, durable, FieldTable::default())
        .await
        .map_err(undeclared)?;
    if !exists {
        let queue = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(QUEUE.into(), queue, FieldTable::default()).await?;
    }
    let options = QueueBindOptions::default();
    channel.queue_bind(QUEUE.into(), EXCHANGE.into(), KEY.into(), options, FieldTable::default()).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

/// Returns what a refused declaration of the exchange means.
fn undeclared(error: lapin::Error) -> Trouble {
    let conflict = AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
    let is_conflict =
        matches!(error.kind(), lapin::ErrorKind::ProtocolError(refusal) if *refusal.kind() == conflict);
    if is_conflict { Trouble::OtherType } else { Trouble::Amqp(error) }
}

async fn publish(channel: &Channel, batch: &[Arc<Event>]) -> Result<(), Trouble> {
    let mut confirms = Vec::with_capacity(batch.len());
    for event in batch {
        let payload = event.json()?;
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(event.id.to_string().into())
            .with_type(event.kind().into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        confirms
            .push(channel.basic_publish(EXCHANGE.into(), KEY.into(), options, &payload, properties).await?);
    }
    for confirm in confirms {
        match confirm.await? {
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(_)) => return Err(Trouble::Unroutable),
            Confirmation::Nack(_) | Confirmation::NotRequested => return Err(Trouble::Refused),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_broker_the_queue_fills_and_every_lost_event_is_counted() {
        use crate::observe::audit::event::Body;
        use clock::UnixTime;
        use prometheus::IntCounter;

        // A port without a listener.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let counter = |name: &str| IntCounter::new(name, "x").unwrap();
        let counts = Counts { written: counter("written"), dropped: counter("dropped") };
        let address = Address::parse(&format!("amqp://127.0.0.1:{port}/%2f")).unwrap();
        let (queue, broker) = open(address, counts.clone()).unwrap();
        let body = Body::Admin { action: "started", detail: String::new() };
        let event = Arc::new(Event { id: uuid::Uuid::nil(), time: UnixTime::from_seconds(1), body });
        for _ in 0..MAX_WAITING + 5 {
            queue.put(Arc::clone(&event));
        }
        assert_eq!(counts.dropped.get(), 5, "there was room for the others");
        drop(broker);
        assert_eq!(counts.dropped.get(), u64::try_from(MAX_WAITING).unwrap() + 5, "the end counts the rest");
        assert_eq!(counts.written.get(), 0);
    }

    #[test]
    fn an_exchange_of_an_older_version_is_logged_and_its_events_arrive_once_it_is_deleted() {
        use crate::observe::audit::event::Body;
        use clock::UnixTime;
        use prometheus::IntCounter;

        let rabbit = harness::RabbitMq::start();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let entry = || Address::parse(&rabbit.url()).unwrap().entries().unwrap().remove(0);
        let (_connection, raw) = runtime.block_on(async {
            let connection = entry().connect("the test").await.unwrap();
            let raw = connection.create_channel().await.unwrap();
            let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            raw.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, FieldTable::default())
                .await
                .unwrap();
            (connection, raw)
        });
        let refused = runtime.block_on(connect(&Address::parse(&rabbit.url()).unwrap())).unwrap_err();
        assert!(refused.to_string().contains("rabbitmqadmin delete exchange name=coder.audit"), "{refused}");

        let counter = |name: &str| IntCounter::new(name, "x").unwrap();
        let counts = Counts { written: counter("written"), dropped: counter("dropped") };
        let (queue, _broker) = open(Address::parse(&rabbit.url()).unwrap(), counts.clone()).unwrap();
        let body = Body::Admin { action: "started", detail: String::new() };
        queue.put(Arc::new(Event { id: uuid::Uuid::nil(), time: UnixTime::from_seconds(1), body }));
        runtime.block_on(raw.exchange_delete(EXCHANGE.into(), Default::default())).unwrap();
        harness::eventually("the event arrives", || counts.written.get() == 1);
        assert_eq!(counts.dropped.get(), 0);
    }
}
