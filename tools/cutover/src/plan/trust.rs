//! The differences for the edge as a whole: who decides, where it listens and sends, what it trusts, what it reserves.
//!
//! Every structure of the edge is taken apart field by field, without `..`: a new field breaks the build here, and its
//! author decides what a change of it means. A skipped field (`_`) is reported elsewhere, and a comment says where. A test
//! changes each field of an edge and expects a row.

mod backend_view;
mod clients;
mod hosts;
mod issuers;
mod network;
mod trusted;

use std::collections::BTreeSet;

use edge_config::Edge;
use edge_config::edge::{ApiKeys, Leases, Reserved, ServiceTokens, Streams};

use super::found::{Aspects, Finding, Protection};

pub(super) use network::furthest;

/// The differences with their subjects; the weaker first.
pub(super) fn compare(old: &Edge, new: &Edge) -> Vec<(String, Finding)> {
    let Edge {
        name,
        // In the heading of the plan.
        revision: _,
        root_domain,
        listeners,
        admin,
        stats,
        authorizer,
        backends,
        // Reported with the requests that the host takes, and below where encryption begins or ends.
        hosts: _,
        sessions,
        api_keys,
        legacy_sessions,
        services,
        service_tokens,
        signatures,
        // Reported with the requests that it concerns.
        webhooks: _,
        client_certificates: _,
        tenants,
        // Reported with the requests that they concern.
        policies: _,
        limits: _,
        answers: _,
        identity,
        request_id,
        reserved,
        // Reported as requests that are closed or opened.
        internal_paths: _,
        absent_paths: _,
        routes: _,
        leases,
        streams,
        tracing,
        comparator,
        // Compared below, because without it the first answers of the file apply.
        default_answers: _,
        browser_origins,
    } = new;
    let mut found = Vec::new();
    let mut report = |subject: &str, noted: Aspects| {
        if !noted.is_empty() {
            let (standing, because) = noted.finish();
            let empty = String::new;
            found.push((subject.to_owned(), Finding { standing, before: empty(), after: empty(), because }));
        }
    };
    let mut noted = Aspects::default();
    noted.other("the edge's name, which services address and identities name,", &old.name, name);
    let domain = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
    noted.other("the domain of cookies", &domain(&old.root_domain), &domain(root_domain));
    if old.answers_by_default() != new.answers_by_default() {
        noted.note(Protection::Same, "the wording of refusals for an unknown host or route changed");
    }
    report("edge", noted);
    let mut noted = Aspects::default();
    noted.members(
        "pages that may send requests from another site: the origin",
        &old.browser_origins,
        browser_origins,
        (Protection::Weaker, Protection::Stricter),
        |origin| format!("`{origin}`"),
    );
    report("browser origins", noted);
    report("authorizer", network::authorizer(&old.authorizer, authorizer));
    for (name, listener) in listeners {
        report(&format!("listener `{name}`"), network::listener(old.listeners.get(name), listener));
    }
    for name in old.listeners.keys().filter(|name| !listeners.contains_key(*name)) {
        let mut noted = Aspects::default();
        noted.note(Protection::Closed, "is removed");
        report(&format!("listener `{name}`"), noted);
    }
    report("hosts", hosts::encryption(old, new));
    report("https", hosts::promises(old, new));
    report("admin", network::admin(old.admin, *admin));
    report("stats", network::stats(old.stats, *stats));
    for (name, after) in backends {
        if let Some(before) = old.backends.get(name) {
            report(&format!("backend `{name}`"), network::backend(before, after));
        }
    }
    report("comparator", network::comparator(old.comparator.as_ref(), comparator.as_ref()));
    report("identity headers", backend_view::identity(&old.identity, identity));
    report("request id", backend_view::request_id(&old.request_id, request_id));
    report("reserved headers", kept(&reserved_of(old, &old.reserved), &reserved_of(new, reserved)));
    let mut noted = Aspects::default();
    let Leases { slots } = leases;
    noted.changed("how many leases a listener keeps", &old.leases.slots, slots);
    report("leases", noted);
    let mut noted = Aspects::default();
    let Streams { most, unjudged } = streams;
    noted.changed("how many open streams a listener has", &old.streams.most, most);
    let seconds = |streams: &Streams| streams.unjudged.as_secs();
    let (was, is) = (seconds(&old.streams), unjudged.as_secs());
    if was != is {
        let standing = if is > was { Protection::Weaker } else { Protection::Stricter };
        noted.note(
            standing,
            format!("open streams that cannot be judged end after {is} s instead of {was} s"),
        );
    }
    report("streams", noted);
    report("tracing", network::tracing(old.tracing.as_ref(), tracing.as_ref()));
    report("sessions", present("sessions", old.sessions.as_ref(), sessions.as_ref(), trusted::sessions));
    report(
        "API keys",
        present("API keys", old.api_keys.as_ref(), api_keys.as_ref(), |old, new, noted| {
            let ApiKeys { file, headers } = new;
            noted.other("the file of keys", &old.file, file);
            noted.other("the headers with a key", &old.headers, headers);
        }),
    );
    report(
        "legacy sessions",
        present("legacy sessions", old.legacy_sessions.as_ref(), legacy_sessions.as_ref(), trusted::legacy),
    );
    report("services", trusted::services(&old.services, services));
    report(
        "service tokens",
        present("service tokens", old.service_tokens.as_ref(), service_tokens.as_ref(), |old, new, noted| {
            let ServiceTokens { issuer, keys } = new;
            noted.other("the issuer", &old.issuer, issuer);
            noted.other("the location of the issuer's keys", &old.keys, keys);
        }),
    );
    report(
        "signatures",
        present("signed requests", old.signatures.as_ref(), signatures.as_ref(), trusted::signatures),
    );
    report("tenants", present("tenants", old.tenants.as_ref(), tenants.as_ref(), trusted::tenants));
    found.sort_by_key(|(_, finding)| finding.standing);
    found
}

