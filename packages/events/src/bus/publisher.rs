//! Publishes to RabbitMQ, over one connection that opens itself again.

use std::time::Duration;

use broker_connection::{Address, Entry};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::bus::NotPublished;
use crate::bus::topology::{Topology, Undeclared};
use crate::envelope::Envelope;
use crate::exchange::Exchange;
use crate::pace;

/// How long a connection to one broker, with its declarations, may take.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long the broker may take to confirm. It writes to its disk first.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// The first and the longest pause between connections that fail.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Publishes to RabbitMQ.
#[derive(Debug)]
pub struct Publisher {
    address: Address,
    topology: Topology,
    service: String,
    link: Mutex<Link>,
}

#[derive(Debug, Default)]
struct Link {
    /// The open channel. The connection lives as long as it is here.
    open: Option<(Connection, Channel)>,
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

/// What came of an event that the broker confirmed.
enum Published {
    /// It is in the queues that want it.
    Routed,
    /// A queue should have it, and there is none.
    Unrouted,
}

impl Publisher {
    pub(super) fn new(address: Address, topology: Topology, service: &str) -> Self {
        Self { address, topology, service: service.to_owned(), link: Mutex::default() }
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    pub(super) const fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(super) async fn is_reachable(&self) -> bool {
        self.channel(Exchange::Events).await.is_ok()
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
        let channel = self.channel(exchange).await?;
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id(event.id.to_string().into())
            .with_type(event.kind.as_str().into());
        let (name, key) = (self.topology.exchange(exchange), exchange.routing_key(&event.kind).to_owned());
        let publish = async {
            // The broker sends back what has no queue.
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            channel
                .basic_publish(name.into(), key.into(), options, payload.as_bytes(), properties)
                .await?
                .await
        };
        let trouble = match timeout(CONFIRM_WITHIN, publish).await {
            Ok(Ok(Confirmation::Ack(None))) => return Ok(Published::Routed),
            Ok(Ok(Confirmation::Ack(Some(_)))) => {
                return Ok(match self.topology.expects(exchange, &event.kind) {
                    true => Published::Unrouted,
                    // No service asked for events of this type.
                    false => Published::Routed,
                });
            }
            // The channel is fine: a queue is full.
            Ok(Ok(Confirmation::Nack(_))) => {
                let full = "it refused the event; is the queue of a consumer full?";
                return Err(NotPublished::Unavailable(full.to_owned()));
            }
            Ok(Ok(Confirmation::NotRequested)) => "it does not confirm".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no confirmation within {CONFIRM_WITHIN:?}"),
        };
        self.abandon(&channel).await;
        Err(NotPublished::Unavailable(format!("{}: {trouble}", self.address)))
    }

    /// Declares what `exchange` needs over the open connection. Without one, the next publication declares it anyway.
    async fn declare_again(&self, exchange: Exchange) -> Result<(), NotPublished> {
        let mut link = self.link.lock().await;
        let Some((connection, channel)) = &link.open else { return Ok(()) };
        let declare = async {
            match exchange {
                Exchange::Audit => self.topology.declare_audit(connection, channel).await,
                Exchange::Events | Exchange::Notifications => self.topology.declare(channel).await,
            }
        };
        let trouble = match timeout(CONNECT_WITHIN, declare).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {CONNECT_WITHIN:?}"),
        };
        link.open = None;
        Err(NotPublished::Unavailable(format!("{}: {trouble}", self.address)))
    }

    /// Gives the channel up, unless another publisher has replaced it already.
    async fn abandon(&self, channel: &Channel) {
        let mut link = self.link.lock().await;
        // Numbers of channels repeat, the broken one is not connected any more; a silent one is given up by its number.
        if link.open.as_ref().is_some_and(|(_, open)| open.id() == channel.id()) {
            link.open = None;
        }
    }

    /// Returns the open channel, over which `exchange` is declared.
    async fn channel(&self, exchange: Exchange) -> Result<Channel, NotPublished> {
        let mut link = self.link.lock().await;
        if link.open.as_ref().is_none_or(|(_, channel)| !channel.status().connected()) {
            self.connect(&mut link).await?;
        }
        if exchange == Exchange::Audit && !link.has_audit {
            self.prepare_audit(&mut link).await?;
        }
        let open = link.open.as_ref().map(|(_, channel)| channel.clone());
        open.ok_or_else(|| NotPublished::Unavailable(link.trouble.clone()))
    }

    async fn connect(&self, link: &mut Link) -> Result<(), NotPublished> {
        if link.not_before.is_some_and(|until| Instant::now() < until) {
            return Err(NotPublished::Unavailable(link.trouble.clone()));
        }
        match connect(&self.address, &self.service).await {
            Ok(connection) => match timeout(CONNECT_WITHIN, self.prepare(&connection)).await {
                Ok(Ok(channel)) => {
                    *link = Link { open: Some((connection, channel)), ..Link::default() };
                    return Ok(());
                }
                Ok(Err(error)) => link.trouble = format!("{}: {error}", self.address),
                Err(_) => link.trouble = format!("{}: no answer within {CONNECT_WITHIN:?}", self.address),
            },
            Err(trouble) => link.trouble = trouble,
        }
        link.open = None;
        link.failures = link.failures.saturating_add(1);
        link.not_before = Some(Instant::now() + pace::wait(link.failures, PAUSES.0, PAUSES.1));
        Err(NotPublished::Unavailable(link.trouble.clone()))
    }

    async fn prepare(&self, connection: &Connection) -> Result<Channel, Undeclared> {
        let channel = connection.create_channel().await?;
        self.topology.declare(&channel).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Declares the exchange of the audit over a channel of its own, because a refusal ends the channel.
    async fn prepare_audit(&self, link: &mut Link) -> Result<(), NotPublished> {
        let Some((connection, _)) = &link.open else { return Ok(()) };
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

/// Connects to the first broker that accepts. The error names each with its trouble, without passwords.
pub(super) async fn connect(address: &Address, name: &str) -> Result<Connection, String> {
    let entries = address.entries().map_err(|error| error.to_string())?;
    let mut troubles = Vec::with_capacity(entries.len());
    for entry in entries {
        let broker = entry.to_string();
        match enter(entry, name).await {
            Ok(connection) => return Ok(connection),
            Err(trouble) => troubles.push(format!("{broker}: {trouble}")),
        }
    }
    Err(troubles.join("; "))
}

async fn enter(entry: Entry, name: &str) -> Result<Connection, String> {
    match timeout(CONNECT_WITHIN, Box::pin(entry.connect(name))).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {CONNECT_WITHIN:?}")),
    }
}
