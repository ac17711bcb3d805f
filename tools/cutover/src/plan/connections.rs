//! Finds the listeners that lose their open connections by a change.
//!
//! Envoy replaces the filter chain of a listener that differs in one byte, and ends the connections of the old chain
//! after its drain time (`--drain-time-s`, ten minutes by default). So this compares the rendered listeners and not the
//! edges: only what Envoy receives counts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use edge_config::Edge;
use serde_json::Value;

use super::found::{Finding, Protection};
use crate::render::{self, Paths};

/// At most this many differing fields are named; the rest are counted.
const MOST_NAMED: usize = 6;

/// One finding for each listener that drains.
pub(super) fn compare(old: &Edge, new: &Edge) -> Vec<(String, Finding)> {
    // The same paths for both: the location of a configuration is not a property of an edge.
    let nowhere = PathBuf::from("/");
    let paths = Paths {
        directory: nowhere.clone(),
        guard: nowhere.join("guard.wasm"),
        access_log: nowhere.join("access.json"),
    };
    // A broken built-in template fails every rendering. Other commands report it.
    let (Ok(before), Ok(after)) = (render::listeners(old, &paths), render::listeners(new, &paths)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, before) in &before {
        let Some(after) = after.get(name) else {
            found.push(finding(name, "the listener is removed"));
            continue;
        };
        let mut fields = BTreeSet::new();
        differences("", before, after, &mut fields);
        if !fields.is_empty() {
            let more = fields.len().saturating_sub(MOST_NAMED);
            let mut shown = fields.into_iter().take(MOST_NAMED).collect::<Vec<_>>().join(", ");
            if more > 0 {
                shown.push_str(&format!(" and {more} more"));
            }
            found.push(finding(name, &shown));
        }
    }
    found
}

fn finding(listener: &str, why: &str) -> (String, Finding) {
    let what = format!(
        "this change drains the connections of listener `{listener}`: {why}; open streams end after Envoy's drain time"
    );
    let finding = Finding {
        standing: Protection::Same,
        before: String::new(),
        after: String::new(),
        because: vec![what],
    };
    (format!("connections of `{listener}`"), finding)
}

