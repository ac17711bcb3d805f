//! What is different for the edge as a whole: what it listens on, what it believes, what it keeps for itself.
//!
//! Every structure is taken apart field by field, without `..`: whoever gives the edge file a new field decides here
//! what a change of it means.

use std::collections::BTreeSet;
use std::time::Duration;

use edge_config::Edge;
use edge_config::edge::{
    ApiKeys, Credentials, Exposure, Issuer, KeyAlgorithm, LegacyCheck, LegacySessions, LegacyStore,
    LegacyVerifier, Listener, Reserved, Service, ServiceTenants, ServiceTokens, Sessions, Signatures,
    TenantDirectory, TenantService,
};

use super::found::{Aspects, Finding, Standing};

/// Subjects and what differs about them; the weaker first.
pub(super) fn compare(old: &Edge, new: &Edge) -> Vec<(String, Finding)> {
    let Edge {
        name,
        revision: _,
        root_domain,
        listeners,
        // Always loopback.
        admin: _,
        // Counters, for reading.
        stats: _,
        // How long Envoy waits and how many answer: availability, not who passes.
        authorizer: _,
        backends: _,
        // Routes, hosts, policies, limits and answers are told by the requests that they concern.
        hosts: _,
        sessions,
        api_keys,
        legacy_sessions,
        services: _,
        service_tokens,
        signatures,
        tenants,
        policies: _,
        limits: _,
        answers: _,
        reserved,
        internal_paths: _,
        routes: _,
        // How many are kept; policies say which.
        leases: _,
        // Who is told of copies: nobody's answer depends on it.
        comparator: _,
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
    for (name, listener) in listeners {
        tell(&format!("listener `{name}`"), listening(old.listeners.get(name), listener));
    }
    for (name, after) in &new.backends {
        let Some(before) = old.backends.get(name) else { continue };
        let mut noted = Aspects::default();
        for (header, value) in &before.request_headers {
            if after.request_headers.get(header) != Some(value) {
                // A legacy may take the absence of such a header for a trusted caller.
                noted.note(Standing::Weaker, format!("no longer told `{header}: {value}`"));
            }
        }
        for header in after.request_headers.keys().filter(|h| !before.request_headers.contains_key(*h)) {
            noted.note(Standing::Same, format!("also told `{header}`"));
        }
        // What is counted as a failure or a refusal decides how moves are judged, and never who passes.
        if before.grpc_errors != after.grpc_errors {
            noted.note(Standing::Same, "other gRPC statuses count as its failures");
        }
        if before.sign_in != after.sign_in {
            noted.note(Standing::Same, "other redirects count as its refusals");
        }
        match (before.credentials, after.credentials) {
            (Credentials::Remove, Credentials::Keep) => {
                noted.note(Standing::Weaker, "gets the credentials of people again");
            }
            (Credentials::Keep, Credentials::Remove) => {
                noted.note(Standing::Stricter, "no longer gets the credentials of people");
            }
            (Credentials::Keep, Credentials::Keep) | (Credentials::Remove, Credentials::Remove) => {}
        }
        tell(&format!("backend `{name}`"), noted);
    }
    tell("reserved headers", kept(&reserved_of(old, &old.reserved), &reserved_of(new, reserved)));
    tell("sessions", present("sessions", old.sessions.as_ref(), sessions.as_ref(), session_rules));
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
        present("legacy sessions", old.legacy_sessions.as_ref(), legacy_sessions.as_ref(), legacy),
    );
    tell("services", services(old, new));
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
        present("signed requests", old.signatures.as_ref(), signatures.as_ref(), signature_rules),
    );
    tell("tenants", present("tenants", old.tenants.as_ref(), tenants.as_ref(), tenant_rules));
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

