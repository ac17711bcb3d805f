//! Where events are published. The names at the broker are in [`crate::bus::Topology`].

use crate::envelope::EventType;

/// The routing key of everything at the audit exchange, also of the authorizer's events. It is one for all types,
/// because a direct exchange drops what no binding names: with a key for each type, a new type would be lost.
pub(crate) const AUDITED: &str = "audit";

/// Where events are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// What happened.
    Events,
    /// What people are to be told.
    Notifications,
    /// What must be kept.
    Audit,
}

impl Exchange {
    /// The kinds of outbox rows, one for each exchange.
    pub(crate) const KINDS: &'static [&'static str] = &["event", "notification", "audit"];

    /// The kind of an outbox row that is published here.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Events => "event",
            Self::Notifications => "notification",
            Self::Audit => "audit",
        }
    }

    pub(crate) fn of_kind(kind: &str) -> Option<Self> {
        [Self::Events, Self::Notifications, Self::Audit].into_iter().find(|exchange| exchange.kind() == kind)
    }

    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Notifications => "notifications",
            Self::Audit => "audit",
        }
    }

    pub(crate) fn routing_key(self, kind: &EventType) -> &str {
        match self {
            Self::Events | Self::Notifications => kind.as_str(),
            Self::Audit => AUDITED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exchange_has_a_kind_of_rows() {
        for exchange in [Exchange::Events, Exchange::Notifications, Exchange::Audit] {
            assert_eq!(Exchange::of_kind(exchange.kind()), Some(exchange));
            assert!(Exchange::KINDS.contains(&exchange.kind()));
        }
        assert_eq!(Exchange::of_kind("fcm"), None);
    }
}
