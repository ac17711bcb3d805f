//! Publishes to RabbitMQ, over one connection that opens itself again.
//!
//! Each publication has a channel to itself until it is confirmed. The broker sends back an event that no queue takes,
//! and then confirms it; on a channel with several publications under way, lapin can pair a returned event with the
//! confirmation of another one when the broker confirms them together. The one would then count as published, and the
//! other be published twice.

use std::time::Duration;

use broker_connection::Address;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::time::{Instant, timeout};

use crate::bus::NotPublished;
use crate::bus::topology::{Topology, Undeclared};
use crate::envelope::Envelope;
use crate::exchange::Exchange;
use crate::pace;

/// How long a connection to one broker may take, and then its declarations.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long connecting may take over all brokers together. With the declarations and a confirmation it is less than a
/// delivery of the outbox may take ([`DELIVER_WITHIN`](crate::outbox::DELIVER_WITHIN)): an outage is then known as one,
/// and uses up no attempt.
const CONNECT_ALL_WITHIN: Duration = Duration::from_secs(8);

/// How long the broker may take to confirm. It writes to its disk first.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// Channels of one connection, and so publications under way. A worker of the outbox publishes as many rows at a time.
const CHANNELS: usize = 16;

/// The first and the longest pause between connections that fail.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Publishes to RabbitMQ.
#[derive(Debug)]
pub struct Publisher {
    address: Address,
    topology: Topology,
    service: String,
    link: Mutex<Link>,
    /// One permit for each channel that may be open.
    turns: Semaphore,
}

#[derive(Debug, Default)]
struct Link {
    /// The open connection. It lives as long as it, or one of its channels, is in use.
    open: Option<Connection>,
    /// Its channels over which nothing is under way.
    idle: Vec<Channel>,
    /// How many connections were opened: the number of this one.
    number: u64,
    /// Which broker is tried first.
    first: First,
    /// Whether the exchange of the audit was declared over it.
    has_audit: bool,
    /// Whether the log says that it cannot be declared.
    is_audit_logged: bool,
    failures: u32,
    /// Before this, no other connection is tried, so that many publishers do not hammer a broker that is down.
    not_before: Option<Instant>,
    /// Why the last connection failed.
    trouble: String,
}

/// A channel for one publication, of the connection with this number.
struct Lane {
    channel: Channel,
    number: u64,
}

/// What came of an event that the broker confirmed.
enum Published {
    /// It is in the queues that want it.
    Routed,
    /// A queue should have it, and there is none.
    Unrouted,
}