fn listening(old: Option<&Listener>, new: &Listener) -> Aspects {
    let mut noted = Aspects::default();
    let Listener { address, exposure, tls } = new;
    let Some(old) = old else {
        noted.note(Standing::Same, format!("listens on {address} ({})", exposure.as_str()));
        return noted;
    };
    match (old.exposure, *exposure) {
        (Exposure::Public, Exposure::Internal) => {
            noted.note(Standing::Weaker, "internal instead of public: internal paths are open here")
        }
        (Exposure::Internal, Exposure::Public) => {
            noted.note(Standing::Stricter, "public instead of internal")
        }
        (Exposure::Public, Exposure::Public) | (Exposure::Internal, Exposure::Internal) => {}
    }
    match (old.tls.is_some(), tls.is_some()) {
        (true, false) => noted.note(Standing::Weaker, "no longer encrypted (TLS)"),
        (false, true) => noted.note(Standing::Stricter, "encrypted (TLS)"),
        (true, true) | (false, false) => {}
    }
    if old.tls.is_some() && tls.is_some() && old.tls != *tls {
        noted.note(Standing::Same, "shows another certificate");
    }
    if old.address != *address {
        // Another port or another one of many addresses reaches whom it reached; leaving loopback does not.
        let wider = old.address.ip().is_loopback() && !address.ip().is_loopback();
        let internal = *exposure == Exposure::Internal;
        let standing = if wider && internal { Standing::Weaker } else { Standing::Same };
        noted.note(standing, format!("listens on {address} instead of {}", old.address));
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

fn session_rules(old: &Sessions, new: &Sessions, noted: &mut Aspects) {
    let Sessions { cookie, bearer, issuers, revocations } = new;
    noted.other("the session cookie", &old.cookie, cookie);
    match (old.bearer, *bearer) {
        (false, true) => noted.note(Standing::Weaker, "bearer tokens are accepted too"),
        (true, false) => noted.note(Standing::Stricter, "bearer tokens are no longer accepted"),
        (true, true) | (false, false) => {}
    }
    match (&old.revocations, revocations) {
        (Some(_), None) => {
            noted.note(Standing::Weaker, "sessions can no longer be revoked before they expire")
        }
        (None, Some(_)) => noted.note(Standing::Stricter, "sessions can be revoked before they expire"),
        (Some(before), Some(after)) => noted.other("the file of revoked sessions", before, after),
        (None, None) => {}
    }
    for issuer in issuers {
        match old.issuers.iter().find(|known| known.issuer == issuer.issuer) {
            Some(known) => issuer_rules(known, issuer, noted),
            None => {
                noted.note(Standing::Weaker, format!("tokens of the issuer `{}` are believed", issuer.issuer))
            }
        }
    }
    for gone in old.issuers.iter().filter(|known| issuers.iter().all(|i| i.issuer != known.issuer)) {
        noted.note(
            Standing::Stricter,
            format!("tokens of the issuer `{}` are no longer believed", gone.issuer),
        );
    }
}

fn issuer_rules(old: &Issuer, new: &Issuer, noted: &mut Aspects) {
    let Issuer { issuer, audiences, token_type, keys, algorithms, leeway } = new;
    let of = format!("of the issuer `{issuer}`");
    noted.members(
        &format!("an audience {of}:"),
        &old.audiences,
        audiences,
        (Standing::Weaker, Standing::Stricter),
        |a| format!("`{a}`"),
    );
    noted.other(&format!("the token type {of}"), &old.token_type, token_type);
    noted.other(&format!("where the keys are {of}"), &old.keys, keys);
    // None listed means all.
    let pinned = |listed: &[KeyAlgorithm]| {
        if listed.is_empty() { KeyAlgorithm::ALL.to_vec() } else { listed.to_vec() }
    };
    noted.members(
        &format!("an algorithm {of}:"),
        pinned(&old.algorithms),
        pinned(algorithms),
        (Standing::Weaker, Standing::Stricter),
        |a| a.as_str().to_owned(),
    );
    noted.more_is_weaker(&format!("the leeway {of}"), old.leeway, *leeway, shown);
}

fn legacy(old: &LegacySessions, new: &LegacySessions, noted: &mut Aspects) {
    let LegacySessions { cookie, tenant, role, verify } = new;
    noted.other("the cookie", &old.cookie, cookie);
    noted.other("the tenant that everybody belongs to", &old.tenant, tenant);
    noted.more_is_weaker("the role of whoever the legacy names none for", old.role, *role, |role| {
        role.0.to_string()
    });
    match (&old.verify, verify) {
        (LegacyVerifier::Store(old), LegacyVerifier::Store(new)) => {
            let LegacyStore { url, key_prefix, timeout: _, leeway } = new;
            noted.other("the address of the legacy's store", url, &old.url);
            noted.other("the prefix of keys in the legacy's store", &old.key_prefix, key_prefix);
            noted.more_is_weaker("the leeway", old.leeway, *leeway, shown);
        }
        (LegacyVerifier::Check(old), LegacyVerifier::Check(new)) => {
            let LegacyCheck { url, request_headers, cache, timeout: _ } = new;
            noted.other("the legacy's check", &old.url, url);
            noted.other("what the legacy's check is told", &old.request_headers, request_headers);
            noted.more_is_weaker("how long an answer of the legacy is believed", old.cache, *cache, shown);
        }
        (LegacyVerifier::Store(_), LegacyVerifier::Check(_))
        | (LegacyVerifier::Check(_), LegacyVerifier::Store(_)) => {
            noted.note(Standing::Weaker, "somebody else says whether a session is good: look at it");
        }
    }
}

/// Who is a service matters by the policies; with which key somebody is one matters here.
fn services(old: &Edge, new: &Edge) -> Aspects {
    let mut noted = Aspects::default();
    for (name, after) in &new.services {
        let Service { keys, permissions, tenants } = after;
        let Some(before) = old.services.get(name) else {
            noted.note(Standing::Weaker, format!("service `{name}` is known"));
            continue;
        };
        noted.other(&format!("where the keys of service `{name}` are"), &before.keys, keys);
        noted.members(
            &format!("a permission of service `{name}`:"),
            &before.permissions,
            permissions,
            (Standing::Weaker, Standing::Stricter),
            |p| format!("`{p}`"),
        );
        let subject = format!("service `{name}`");
        match (&before.tenants, tenants) {
            (ServiceTenants::None | ServiceTenants::Listed(_), ServiceTenants::Any) => {
                noted.note(Standing::Weaker, format!("{subject} may act for every tenant"));
            }
            (ServiceTenants::Any, ServiceTenants::None | ServiceTenants::Listed(_)) => {
                noted.note(Standing::Stricter, format!("{subject} may no longer act for every tenant"));
            }
            (before, after) => noted.members(
                &format!("a tenant that {subject} may act for:"),
                before.listed().iter().map(ToString::to_string),
                after.listed().iter().map(ToString::to_string),
                (Standing::Weaker, Standing::Stricter),
                |tenant| format!("`{tenant}`"),
            ),
        }
    }
    for name in old.services.keys().filter(|name| !new.services.contains_key(*name)) {
        noted.note(Standing::Stricter, format!("service `{name}` is no longer known"));
    }
    noted
}

fn signature_rules(old: &Signatures, new: &Signatures, noted: &mut Aspects) {
    // The longest body and what may be covered beyond what must be decide nothing about who passes.
    let Signatures { keys, max_age, skew, max_body_bytes: _, headers: _ } = new;
    noted.other("the file of keys", &old.keys, keys);
    noted.more_is_weaker("how long a signature counts", old.max_age, *max_age, shown);
    noted.more_is_weaker("how far clocks may differ", old.skew, *skew, shown);
}

fn tenant_rules(old: &TenantDirectory, new: &TenantDirectory, noted: &mut Aspects) {
    match (old, new) {
        (TenantDirectory::File(old), TenantDirectory::File(new)) => {
            noted.other("the file of tenants", old, new)
        }
        (TenantDirectory::Service(old), TenantDirectory::Service(new)) => {
            let TenantService { url, redis, memory, shared, negative: _, untrusted_after } = new;
            noted.other("the tenants service", &old.url, url);
            if old.redis && !redis {
                noted.note(Standing::Weaker, "changes are no longer pushed through Redis");
            }
            let what = "how long an answer about a tenant is remembered";
            noted.more_is_weaker(what, old.memory, *memory, shown);
            noted.more_is_weaker(&format!("{what} in Redis"), old.shared, *shared, shown);
            noted.more_is_weaker(
                "how long answers count without word of changes",
                old.untrusted_after,
                *untrusted_after,
                shown,
            );
        }
        (TenantDirectory::File(_), TenantDirectory::Service(_))
        | (TenantDirectory::Service(_), TenantDirectory::File(_)) => {
            noted.note(Standing::Weaker, "tenants are listed somewhere else: look at it");
        }
    }
}

fn shown(duration: &Duration) -> String {
    format!("{duration:?}")
}
