//! What is different for the edge as a whole: who decides, where it listens and sends, what it believes, what it keeps for
//! itself.
//!
//! Every structure of the edge is taken apart field by field, without `..`: a new field breaks the build here, and its
//! author decides what a change of it means. A field that is passed over (`_`) is told elsewhere, and says where; a test
//! changes each field of an edge and expects a row.

mod believed;
mod network;

use std::collections::BTreeSet;

use edge_config::Edge;
use edge_config::edge::{ApiKeys, Leases, Reserved, ServiceTokens};

use super::found::{Aspects, Finding, Standing};

pub(super) use network::furthest;

/// Subjects and what differs about them; the weaker first.
pub(super) fn compare(old: &Edge, new: &Edge) -> Vec<(String, Finding)> {
    let Edge {
        name,
        // Stands above the whole plan.
        revision: _,
        root_domain,
        listeners,
        admin,
        stats,
        authorizer,
        backends,
        // What a host serves is told by the requests that it takes.
        hosts: _,
        sessions,
        api_keys,
        legacy_sessions,
        services,
        service_tokens,
        signatures,
        tenants,
        // Who passes, how often, and what the others are told: by the requests that it concerns.
        policies: _,
        limits: _,
        answers: _,
        reserved,
        // Shown as requests that are closed or open.
        internal_paths: _,
        routes: _,
        leases,
        comparator,
        // Compared below: without it the first ones of the file count.
        default_answers: _,
        browser_origins,
    } = new;
    let mut found = Vec::new();
    let mut tell = |subject: &str, noted: Aspects| {
        if !noted.is_empty() {
            let (standing, because) = noted.finish();
            let empty = String::new;
            found.push((subject.to_owned(), Finding { standing, before: empty(), after: empty(), because }));
        }
    };
    let mut noted = Aspects::default();
    noted.other("the edge's name, which services address and identities name,", &old.name, name);
    noted.other("the domain of cookies", &old.root_domain, root_domain);
    if old.answers_by_default() != new.answers_by_default() {
        noted.note(Standing::Same, "callers whose host or route Envoy does not know read something else");
    }
    tell("edge", noted);
    let mut noted = Aspects::default();
    noted.members(
        "pages that may send requests from another site: the origin",
        &old.browser_origins,
        browser_origins,
        (Standing::Weaker, Standing::Stricter),
        |origin| format!("`{origin}`"),
    );
    tell("browser origins", noted);
    tell("authorizer", network::authorizer(&old.authorizer, authorizer));
    for (name, listener) in listeners {
        tell(&format!("listener `{name}`"), network::listener(old.listeners.get(name), listener));
    }
    for name in old.listeners.keys().filter(|name| !listeners.contains_key(*name)) {
        let mut noted = Aspects::default();
        noted.note(Standing::Closed, "is gone");
        tell(&format!("listener `{name}`"), noted);
    }
    tell("admin", network::admin(old.admin, *admin));
    tell("stats", network::stats(old.stats, *stats));
    for (name, after) in backends {
        if let Some(before) = old.backends.get(name) {
            tell(&format!("backend `{name}`"), network::backend(before, after));
        }
    }
    tell("comparator", network::comparator(old.comparator.as_ref(), comparator.as_ref()));
    tell("reserved headers", kept(&reserved_of(old, &old.reserved), &reserved_of(new, reserved)));
    let mut noted = Aspects::default();
    let Leases { slots } = leases;
    noted.changed("how many leases a listener keeps", &old.leases.slots, slots);
    tell("leases", noted);
    tell("sessions", present("sessions", old.sessions.as_ref(), sessions.as_ref(), believed::sessions));
    tell(
        "API keys",
        present("API keys", old.api_keys.as_ref(), api_keys.as_ref(), |old, new, noted| {
            let ApiKeys { file, header } = new;
            noted.other("the file of keys", &old.file, file);
            noted.other("the header", &old.header, header);
        }),
    );
    tell(
        "legacy sessions",
        present("legacy sessions", old.legacy_sessions.as_ref(), legacy_sessions.as_ref(), believed::legacy),
    );
    tell("services", believed::services(&old.services, services));
    tell(
        "service tokens",
        present("service tokens", old.service_tokens.as_ref(), service_tokens.as_ref(), |old, new, noted| {
            let ServiceTokens { issuer, keys } = new;
            noted.other("the issuer", &old.issuer, issuer);
            noted.other("where the issuer's keys are", &old.keys, keys);
        }),
    );
    tell(
        "signatures",
        present("signed requests", old.signatures.as_ref(), signatures.as_ref(), believed::signatures),
    );
    tell("tenants", present("tenants", old.tenants.as_ref(), tenants.as_ref(), believed::tenants));
    found.sort_by_key(|(_, finding)| finding.standing);
    found
}

/// A section that may be there or not. One that comes or goes changes nothing by itself: policies say who passes,
/// and a policy that needs a section is no valid edge without it.
fn present<T>(
    what: &str,
    old: Option<&T>,
    new: Option<&T>,
    compare: impl Fn(&T, &T, &mut Aspects),
) -> Aspects {
    let mut noted = Aspects::default();
    match (old, new) {
        (Some(old), Some(new)) => compare(old, new, &mut noted),
        (None, Some(_)) => noted.note(Standing::Same, format!("{what} are known now")),
        (Some(_), None) => noted.note(Standing::Same, format!("{what} are no longer known")),
        (None, None) => {}
    }
    noted
}

/// The reserved names as they are enforced: the constant headers of backends are reserved too.
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
            Standing::Weaker,
            format!("`{name}` is no longer reserved: clients can send it to backends"),
        );
    }
    for name in lacks(old, new) {
        noted.note(Standing::Stricter, format!("`{name}` is reserved"));
    }
    noted
}
