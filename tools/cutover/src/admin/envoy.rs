//! Envoy's counters, and whether it accepted a configuration.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::render::FILTERS;

/// Counters, gauges and texts, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats(BTreeMap<String, String>);

impl Stats {
    /// The counters whose names match `filter`, a regular expression without characters that a URL escapes.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub fn ask(admin: SocketAddr, filter: &str) -> io::Result<Self> {
        let (status, body) = super::get(admin, &format!("/stats?filter={filter}"))?;
        if status == 200 {
            Ok(Self::parse(&body))
        } else {
            Err(io::Error::other(format!("Envoy answers {status} when asked for its counters")))
        }
    }

    /// Reads `name: value` lines.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(": "));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect())
    }

    /// A number; 0 when Envoy does not have it (yet).
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// A text or a histogram.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All counters, gauges and texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Makes Envoy reopen its access logs after they were renamed.
///
/// # Errors
/// Envoy does not answer, or refuses.
pub fn reopen_logs(admin: SocketAddr) -> io::Result<()> {
    match super::post(admin, "/reopen_logs")? {
        (200, _) => Ok(()),
        (status, _) => Err(io::Error::other(format!("Envoy answers {status} when asked to reopen its logs"))),
    }
}

/// How often Envoy accepted and refused each file of its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updates(Stats);

/// What Envoy did with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It has not read all of it yet.
    Pending,
    /// All of it is in force.
    Taken,
    /// It refused this file (`listener_manager.lds`, …).
    Refused(String),
}

impl Updates {
    /// Queries the present counts.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub fn ask(admin: SocketAddr) -> io::Result<Self> {
        // A dot is any character here, and a dollar needs no escape in a query.
        let filter = "(update_success|update_rejected|version_text|total_listeners_warming)$";
        Stats::ask(admin, filter).map(Self)
    }

    /// Envoy's verdict on `revision` since `before`, for the subscriptions of `listeners` (their names).
    #[must_use]
    pub fn since(&self, before: &Self, revision: &str, listeners: &[String]) -> Acceptance {
        let routes = listeners.iter().map(|name| (format!("http.edge-{name}.rds.{name}"), 1));
        let fixed = ["cluster_manager.cds", "listener_manager.lds"].map(|name| (name.to_owned(), 1));
        // Filters of one name are counted together, across all listeners.
        let each = u64::try_from(listeners.len()).unwrap_or(u64::MAX);
        let filters = FILTERS.map(|name| (format!("extension_config_discovery.http_filter.{name}"), each));
        let mut pending = false;
        for (subscription, times) in fixed.into_iter().chain(routes).chain(filters) {
            let growth = |what: &str| {
                let name = format!("{subscription}.{what}");
                self.0.count(&name).saturating_sub(before.0.count(&name))
            };
            if growth("update_rejected") > 0 {
                return Acceptance::Refused(subscription);
            }
            let shown = self.0.text(&format!("{subscription}.version_text"));
            pending |= growth("update_success") < times || shown.is_some_and(|shown| shown != revision);
        }
        // While a listener warms up, the old one still serves.
        pending |= self.0.count("listener_manager.total_listeners_warming") > 0;
        if pending { Acceptance::Pending } else { Acceptance::Taken }
    }
}

/// The reasons that Envoy gives for its refusals, as far as it remembers them.
#[must_use]
pub fn refusal(admin: SocketAddr) -> Option<String> {
    let (_, body) = super::get(admin, "/config_dump").ok()?;
    let dump: Value = serde_json::from_str(&body).ok()?;
    let mut reasons = Vec::new();
    collect(&dump, &mut reasons);
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn collect(value: &Value, reasons: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let details =
                fields.get("error_state").and_then(|state| state.get("details")).and_then(Value::as_str);
            reasons.extend(details.map(str::to_owned));
            fields.values().for_each(|value| collect(value, reasons));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, reasons)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updates(text: &str) -> Updates {
        Updates(Stats::parse(text))
    }

    const OLD: &str = "cluster_manager.cds.update_success: 3\ncluster_manager.cds.version_text: \"a\"\n\
        listener_manager.lds.update_success: 3\nlistener_manager.lds.version_text: \"a\"\n\
        http.edge-public.rds.public.update_success: 1\nhttp.edge-public.rds.public.version_text: \"a\"\n\
        extension_config_discovery.http_filter.guard.update_success: 3\n\
        extension_config_discovery.http_filter.guard.version_text: \"a\"\n\
        extension_config_discovery.http_filter.keeper.update_success: 3\n\
        extension_config_discovery.http_filter.body-limit.update_success: 3\n\
        listener_manager.total_listeners_warming: 0\n";

    #[test]
    fn a_configuration_is_taken_when_every_file_of_it_is() {
        let before = updates(OLD);
        let after = |text: &str| updates(text).since(&before, "b", &["public".to_owned()]);
        assert_eq!(after(OLD), Acceptance::Pending);
        let new = OLD.replace(": 3", ": 4").replace(": 1\n", ": 2\n").replace("\"a\"", "\"b\"");
        assert_eq!(after(&new), Acceptance::Taken);
        assert_eq!(
            after(&new.replace("public.update_success: 2", "public.update_success: 1")),
            Acceptance::Pending
        );
        assert_eq!(after(&new.replace("warming: 0", "warming: 1")), Acceptance::Pending);
        assert_eq!(after(&new.replacen("\"b\"", "\"a\"", 1)), Acceptance::Pending);
        let guard = "http_filter.guard.update_success: ";
        let not_yet = new.replace(&format!("{guard}4"), &format!("{guard}3"));
        assert_eq!(after(&not_yet), Acceptance::Pending);
        let two = ["public".to_owned(), "public".to_owned()];
        assert_eq!(updates(&new).since(&before, "b", &two), Acceptance::Pending, "the guard of one of them");
        let rejected = format!("{new}listener_manager.lds.update_rejected: 1\n");
        assert_eq!(after(&rejected), Acceptance::Refused("listener_manager.lds".to_owned()));
    }
}
