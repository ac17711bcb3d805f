//! The names at the broker, and what is declared there.
//!
//! With the prefix `coder`:
//!
//! | name | is |
//! |---|---|
//! | `coder.events` | a topic exchange; the routing key is the type of the event |
//! | `coder.notifications` | the same, for what services want to be told to people |
//! | `coder.audit` | the exchange of the authorizer's audit, and its queue; events that must be kept |
//! | `coder.dlq` | a direct exchange, and its queue: what consumers could not handle; the routing key is the consumer's queue |
//! | `coder.NAME` | the durable queue of the consumer NAME |

use std::str::FromStr;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};

use crate::bus::Subscription;
use crate::envelope::EventType;
use crate::exchange::{AUDITED, Exchange};

/// The most events that wait for a consumer. At the longest event this is 6.4 GB on the broker's disk; at the usual one of
/// 500 bytes, 50 MB. A full queue refuses, so that events wait in the outbox of their service and none is lost.
pub const MAX_WAITING: i64 = 100_000;

/// The longest prefix or name of a consumer; together they fit AMQP's 255 bytes.
const MAX_NAME_BYTES: usize = 63;

/// The names at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    prefix: String,
}

/// An invalid prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a prefix of exchanges; write 1 to 63 lower-case letters, digits, `-`, `_` or `.`")]
pub struct InvalidName(String);

impl Default for Topology {
    /// The prefix `events`.
    fn default() -> Self {
        Self { prefix: "events".to_owned() }
    }
}

impl FromStr for Topology {
    type Err = InvalidName;

    fn from_str(prefix: &str) -> Result<Self, InvalidName> {
        let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        match !prefix.is_empty() && prefix.len() <= MAX_NAME_BYTES && prefix.chars().all(is_valid) {
            true => Ok(Self { prefix: prefix.to_owned() }),
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
}

impl Topology {
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

    /// Declares the exchanges for publishers.
    pub(super) async fn declare_exchanges(
        &self,
        connection: &Connection,
        channel: &Channel,
    ) -> lapin::Result<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        for exchange in [Exchange::Events, Exchange::Notifications] {
            let name = self.exchange(exchange);
            channel
                .exchange_declare(name.into(), ExchangeKind::Topic, durable, FieldTable::default())
                .await?;
        }
        self.declare_audit(connection, channel, durable).await
    }

    /// The authorizer makes the same topic exchange, whose bindings here name whole keys, so it works as a direct one. One of
    /// another kind that exists is used as it is: declaring it as another kind is refused. The question whether there is one
    /// ends its channel when there is none.
    async fn declare_audit(
        &self,
        connection: &Connection,
        channel: &Channel,
        durable: ExchangeDeclareOptions,
    ) -> lapin::Result<()> {
        let name = self.exchange(Exchange::Audit);
        let passive = ExchangeDeclareOptions { passive: true, ..durable };
        let asking = connection.create_channel().await?;
        let nothing = FieldTable::default;
        if asking
            .exchange_declare(name.as_str().into(), ExchangeKind::Topic, passive, nothing())
            .await
            .is_err()
        {
            channel.exchange_declare(name.as_str().into(), ExchangeKind::Topic, durable, nothing()).await?;
        }
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = connection.create_channel().await?;
        if asking.queue_declare(name.as_str().into(), passive, nothing()).await.is_err() {
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), durable, nothing()).await?;
        }
        let options = QueueBindOptions::default();
        channel
            .queue_bind(name.as_str().into(), name.as_str().into(), AUDITED.into(), options, nothing())
            .await
    }

    /// Declares the queue of a consumer with its bindings, and returns its name.
    pub(super) async fn declare_queue(
        &self,
        channel: &Channel,
        subscription: &Subscription,
    ) -> lapin::Result<String> {
        let queue = self.queue(&subscription.consumer);
        let dead_letters = self.dead_letters();
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let nothing = FieldTable::default;
        channel
            .exchange_declare(dead_letters.as_str().into(), ExchangeKind::Direct, durable, nothing())
            .await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(dead_letters.as_str().into(), durable, Self::bounded()).await?;
        channel
            .queue_bind(
                dead_letters.as_str().into(),
                dead_letters.as_str().into(),
                queue.as_str().into(),
                QueueBindOptions::default(),
                nothing(),
            )
            .await?;
        let mut arguments = Self::bounded();
        let text = |text: &str| AMQPValue::LongString(text.into());
        arguments.insert("x-dead-letter-exchange".into(), text(&dead_letters));
        arguments.insert("x-dead-letter-routing-key".into(), text(&queue));
        channel.queue_declare(queue.as_str().into(), durable, arguments).await?;
        let exchange = self.exchange(subscription.exchange);
        for pattern in &subscription.patterns {
            let key = match subscription.exchange {
                Exchange::Events | Exchange::Notifications => pattern.as_str(),
                Exchange::Audit => AUDITED,
            };
            let (queue, exchange) = (queue.as_str().into(), exchange.as_str().into());
            channel.queue_bind(queue, exchange, key.into(), QueueBindOptions::default(), nothing()).await?;
        }
        Ok(queue)
    }

    /// A bounded queue that refuses when it is full. Its events are on disk before the broker confirms them, because it is
    /// durable and they are persistent.
    fn bounded() -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MAX_WAITING));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        arguments
    }
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
