//! The names at the broker, and what is declared there.
//!
//! With the prefix `coder`:
//!
//! | name | is |
//! |---|---|
//! | `coder.events` | a topic exchange; the routing key is the type of the event |
//! | `coder.notifications` | the same, for what services want to be told to people |
//! | `coder.audit` | a direct exchange, and its queue: the authorizer's audit, and events that must be kept; the routing key is `audit` |
//! | `coder.dlq` | a direct exchange, and its queue: what consumers could not handle; the routing key is the consumer's queue |
//! | `coder.NAME` | the durable queue of the consumer NAME |
//!
//! `coder.audit` and `coder.dlq` are made without a limit: the broker drops a dead letter that its queue refuses.

use std::str::FromStr;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};

use crate::bus::Subscription;
use crate::bus::services::{self, Consumers, Service};
use crate::envelope::EventType;
use crate::exchange::{AUDITED, Exchange};

/// The most events that wait for a consumer. At the longest event this is 6.4 GB on the broker's disk; at the usual one of
/// 500 bytes, 50 MB. A full queue refuses, so that events wait in the outbox of their service and none is lost.
pub const MAX_WAITING: i64 = 100_000;

/// The longest prefix or name of a consumer; together they fit AMQP's 255 bytes.
const MAX_NAME_BYTES: usize = 63;

/// What is needed at the broker cannot be declared.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undeclared {
    #[error("{0}")]
    Amqp(#[from] lapin::Error),
    /// An older version made it, or an operator.
    #[error(
        "the exchange {name} exists and is not of the type {kind}; delete it once (`rabbitmqadmin delete exchange \
         name={name}`): it is made again at the next connection, and queues keep their messages"
    )]
    OtherType { name: String, kind: &'static str },
    /// The same for a queue.
    #[error(
        "the queue {name} exists with other arguments; move its messages (`rabbitmqctl list_queues name messages`) and \
         delete it once: it is made again at the next connection"
    )]
    OtherArguments { name: String },
}

/// Returns whether the broker has in another form what was declared.
fn is_conflict(error: &lapin::Error) -> bool {
    let conflict = AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(refusal) if *refusal.kind() == conflict)
}

/// The names at the broker, and the services that have queues there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    prefix: String,
    consumers: Consumers,
}

/// An invalid prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a prefix of exchanges; write 1 to 63 lower-case letters, digits, `-`, `_` or `.`")]
pub struct InvalidName(String);

impl Default for Topology {
    /// The prefix `events`.
    fn default() -> Self {
        Self { prefix: "events".to_owned(), consumers: Consumers::default() }
    }
}

impl FromStr for Topology {
    type Err = InvalidName;

    fn from_str(prefix: &str) -> Result<Self, InvalidName> {
        let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        match !prefix.is_empty() && prefix.len() <= MAX_NAME_BYTES && prefix.chars().all(is_valid) {
            true => Ok(Self { prefix: prefix.to_owned(), consumers: Consumers::default() }),
            false => Err(InvalidName(prefix.chars().take(128).collect())),
        }
    }
}

/// Types of events: each part is a word or `*`; `#` alone is every type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// An invalid pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pattern of event types; write `#`, or three parts such as `tenants.tenant.*`")]
pub struct InvalidPattern(String);

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        // With a word for each `*`, a pattern is a type.
        let words: Vec<&str> = text.split('.').map(|part| if part == "*" { "any" } else { part }).collect();
        match text == "#" || words.join(".").parse::<EventType>().is_ok() {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidPattern(text.chars().take(128).collect())),
        }
    }
}

impl Pattern {
    /// Whether `kind` is one of the types.
    #[must_use]
    pub fn matches(&self, kind: &EventType) -> bool {
        let parts = self.0.split('.').zip(kind.as_str().split('.'));
        self.0 == "#" || parts.into_iter().all(|(pattern, part)| pattern == "*" || pattern == part)
    }

    fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern `text` of the table of services. A test parses all of them.
    pub(super) fn of_table(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Topology {
    /// Keeps the queues of `consumers` alone.
    #[must_use]
    pub fn with_consumers(self, consumers: Consumers) -> Self {
        Self { consumers, ..self }
    }

    /// The name of `exchange`.
    #[must_use]
    pub fn exchange(&self, exchange: Exchange) -> String {
        format!("{}.{}", self.prefix, exchange.suffix())
    }

    /// The name of the exchange and of the queue of dead letters.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}.dlq", self.prefix)
    }

    /// The name of the queue of `consumer`.
    #[must_use]
    pub fn queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}", self.prefix)
    }

    /// Returns whether a queue that is declared here gets events of the type `kind` that are published to `exchange`. An event
    /// of another type has no consumer, and may be dropped.
    pub(super) fn expects(&self, exchange: Exchange, kind: &EventType) -> bool {
        exchange == Exchange::Audit || self.consumers.expect(exchange, kind)
    }

    /// Declares the exchanges of events and of notifications, the dead letters, and the queue of each service that consumes.
    ///
    /// The queue of dead letters has no limit: with one, the broker would drop dead letters when it is full.
    pub(super) async fn declare(&self, connection: &Connection, channel: &Channel) -> Result<(), Undeclared> {
        for exchange in [Exchange::Events, Exchange::Notifications] {
            declare_exchange(channel, &self.exchange(exchange), (ExchangeKind::Topic, "topic")).await?;
        }
        let dead_letters = self.dead_letters();
        declare_exchange(channel, &dead_letters, (ExchangeKind::Direct, "direct")).await?;
        declare_unless_there(connection, channel, &dead_letters).await?;
        for service in self.consumers.services() {
            self.declare_service(channel, service).await?;
        }
        Ok(())
    }

    /// Declares the exchange of the audit with its queue, as the authorizer does.
    ///
    /// It is apart from the rest: an exchange that is wrong must not stop the other events.
    pub(super) async fn declare_audit(
        &self,
        connection: &Connection,
        channel: &Channel,
    ) -> Result<(), Undeclared> {
        let name = self.exchange(Exchange::Audit);
        declare_exchange(channel, &name, (ExchangeKind::Direct, "direct")).await?;
        declare_unless_there(connection, channel, &name).await?;
        bind(channel, &name, &name, AUDITED).await
    }

    /// Declares the queue of a subscription, after [`Self::declare`], and returns its name.
    pub(super) async fn declare_subscription(
        &self,
        connection: &Connection,
        channel: &Channel,
        Subscription { consumer, exchange, patterns }: &Subscription,
    ) -> Result<String, Undeclared> {
        if *exchange == Exchange::Audit {
            self.declare_audit(connection, channel).await?;
        }
        let patterns: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
        let useful_for = services::useful_for(consumer);
        let service = Service { consumer, exchange: *exchange, patterns: &patterns, useful_for };
        self.declare_service(channel, &service).await?;
        Ok(self.queue(consumer))
    }

    /// Declares the queue of a service with its bindings.
    async fn declare_service(
        &self,
        channel: &Channel,
        Service { consumer, exchange, patterns, useful_for }: &Service<'_>,
    ) -> Result<(), Undeclared> {
        let queue = self.queue(consumer);
        match useful_for {
            None => {
                let dead_letters = self.dead_letters();
                let mut arguments = Self::bounded();
                let text = |text: &str| AMQPValue::LongString(text.into());
                arguments.insert("x-dead-letter-exchange".into(), text(&dead_letters));
                arguments.insert("x-dead-letter-routing-key".into(), text(&queue));
                declare_queue(channel, &queue, arguments).await?;
                bind(channel, &dead_letters, &dead_letters, &queue).await?;
            }
            Some(time) => declare_queue(channel, &queue, Self::brief(*time)).await?,
        }
        for pattern in *patterns {
            let key = match exchange {
                Exchange::Events | Exchange::Notifications => pattern,
                Exchange::Audit => AUDITED,
            };
            bind(channel, &queue, &self.exchange(*exchange), key).await?;
        }
        Ok(())
    }

    /// A bounded queue that refuses when it is full. Its events are on disk before the broker confirms them, because it is
    /// durable and they are persistent.
    fn bounded() -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_WAITING));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        arguments
    }

    /// A queue that drops what is older than `time`, and the oldest when it is full.
    fn brief(time: Duration) -> FieldTable {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_WAITING));
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
        arguments
    }
}

async fn declare_exchange(
    channel: &Channel,
    name: &str,
    (kind, shown): (ExchangeKind, &'static str),
) -> Result<(), Undeclared> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), kind, durable, FieldTable::default()).await;
    declared.map_err(|error| match is_conflict(&error) {
        true => Undeclared::OtherType { name: name.to_owned(), kind: shown },
        false => Undeclared::Amqp(error),
    })
}

async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Undeclared> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(name.into(), durable, arguments).await;
    declared.map(drop).map_err(|error| match is_conflict(&error) {
        true => Undeclared::OtherArguments { name: name.to_owned() },
        false => Undeclared::Amqp(error),
    })
}

/// Declares a queue without limits. One that exists is used as it is: it may be a quorum queue, or have limits. The
/// question whether there is one ends its channel when there is none.
async fn declare_unless_there(
    connection: &Connection,
    channel: &Channel,
    name: &str,
) -> Result<(), Undeclared> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let asking = connection.create_channel().await?;
    match asking.queue_declare(name.into(), passive, FieldTable::default()).await {
        Ok(_) => Ok(()),
        Err(_) => declare_queue(channel, name, FieldTable::default()).await,
    }
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), Undeclared> {
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default());
    Ok(bound.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_part_by_part() {
        let kind: EventType = "tenants.tenant.suspended".parse().unwrap();
        for (pattern, matches) in [
            ("#", true),
            ("tenants.tenant.suspended", true),
            ("tenants.tenant.*", true),
            ("*.*.suspended", true),
            ("tenants.tenant.deleted", false),
            ("users.*.*", false),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(&kind), matches, "{pattern}");
        }
        for text in ["", "*", "a.b", "a.#", "a.b.c.d", "A.b.c", "a.b*.c"] {
            assert!(text.parse::<Pattern>().unwrap_err().to_string().contains("three parts"), "{text}");
        }
    }

    #[test]
    fn names_have_the_prefix_and_a_prefix_is_checked() {
        let topology: Topology = "coder".parse().unwrap();
        let names =
            [Exchange::Events, Exchange::Notifications, Exchange::Audit].map(|e| topology.exchange(e));
        assert_eq!(names, ["coder.events", "coder.notifications", "coder.audit"]);
        assert_eq!(
            (topology.dead_letters(), topology.queue("users")),
            ("coder.dlq".into(), "coder.users".into())
        );
        for text in ["", "Coder", "a b", "a#", "a*"] {
            assert!(text.parse::<Topology>().is_err(), "{text}");
        }
        assert!("x".repeat(64).parse::<Topology>().is_err());
    }
}
