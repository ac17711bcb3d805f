//! The issuers of access tokens that the edge trusts, and how it reads their claims.

use std::time::Duration;

use edge_config::edge::{ClaimRules, Introspection, Issuer, KeyAlgorithm, OpaqueIssuer};

use super::super::found::{Aspects, Protection};

/// Compares the issuers of signed tokens.
pub(super) fn signed(old: &[Issuer], new: &[Issuer], noted: &mut Aspects) {
    for issuer in new {
        match old.iter().find(|known| known.issuer == issuer.issuer) {
            Some(known) => issuer_rules(known, issuer, noted),
            None => noted
                .note(Protection::Weaker, format!("tokens of the issuer `{}` are accepted", issuer.issuer)),
        }
    }
    for gone in old.iter().filter(|known| new.iter().all(|issuer| issuer.issuer != known.issuer)) {
        noted.note(
            Protection::Stricter,
            format!("tokens of the issuer `{}` are no longer accepted", gone.issuer),
        );
    }
}

/// Compares the issuers of opaque tokens.
pub(super) fn opaque(old: &[OpaqueIssuer], new: &[OpaqueIssuer], noted: &mut Aspects) {
    for issuer in new {
        match old.iter().find(|known| known.issuer == issuer.issuer) {
            Some(known) => opaque_rules(known, issuer, noted),
            None => noted.note(
                Protection::Weaker,
                format!("opaque tokens of the issuer `{}` are accepted", issuer.issuer),
            ),
        }
    }
    for gone in old.iter().filter(|known| new.iter().all(|issuer| issuer.issuer != known.issuer)) {
        noted.note(
            Protection::Stricter,
            format!("opaque tokens of the issuer `{}` are no longer accepted", gone.issuer),
        );
    }
}

fn opaque_rules(old: &OpaqueIssuer, new: &OpaqueIssuer, noted: &mut Aspects) {
    let OpaqueIssuer { issuer, audiences, prefix, endpoint, leeway, max_token_bytes, claims } = new;
    let Introspection { url, client, ca, certificate, token_type_hint, cache, timeout } = endpoint;
    let of = format!("of the issuer `{issuer}`");
    noted.members(
        &format!("an audience {of}:"),
        &old.audiences,
        audiences,
        (Protection::Weaker, Protection::Stricter),
        |a| format!("`{a}`"),
    );
    noted.other(&format!("the beginning of the opaque tokens {of}"), &old.prefix, prefix);
    let before = &old.endpoint;
    noted.other(&format!("the introspection endpoint {of}"), &before.url, url);
    noted.other(
        &format!("how the edge proves itself to the introspection endpoint {of}"),
        &before.client,
        client,
    );
    noted.other(&format!("the authorities of the introspection endpoint {of}"), &before.ca, ca);
    noted.changed(
        &format!("the certificate for the introspection endpoint {of}"),
        &before.certificate,
        certificate,
    );
    noted.changed(
        &format!("the type hint for the introspection endpoint {of}"),
        &before.token_type_hint,
        token_type_hint,
    );
    noted.changed(&format!("the time limit of the introspection endpoint {of}"), &before.timeout, timeout);
    let what = format!("how long an answer of the introspection endpoint {of} is used");
    noted.more_is_weaker(&what, before.cache, *cache, shown);
    noted.changed(&format!("the longest token {of}"), &old.max_token_bytes, max_token_bytes);
    noted.more_is_weaker(&format!("the leeway {of}"), old.leeway, *leeway, shown);
    claim_rules(&of, &old.claims, claims, noted);
}

fn issuer_rules(old: &Issuer, new: &Issuer, noted: &mut Aspects) {
    let Issuer { issuer, audiences, token_types, keys, algorithms, leeway, max_token_bytes, claims } = new;
    let of = format!("of the issuer `{issuer}`");
    noted.members(
        &format!("an audience {of}:"),
        &old.audiences,
        audiences,
        (Protection::Weaker, Protection::Stricter),
        |a| format!("`{a}`"),
    );
    noted.members(
        &format!("a token type {of}:"),
        old.token_types.words(),
        token_types.words(),
        (Protection::Weaker, Protection::Stricter),
        |typ| format!("`{typ}`"),
    );
    claim_rules(&of, &old.claims, claims, noted);
    noted.changed(&format!("the longest token {of}"), &old.max_token_bytes, max_token_bytes);
    noted.other(&format!("the location of the keys {of}"), &old.keys, keys);
    // An empty list means all.
    let pinned = |listed: &[KeyAlgorithm]| {
        if listed.is_empty() { KeyAlgorithm::ALL.to_vec() } else { listed.to_vec() }
    };
    noted.members(
        &format!("an algorithm {of}:"),
        pinned(&old.algorithms),
        pinned(algorithms),
        (Protection::Weaker, Protection::Stricter),
        |a| a.as_str().to_owned(),
    );
    noted.more_is_weaker(&format!("the leeway {of}"), old.leeway, *leeway, shown);
}

fn claim_rules(of: &str, before: &ClaimRules, after: &ClaimRules, noted: &mut Aspects) {
    let ClaimRules { audience, subject, tenant, session, role, roles, scopes, required } = after;
    noted.other(&format!("the claim with the audience {of}"), &before.audience, audience);
    noted.other(&format!("the claim with the subject {of}"), &before.subject, subject);
    noted.other(&format!("the source of the tenant {of}"), &before.tenant, tenant);
    noted.other(&format!("the claim with the session {of}"), &before.session, session);
    noted.other(&format!("the claim with the role {of}"), &before.role, role);
    noted.other(&format!("the claim with the roles {of}"), &before.roles, roles);
    noted.other(&format!("the claim with the scopes {of}"), &before.scopes, scopes);
    noted.members(
        &format!("a required claim {of}:"),
        before.required.iter().map(|claim| claim.as_str()),
        required.iter().map(|claim| claim.as_str()),
        (Protection::Stricter, Protection::Weaker),
        |claim| format!("`{claim}`"),
    );
}

fn shown(duration: &Duration) -> String {
    format!("{duration:?}")
}
