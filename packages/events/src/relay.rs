//! Publishes the events of the outbox to the bus: `Worker::new(database, &outbox, Relay::new(bus))`.

use crate::bus::{Bus, NotPublished};
use crate::envelope::Envelope;
use crate::exchange::Exchange;
use crate::outbox::{Deliver, Item, Outcome};

/// Delivers rows that [`Outbox::announce`](crate::Outbox::announce) wrote.
#[derive(Clone, Debug)]
pub struct Relay {
    bus: Bus,
}

impl Relay {
    /// Publishes to `bus`.
    #[must_use]
    pub const fn new(bus: Bus) -> Self {
        Self { bus }
    }
}

impl Deliver for Relay {
    fn kinds(&self) -> &'static [&'static str] {
        Exchange::KINDS
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        let Some(exchange) = Exchange::of_kind(&item.kind) else {
            return Outcome::Refused { error: format!("no exchange takes rows of the kind {:?}", item.kind) };
        };
        let event = match Envelope::parse(item.payload.as_bytes()) {
            Ok(event) => event,
            Err(error) => return Outcome::Refused { error: error.to_string() },
        };
        match self.bus.publish(exchange, &event).await {
            Ok(()) => Outcome::Delivered,
            Err(NotPublished::Unavailable(error)) => Outcome::Unavailable { error },
            Err(NotPublished::Failed(error)) => Outcome::Failed { error, after: None },
            Err(NotPublished::Refused(error)) => Outcome::Refused { error },
        }
    }
}