impl Publisher {
    pub(super) fn new(address: Address, topology: Topology, service: &str) -> Self {
        let (link, turns) = (Mutex::default(), Semaphore::new(CHANNELS));
        Self { address, topology, service: service.to_owned(), link, turns }
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    pub(super) const fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(super) async fn is_reachable(&self) -> bool {
        self.connected(Exchange::Events).await.is_ok()
    }

    pub(super) async fn publish(&self, exchange: Exchange, event: &Envelope) -> Result<(), NotPublished> {
        let payload = event.to_json().map_err(|error| NotPublished::Refused(error.to_string()))?;
        match self.publish_once(exchange, event, &payload).await? {
            Published::Routed => return Ok(()),
            Published::Unrouted => {}
        }
        // Somebody deleted a queue. Declaring is the same whether it is there or not.
        self.declare_again(exchange).await?;
        match self.publish_once(exchange, event, &payload).await? {
            Published::Routed => Ok(()),
            Published::Unrouted => {
                let name = self.topology.exchange(exchange);
                let trouble = format!("{}: no queue takes {} from {name}", self.address, event.kind);
                Err(NotPublished::Unavailable(trouble))
            }
        }
    }

    async fn publish_once(
        &self,
        exchange: Exchange,
        event: &Envelope,
        payload: &str,
    ) -> Result<Published, NotPublished> {
        let _turn = self.turns.acquire().await;
        let lane = self.lane(exchange).await?;
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(event.id.to_string().into())
            .with_type(event.kind.as_str().into());
        let (name, key) = (self.topology.exchange(exchange), exchange.routing_key(&event.kind).to_owned());
        let publish = async {
            // The broker sends back what has no queue.
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            lane.channel
                .basic_publish(name.into(), key.into(), options, payload.as_bytes(), properties)
                .await?
                .await
        };
        let trouble = match timeout(CONFIRM_WITHIN, publish).await {
            Ok(Ok(Confirmation::Ack(None))) => {
                self.give_back(lane).await;
                return Ok(Published::Routed);
            }
            Ok(Ok(Confirmation::Ack(Some(_)))) => {
                self.give_back(lane).await;
                return Ok(match self.topology.expects(exchange, &event.kind) {
                    true => Published::Unrouted,
                    // No service asked for events of this type.
                    false => Published::Routed,
                });
            }
            // The channel is fine: a queue is full.
            Ok(Ok(Confirmation::Nack(_))) => {
                self.give_back(lane).await;
                let full = "it refused the event; is the queue of a consumer full?";
                return Err(NotPublished::Unavailable(full.to_owned()));
            }
            Ok(Ok(Confirmation::NotRequested)) => "it does not confirm".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no confirmation within {CONFIRM_WITHIN:?}"),
        };
        self.abandon(&lane).await;
        Err(NotPublished::Unavailable(format!("{}: {trouble}", self.address)))
    }

    /// Declares what `exchange` needs over the open connection. Without one, the next publication declares it anyway.
    async fn declare_again(&self, exchange: Exchange) -> Result<(), NotPublished> {
        let mut link = self.link.lock().await;
        let Some(connection) = &link.open else { return Ok(()) };
        let declare = async {
            let channel = connection.create_channel().await?;
            match exchange {
                Exchange::Audit => self.topology.declare_audit(connection, &channel).await,
                Exchange::Events | Exchange::Notifications => {
                    self.topology.declare(connection, &channel).await
                }
            }
        };
        let trouble = match timeout(CONNECT_WITHIN, declare).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {CONNECT_WITHIN:?}"),
        };
        link.close();
        Err(NotPublished::Unavailable(format!("{}: {trouble}", self.address)))
    }

    /// Keeps the channel for another publication. Only one whose publication was confirmed comes back: a channel that
    /// still owes a confirmation is never used again.
    async fn give_back(&self, lane: Lane) {
        let mut link = self.link.lock().await;
        if link.number == lane.number && link.open.is_some() {
            link.idle.push(lane.channel);
        }
    }

    /// Gives the connection of `lane` up, unless another publication has replaced it already.
    async fn abandon(&self, lane: &Lane) {
        let mut link = self.link.lock().await;
        if link.number == lane.number {
            link.close();
        }
    }

    /// Returns a channel over which nothing is under way, and over whose connection `exchange` is declared.
    async fn lane(&self, exchange: Exchange) -> Result<Lane, NotPublished> {
        let mut link = self.connected(exchange).await?;
        let number = link.number;
        while let Some(channel) = link.idle.pop() {
            if channel.status().connected() {
                return Ok(Lane { channel, number });
            }
        }
        let Some(connection) = &link.open else {
            return Err(NotPublished::Unavailable(link.trouble.clone()));
        };
        let trouble = match timeout(CONNECT_WITHIN, confirming(connection)).await {
            Ok(Ok(channel)) => return Ok(Lane { channel, number }),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {CONNECT_WITHIN:?}"),
        };
        link.close();
        Err(NotPublished::Unavailable(format!("{}: {trouble}", self.address)))
    }

