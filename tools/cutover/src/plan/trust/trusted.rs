//! Whom the edge trusts: sessions, the legacy backend, services, signatures, tenants.

use std::collections::BTreeMap;
use std::time::Duration;

use edge_config::edge::{
    LegacyCheck, LegacySessions, LegacyStore, LegacyVerifier, Service, ServiceTenants, Sessions, Signatures,
    TenantDirectory, TenantService,
};
use identity::ServiceName;

use super::super::found::{Aspects, Protection};

pub(super) fn sessions(old: &Sessions, new: &Sessions, noted: &mut Aspects) {
    let Sessions {
        cookie,
        reading,
        refresh_cookie,
        bearer,
        websocket_protocol,
        issuers,
        opaque,
        revocations,
    } = new;
    noted.changed(
        "the cookie by which public routes recognise a session",
        &old.refresh_cookie,
        refresh_cookie,
    );
    noted.other("the session cookie", &old.cookie, cookie);
    noted.other("how the session cookie is split, and which of several counts,", &old.reading, reading);
    match (old.bearer, *bearer) {
        (false, true) => noted.note(Protection::Weaker, "bearer tokens are accepted too"),
        (true, false) => noted.note(Protection::Stricter, "bearer tokens are no longer accepted"),
        (true, true) | (false, false) => {}
    }
    match (&old.websocket_protocol, websocket_protocol) {
        (None, Some(now)) => noted.note(
            Protection::Weaker,
            format!("WebSockets may bring a bearer token as a protocol that begins with `{}`", now.prefix),
        ),
        (Some(_), None) => {
            noted.note(Protection::Stricter, "WebSockets may no longer bring a bearer token as a protocol")
        }
        (Some(was), Some(now)) => noted.changed("the protocol of a WebSocket that is a token", was, now),
        (None, None) => {}
    }
    match (&old.revocations, revocations) {
        (Some(_), None) => {
            noted.note(Protection::Weaker, "sessions can no longer be revoked before they expire")
        }
        (None, Some(_)) => noted.note(Protection::Stricter, "sessions can be revoked before they expire"),
        (Some(before), Some(after)) => noted.other("the file of revoked sessions", before, after),
        (None, None) => {}
    }
    super::issuers::signed(&old.issuers, issuers, noted);
    super::issuers::opaque(&old.opaque, opaque, noted);
}

pub(super) fn legacy(old: &LegacySessions, new: &LegacySessions, noted: &mut Aspects) {
    let LegacySessions { cookie, refresh_cookie, end, tenant, role, verify } = new;
    noted.changed(
        "the cookie by which public routes recognise a legacy session",
        &old.refresh_cookie,
        refresh_cookie,
    );
    noted.changed("the way in which legacy sessions end", &old.end, end);
    noted.other("the cookie", &old.cookie, cookie);
    noted.other("the tenant of every caller", &old.tenant, tenant);
    noted.more_is_weaker("the role of a caller for whom the legacy names none", old.role, *role, |role| {
        role.0.to_string()
    });
    match (&old.verify, verify) {
        (LegacyVerifier::Store(old), LegacyVerifier::Store(new)) => {
            let LegacyStore { url, key_prefix, timeout, leeway } = new;
            noted.changed("the time limit of the legacy backend's store", &old.timeout, timeout);
            noted.other("the address of the legacy backend's store", url, &old.url);
            noted.other("the prefix of keys in the legacy backend's store", &old.key_prefix, key_prefix);
            noted.more_is_weaker("the leeway", old.leeway, *leeway, shown);
        }
        (LegacyVerifier::Check(old), LegacyVerifier::Check(new)) => {
            // How a backend is reached has lines of its own.
            let LegacyCheck { backend, path: _, cache, timeout } = new;
            let (before, after) = (&old.backend.request_headers, &backend.request_headers);
            noted.changed("the time limit of the legacy backend's check", &old.timeout, timeout);
            noted.other("the legacy backend's check", &old.url(), &new.url());
            noted.other("the headers of the legacy backend's check", before, after);
            noted.more_is_weaker("how long an answer of the legacy is cached", old.cache, *cache, shown);
        }
        (LegacyVerifier::Store(_), LegacyVerifier::Check(_))
        | (LegacyVerifier::Check(_), LegacyVerifier::Store(_)) => {
            noted.note(Protection::Weaker, "sessions are verified in another way: check it");
        }
    }
}

