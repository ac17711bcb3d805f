//! The services that consume events, in one table.
//!
//! Publishers and consumers declare the queues of all of them. So a service that starts for the first time after an event was
//! published gets it nevertheless, and the order of first starts does not matter.

use std::str::FromStr;
use std::time::Duration;

use crate::bus::{Pattern, Subscription};
use crate::envelope::EventType;
use crate::exchange::Exchange;

/// A service that consumes events.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Service<'t> {
    /// Its name, which names its queue, too.
    pub(super) consumer: &'t str,
    /// Where its events are published.
    pub(super) exchange: Exchange,
    /// Their types, each as a [`Pattern`].
    pub(super) patterns: &'t [&'t str],
    /// How long an event is of use, when it may be lost after that. Such a queue never fills up and has no dead letters.
    pub(super) useful_for: Option<Duration>,
}

/// Every service that consumes events, with what it gets, in the order of their names. A service that consumes is added here,
/// and subscribes by [`Subscription::of`].
const SERVICES: &[Service<'static>] = &[
    Service {
        consumer: "library",
        exchange: Exchange::Events,
        patterns: &["users.taste.changed"],
        // It invalidates what is cached for ten seconds anyway.
        useful_for: Some(Duration::from_mins(1)),
    },
    Service {
        consumer: "notifications",
        exchange: Exchange::Notifications,
        patterns: &["#"],
        useful_for: None,
    },
    Service {
        consumer: "users",
        exchange: Exchange::Events,
        patterns: &["notifications.device.gone"],
        useful_for: None,
    },
];

/// A name that is not in the table of services.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} does not consume events; the services that do are {}", names().join(", "))]
pub struct UnknownConsumer {
    name: String,
}

fn names() -> Vec<&'static str> {
    SERVICES.iter().map(|service| service.consumer).collect()
}

fn find(name: &str) -> Result<&'static Service<'static>, UnknownConsumer> {
    let unknown = || UnknownConsumer { name: name.chars().take(128).collect() };
    SERVICES.iter().find(|service| service.consumer == name).ok_or_else(unknown)
}

/// Returns how long events of the consumer `name` are of use. A consumer that is not in the table loses none.
pub(super) fn useful_for(name: &str) -> Option<Duration> {
    find(name).ok()?.useful_for
}

impl Subscription {
    /// Returns what the service `consumer` gets, as the table of all services says.
    ///
    /// # Errors
    /// [`UnknownConsumer`].
    pub fn of(consumer: &str) -> Result<Self, UnknownConsumer> {
        let Service { consumer, exchange, patterns, .. } = find(consumer)?;
        let patterns = patterns.iter().map(|pattern| Pattern::of_table(pattern)).collect();
        Ok(Self { consumer: (*consumer).to_owned(), exchange: *exchange, patterns })
    }
}

/// The services whose queues exist at the broker. By default these are all that consume events. Leave out a service that is not
/// deployed: nothing would empty its queue, and a full queue refuses, which holds up the services that publish to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumers(Vec<&'static Service<'static>>);

impl Default for Consumers {
    fn default() -> Self {
        Self(SERVICES.iter().collect())
    }
}

impl FromStr for Consumers {
    type Err = UnknownConsumer;

    /// Reads names, separated by commas.
    fn from_str(text: &str) -> Result<Self, UnknownConsumer> {
        text.split(',').map(|name| find(name.trim())).collect::<Result<_, _>>().map(Self)
    }
}

impl Consumers {
    pub(super) fn services(&self) -> impl Iterator<Item = &'static Service<'static>> {
        self.0.iter().copied()
    }

    /// Whether one of the services gets events of the type `kind` that are published to `exchange`.
    pub(super) fn expect(&self, exchange: Exchange, kind: &EventType) -> bool {
        self.services()
            .filter(|service| service.exchange == exchange)
            .any(|service| service.patterns.iter().any(|pattern| Pattern::of_table(pattern).matches(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_valid() {
        for service in SERVICES {
            let subscription = Subscription::of(service.consumer).unwrap();
            assert_eq!(subscription.consumer, service.consumer);
            for (pattern, text) in subscription.patterns.iter().zip(service.patterns) {
                assert_eq!(pattern, &text.parse().unwrap());
            }
            // A queue of one of these names would be another thing: see the table of names.
            assert!(!["audit", "dlq"].contains(&service.consumer));
        }
        assert!(names().is_sorted());
    }

    #[test]
    fn names_are_those_of_the_table_and_an_unknown_one_lists_them() {
        let consumers: Consumers = "users, notifications".parse().unwrap();
        assert_eq!(consumers.services().count(), 2);
        for text in ["user", "users,", "users;library", "Users"] {
            let error = text.parse::<Consumers>().unwrap_err().to_string();
            assert!(names().iter().all(|name| error.contains(name)), "{text}: {error}");
        }
    }

    #[test]
    fn an_event_is_expected_by_who_gets_it() {
        let (gone, other) = ("notifications.device.gone".parse().unwrap(), "a.b.c".parse().unwrap());
        let (all, one): (Consumers, Consumers) = (Consumers::default(), "notifications".parse().unwrap());
        assert!(all.expect(Exchange::Events, &gone) && !all.expect(Exchange::Events, &other));
        assert!(!one.expect(Exchange::Events, &gone) && one.expect(Exchange::Notifications, &other));
    }
}