/// Compares an optional section. Adding or removing it changes nothing by itself: policies decide who passes, and a
/// policy without the section that it needs is not valid.
fn present<T>(
    what: &str,
    old: Option<&T>,
    new: Option<&T>,
    compare: impl Fn(&T, &T, &mut Aspects),
) -> Aspects {
    let mut noted = Aspects::default();
    match (old, new) {
        (Some(old), Some(new)) => compare(old, new, &mut noted),
        (None, Some(_)) => noted.note(Protection::Same, format!("{what} are configured now")),
        (Some(_), None) => noted.note(Protection::Same, format!("{what} are no longer configured")),
        (None, None) => {}
    }
    noted
}

/// The reserved names as they are enforced: the constant headers of backends are reserved, too.
fn reserved_of(edge: &Edge, reserved: &Reserved) -> Reserved {
    let constant = edge.backends.values().flat_map(|backend| backend.request_headers.keys().cloned());
    Reserved {
        names: reserved.names.iter().cloned().chain(constant).collect(),
        prefixes: reserved.prefixes.clone(),
    }
}

fn kept(old: &Reserved, new: &Reserved) -> Aspects {
    let mut noted = Aspects::default();
    let covers =
        |by: &Reserved, name: &str| by.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
    let lacks = |by: &Reserved, of: &Reserved| -> BTreeSet<String> {
        let names = of.names.iter().filter(|name| !by.names.contains(name) && !covers(by, name));
        let prefixes =
            of.prefixes.iter().filter(|prefix| !covers(by, prefix)).map(|prefix| format!("{prefix}*"));
        names.cloned().chain(prefixes).collect()
    };
    for name in lacks(new, old) {
        noted.note(
            Protection::Weaker,
            format!("`{name}` is no longer reserved: clients can send it to backends"),
        );
    }
    for name in lacks(old, new) {
        noted.note(Protection::Stricter, format!("`{name}` is reserved"));
    }
    noted
}
