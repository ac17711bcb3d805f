//! Carries events between services: over RabbitMQ, or within the process when there is none.
//!
//! | | RabbitMQ | in the process |
//! |---|---|---|
//! | published | when the broker confirmed it: it is on disk | when every subscriber has handled it |
//! | a subscriber is away, or never started | its durable queue keeps [`MAX_WAITING`] events | it gets events from when it subscribes |
//! | its queue was deleted | it is declared again, and the event published again | |
//! | an event cannot be handled | it is a dead letter after [`MAX_TRIES`] | its row of the outbox waits, and dies in the end |
//!
//! A publication that is not confirmed is repeated by the outbox, so an event may arrive twice: [`crate::handled`].

mod consumer;
mod local;
mod publisher;
mod services;
mod topology;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use broker_connection::Address;
use clock::Clock;
use sea_orm::DatabaseConnection;
use tokio::sync::watch;

use crate::envelope::Envelope;
use crate::exchange::Exchange;
use crate::handled::Handle;

pub use consumer::{MAX_REDELIVERIES, MAX_TRIES};
pub use services::{Consumers, UnknownConsumer};
pub use topology::{InvalidName, InvalidPattern, MAX_WAITING, Pattern, Topology};

/// Why an event was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPublished {
    /// The broker cannot be reached, does not answer, or has no room.
    #[error("the broker is unavailable: {0}")]
    Unavailable(String),
    /// A subscriber in this process failed.
    #[error("{0}")]
    Failed(String),
    /// It can never be published.
    #[error("{0}")]
    Refused(String),
}

/// A bus. Clones share it.
#[derive(Clone)]
pub enum Bus {
    /// Within the process.
    InProcess(Arc<local::Local>),
    /// Over RabbitMQ.
    Broker(Arc<publisher::Publisher>),
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess(_) => f.write_str("InProcess"),
            Self::Broker(publisher) => write!(f, "Broker({})", publisher.address()),
        }
    }
}

/// Which events a consumer gets.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The name of the consumer, usually of the service: it names the durable queue, and the marks of handled events.
    pub consumer: String,
    /// Where they are published.
    pub exchange: Exchange,
    /// Their types.
    pub patterns: Vec<Pattern>,
}

/// What a consumer works with.
pub struct Handler<H> {
    /// The effect of each event.
    pub handle: H,
    /// The database of the effect.
    pub database: DatabaseConnection,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl<H> fmt::Debug for Handler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl Bus {
    /// A bus over the brokers of `address`, or without one within this process. The broker lists the connection under
    /// `service`. Nothing is connected before the first event.
    #[must_use]
    pub fn open(address: Option<Address>, topology: Topology, service: &str) -> Self {
        match address {
            Some(address) => Self::Broker(Arc::new(publisher::Publisher::new(address, topology, service))),
            None => Self::InProcess(Arc::new(local::Local::default())),
        }
    }

    /// Publishes `event`, and waits until that is confirmed.
    ///
    /// # Errors
    /// [`NotPublished`]. It may have arrived nevertheless.
    pub async fn publish(&self, exchange: Exchange, event: &Envelope) -> Result<(), NotPublished> {
        match self {
            Self::InProcess(local) => local.publish(exchange, event).await,
            Self::Broker(publisher) => publisher.publish(exchange, event).await,
        }
    }

    /// Whether events can be published at the moment.
    pub async fn is_reachable(&self) -> bool {
        match self {
            Self::InProcess(_) => true,
            Self::Broker(publisher) => publisher.is_reachable().await,
        }
    }

    /// Subscribes, and returns the work of the consumer: run it until it ends, which it does some time after `stop` is true
    /// or its sender is gone. Within the process the subscription counts from now on; at the broker, from when its queue exists:
    /// for a service of the table, from the first publication or subscription of any service.
    pub fn consume<H: Handle>(
        &self,
        subscription: Subscription,
        handler: Handler<H>,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let work = match self {
            Self::InProcess(local) => Work::InProcess(local.subscribe(&subscription)),
            Self::Broker(publisher) => {
                Work::Broker(publisher.address().clone(), publisher.topology().clone())
            }
        };
        async move {
            match work {
                Work::InProcess(arriving) => local::consume(arriving, &subscription, &handler, stop).await,
                Work::Broker(address, topology) => {
                    consumer::consume(&address, &topology, &subscription, &handler, stop).await;
                }
            }
        }
    }
}

enum Work {
    InProcess(local::Arriving),
    Broker(Address, Topology),
}
