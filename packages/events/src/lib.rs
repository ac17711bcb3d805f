//! Events between services, so that a change and what follows from it cannot come apart.
//!
//! ```text
//! envelope   what every event has in common, checked by a JSON Schema on both ends
//! tables     the tables below, as steps of a service's migrations
//! outbox     rows written in the transaction of the change, and the workers that deliver them
//! relay      delivers rows of the outbox to the bus
//! bus        RabbitMQ, or the process itself: publish with confirmation, consume with a bound
//! handled    an effect at most once for each event, in the transaction of the effect
//! moment     times as both databases compare them. statement: SQL that both read
//! store      an append-only event store: streams, optimistic appends, projections
//! ```
//!
//! | what is killed | then |
//! |---|---|
//! | a service between its change and the event | both are in one transaction: both happened, or neither |
//! | a worker in the middle of a delivery | its lease ends after [`outbox::LEASE`], and another worker delivers |
//! | the broker | publications are not confirmed and stay in the outbox; durable queues keep what they have |
//! | the database | workers and consumers wait for it; an unconfirmed effect is handled again, once |
//!
//! Delivery is at least once, and handling is exactly once: see [`handled`].

pub mod bus;
pub mod envelope;
mod exchange;
pub mod handled;
pub mod moment;
pub mod outbox;
mod pace;
pub mod relay;
pub mod statement;
pub mod store;
pub mod tables;

/// The JSON Schema of the data of events on [`Exchange::Notifications`].
pub const NOTIFICATION_SCHEMA: &str = include_str!("notification.schema.json");

pub use bus::Bus;
pub use envelope::{Envelope, EventType, InvalidEvent, Metadata, Source};
pub use exchange::Exchange;
pub use outbox::Outbox;