    /// Returns the link with an open connection, over which `exchange` is declared.
    async fn connected(&self, exchange: Exchange) -> Result<MutexGuard<'_, Link>, NotPublished> {
        let mut link = self.link.lock().await;
        if link.open.as_ref().is_none_or(|connection| !connection.status().connected()) {
            self.connect(&mut link).await?;
        }
        if exchange == Exchange::Audit && !link.has_audit {
            self.prepare_audit(&mut link).await?;
        }
        Ok(link)
    }

    async fn connect(&self, link: &mut Link) -> Result<(), NotPublished> {
        if link.not_before.is_some_and(|until| Instant::now() < until) {
            return Err(NotPublished::Unavailable(link.trouble.clone()));
        }
        match connect(&self.address, &self.service, &mut link.first).await {
            Ok(connection) => match timeout(CONNECT_WITHIN, self.prepare(&connection)).await {
                Ok(Ok(channel)) => {
                    let number = link.number.wrapping_add(1);
                    *link = Link { open: Some(connection), idle: vec![channel], number, ..Link::default() };
                    return Ok(());
                }
                Ok(Err(error)) => link.trouble = format!("{}: {error}", self.address),
                Err(_) => link.trouble = format!("{}: no answer within {CONNECT_WITHIN:?}", self.address),
            },
            Err(trouble) => link.trouble = trouble,
        }
        link.close();
        link.failures = link.failures.saturating_add(1);
        link.not_before = Some(Instant::now() + pace::wait(link.failures, PAUSES.0, PAUSES.1));
        Err(NotPublished::Unavailable(link.trouble.clone()))
    }

    async fn prepare(&self, connection: &Connection) -> Result<Channel, Undeclared> {
        let channel = confirming(connection).await?;
        self.topology.declare(connection, &channel).await?;
        Ok(channel)
    }

    /// Declares the exchange of the audit over a channel of its own, because a refusal ends the channel.
    async fn prepare_audit(&self, link: &mut Link) -> Result<(), NotPublished> {
        let Some(connection) = &link.open else { return Ok(()) };
        let declare = async {
            let channel = connection.create_channel().await?;
            self.topology.declare_audit(connection, &channel).await
        };
        let trouble = match timeout(CONNECT_WITHIN, declare).await {
            Ok(Ok(())) => {
                link.has_audit = true;
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {CONNECT_WITHIN:?}"),
        };
        if !std::mem::replace(&mut link.is_audit_logged, true) {
            tracing::error!(broker = %self.address, %trouble, "events for the audit wait");
        }
        Err(NotPublished::Unavailable(format!("{}: {trouble}", self.address)))
    }
}

impl Link {
    /// Gives the connection up. Publications under way over its channels end by themselves.
    fn close(&mut self) {
        self.open = None;
        self.idle.clear();
    }
}

/// Opens a channel on which the broker confirms what is published.
async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// The place of the broker that is tried first. Zero, unless the last attempt had no time for all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct First(usize);

/// Connects to the first broker that accepts. The error names each with its trouble, without passwords.
///
/// Brokers that do not answer can take all the time. The next attempt then begins with the first one that did not have
/// its whole time, so that one that answers is found in the end, wherever it stands.
pub(super) async fn connect(address: &Address, name: &str, first: &mut First) -> Result<Connection, String> {
    let mut entries = address.entries().map_err(|error| error.to_string())?;
    let count = entries.len().max(1);
    let start = std::mem::take(first).0 % count;
    entries.rotate_left(start);
    let until = Instant::now() + CONNECT_ALL_WITHIN;
    let mut troubles = Vec::with_capacity(count);
    for (place, entry) in entries.into_iter().enumerate() {
        let (broker, left) = (entry.to_string(), until.saturating_duration_since(Instant::now()));
        let within = left.min(CONNECT_WITHIN);
        let trouble = match timeout(within, Box::pin(entry.connect(name))).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error.to_string(),
            Err(_) if within < CONNECT_WITHIN => {
                *first = First((start + place) % count);
                troubles.push(format!("{broker}: no answer yet; it is the first of the next attempt"));
                break;
            }
            Err(_) => format!("no answer within {CONNECT_WITHIN:?}"),
        };
        troubles.push(format!("{broker}: {trouble}"));
    }
    Err(troubles.join("; "))
}