/// Compares the services' keys, permissions and tenants. Policies decide what a service may do.
pub(super) fn services(
    old: &BTreeMap<ServiceName, Service>,
    new: &BTreeMap<ServiceName, Service>,
) -> Aspects {
    let mut noted = Aspects::default();
    for (name, after) in new {
        let Service { keys, permissions, tenants } = after;
        let Some(before) = old.get(name) else {
            noted.note(Protection::Weaker, format!("service `{name}` added"));
            continue;
        };
        noted.other(&format!("the location of the keys of service `{name}`"), &before.keys, keys);
        noted.members(
            &format!("a permission of service `{name}`:"),
            &before.permissions,
            permissions,
            (Protection::Weaker, Protection::Stricter),
            |p| format!("`{p}`"),
        );
        let subject = format!("service `{name}`");
        match (&before.tenants, tenants) {
            (ServiceTenants::None | ServiceTenants::Listed(_), ServiceTenants::Any) => {
                noted.note(Protection::Weaker, format!("{subject} may act for every tenant"));
            }
            (ServiceTenants::Any, ServiceTenants::None | ServiceTenants::Listed(_)) => {
                noted.note(Protection::Stricter, format!("{subject} may no longer act for every tenant"));
            }
            (before, after) => noted.members(
                &format!("a tenant for which {subject} may act:"),
                before.listed().iter().map(ToString::to_string),
                after.listed().iter().map(ToString::to_string),
                (Protection::Weaker, Protection::Stricter),
                |tenant| format!("`{tenant}`"),
            ),
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        noted.note(Protection::Stricter, format!("service `{name}` removed"));
    }
    noted
}

pub(super) fn signatures(old: &Signatures, new: &Signatures, noted: &mut Aspects) {
    let Signatures { keys, max_age, skew, max_body_bytes, headers } = new;
    noted.changed("the longest body of a signed request", &old.max_body_bytes, max_body_bytes);
    noted.changed("the further headers that a signature may cover", &old.headers, headers);
    noted.other("the file of keys", &old.keys, keys);
    noted.more_is_weaker("how long a signature is valid", old.max_age, *max_age, shown);
    noted.more_is_weaker("how far clocks may differ", old.skew, *skew, shown);
}

pub(super) fn tenants(old: &TenantDirectory, new: &TenantDirectory, noted: &mut Aspects) {
    match (old, new) {
        (TenantDirectory::File(old), TenantDirectory::File(new)) => {
            noted.other("the file of tenants", old, new)
        }
        (TenantDirectory::Service(old), TenantDirectory::Service(new)) => {
            let TenantService { url, redis, memory, shared, negative, untrusted_after } = new;
            noted.changed("how long an unknown tenant is remembered", &old.negative, negative);
            noted.other("the tenants service", &old.url, url);
            match (old.redis, redis) {
                (true, false) => noted.note(Protection::Weaker, "changes are no longer pushed through Redis"),
                (false, true) => noted.note(Protection::Stricter, "changes are pushed through Redis"),
                (true, true) | (false, false) => {}
            }
            let what = "how long an answer about a tenant is remembered";
            noted.more_is_weaker(what, old.memory, *memory, shown);
            noted.more_is_weaker(&format!("{what} in Redis"), old.shared, *shared, shown);
            noted.more_is_weaker(
                "how long answers are trusted while changes cannot arrive",
                old.untrusted_after,
                *untrusted_after,
                shown,
            );
        }
        (TenantDirectory::File(_), TenantDirectory::Service(_))
        | (TenantDirectory::Service(_), TenantDirectory::File(_)) => {
            noted.note(Protection::Weaker, "tenants are listed elsewhere: check it");
        }
    }
}

fn shown(duration: &Duration) -> String {
    format!("{duration:?}")
}