/// The Envoy fields in which two listeners differ, by the last names of their paths.
fn differences(field: &str, before: &Value, after: &Value, found: &mut BTreeSet<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for name in names {
                let of = |side: &serde_json::Map<String, Value>| side.get(name).cloned().unwrap_or_default();
                differences(name, &of(before), &of(after), found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).for_each(|(before, after)| differences(field, before, after, found));
        }
        (before, after) if before != after => {
            found.insert(format!("`{field}`"));
        }
        _same => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: &str = include_str!("../../tests/files/edge.yaml");

    fn edge(text: &str) -> Edge {
        edge_config::parse("edge.yaml".as_ref(), text, &|_| None).unwrap()
    }

    fn said(old: &str, new: &str) -> Vec<String> {
        assert_ne!(old, new);
        compare(&edge(old), &edge(new)).into_iter().flat_map(|(_, finding)| finding.because).collect()
    }

    fn changed(from: &str, to: &str) -> Vec<String> {
        assert!(EDGE.contains(from), "{from:?} is not in the edge file");
        said(EDGE, &EDGE.replacen(from, to, 1))
    }

    #[test]
    fn no_change_of_routes_shares_policies_limits_or_leases_drains_a_listener() {
        let books = "prefix: /books, policy: signed-in, to: legacy";
        for (from, to) in [
            (books, "prefix: /books, policy: signed-in, to: { legacy: 50, users: 50 }"),
            (books, "prefix: /books, policy: signed-in, to: { legacy: 50, users: 50, sticky: session }"),
            (books, "prefix: /books, policy: bot, to: legacy"),
            (books, "prefix: /books, policy: signed-in, upgrade: websocket, to: legacy"),
            (
                "routes:\n",
                "routes:\n  - { name: more, host: api, prefix: /more, policy: public, to: legacy, answers: auth }\n",
            ),
            ("policies:\n", "policies:\n  own: { kind: session, role: 1 }\n"),
            ("policies:\n", "limits: { some: { per: address, rate: 9, seconds: 1 } }\npolicies:\n"),
            ("signed-in: { kind: session }", "signed-in: { kind: session, lease: { seconds: 20 } }"),
            ("  - { prefix: /stats }\n", "  - { prefix: /stats }\n  - { prefix: /hidden }\n"),
            ("backends:\n", "backends:\n  more: { address: \"127.0.0.1:3999\" }\n"),
            ("body: Permission denied", "body: Denied"),
            ("names: [file.dev-domain.test]", "names: [file.dev-domain.test, files.dev-domain.test]"),
            ("leeway_seconds: 60", "leeway_seconds: 30"),
            (books, "prefix: /books, policy: signed-in, timeout_ms: 9, idle_timeout_ms: 9, to: legacy"),
            (books, "prefix: /books, policy: signed-in, body_limit: 1MiB, to: legacy"),
        ] {
            assert_eq!(changed(from, to), Vec::<String>::new(), "{to}");
        }
    }

    #[test]
    fn another_list_of_trusted_proxies_drains_nothing() {
        let with = |proxies: &str| {
            let more = format!("exposure: public, proxy_protocol: optional, trusted_proxies: {proxies} }}");
            EDGE.replacen("exposure: public }", &more, 1)
        };
        let one = with("[10.0.0.0/8]");
        for other in [
            "[10.0.0.0/8, 192.0.2.0/24]",
            "{ addresses: [10.1.0.0/16], header: forwarded, hops: 2, host: pass }",
        ] {
            assert_eq!(said(&one, &with(other)), Vec::<String>::new(), "{other}");
        }
    }

    #[test]
    fn a_changed_listener_and_a_removed_listener_are_named() {
        let moved = changed("${EDGE_ADDRESS:-127.0.0.1:8080}", "127.0.0.1:8088");
        assert!(matches!(&moved[..], [one] if one.contains("`public`: `port_value`")), "{moved:?}");
        let tls =
            changed("exposure: public }", "exposure: public, tls: { certificate: c.pem, key: k.pem } }");
        assert!(
            matches!(&tls[..], [one] if one.contains("`public`:") && one.contains("`transport_socket`")),
            "{tls:?}"
        );
        for (from, to, field) in [
            ("policies:\n", "policies:\n  own: { kind: session, tenant: { header: x-org } }\n", "patterns"),
            ("policies:\n", "api_keys: { file: keys.jsonl }\npolicies:\n", "patterns"),
            ("prefixes: [x-acme-", "prefixes: [x-new-, x-acme-", "request_trailers_mutations"),
            ("timeout_ms: 200", "timeout_ms: 300", "timeout"),
        ] {
            let said = changed(from, to);
            assert!(said.len() == 2 && said.iter().all(|one| one.contains(field)), "{to}: {said:?}");
        }
        for (more, field) in [
            ("trusted_proxies: [10.0.0.0/8]", "filters"),
            ("trusted_proxies: [10.0.0.0/8], proxy_protocol: optional", "listener_filters"),
        ] {
            let proxied = changed("exposure: public }", &format!("exposure: public, {more} }}"));
            assert!(matches!(&proxied[..], [one] if one.contains("`public`: ")), "{proxied:?}");
            assert!(proxied[0].contains(&format!("`{field}`")), "{proxied:?}");
        }
        let stats = format!("{EDGE}\nstats: {{ address: \"127.0.0.1:9902\" }}\n");
        assert_eq!(said(EDGE, &stats), Vec::<String>::new(), "an additional listener drains nothing");
        let gone = said(&stats, EDGE);
        assert!(matches!(&gone[..], [one] if one.contains("`stats`: the listener is removed")), "{gone:?}");
    }

    #[test]
    fn a_draining_backend_is_listed_and_is_not_weaker() {
        let old = edge(EDGE);
        let new = edge(&EDGE.replacen("${EDGE_ADDRESS:-127.0.0.1:8080}", "127.0.0.1:8088", 1));
        let plan = crate::plan::plan(&old, &new);
        assert!(!plan.edge.iter().any(|(subject, finding)| {
            subject == "connections of `public`" && finding.standing == Protection::Weaker
        }));
        assert!(plan.edge.iter().any(|(subject, _)| subject == "connections of `public`"));
    }
}
