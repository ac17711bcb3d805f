//! Compares two policies: which callers pass the one and not the other.

use edge_config::Edge;
use edge_config::edge::{
    BesideCookie, CertificateHolder, CertificatePolicy, Cidr, InternalPolicy, LeaseMethods, LeasePolicy,
    Mode, OnOutage, Policy, PublicPolicy, RoleNames, SessionPolicy, SignInRedirect, SignatureProfile,
    SignedPolicy, TenantMatch, Webhook, WebhookPolicy, WebhookTime,
};

use super::found::{Aspects, Protection};

/// Notes how the policy of a route changed.
pub(super) fn compare(
    (old_edge, old): (&Edge, &Policy),
    (new_edge, new): (&Edge, &Policy),
    noted: &mut Aspects,
) {
    match (old, new) {
        (Policy::Public(old), Policy::Public(new)) => public(*old, *new, noted),
        (
            Policy::Public(_),
            Policy::Session(_)
            | Policy::Internal(_)
            | Policy::Signed(_)
            | Policy::Webhook(_)
            | Policy::Certificate(_),
        ) => {
            noted.note(Protection::Stricter, "no longer public");
        }
        (
            Policy::Session(_)
            | Policy::Internal(_)
            | Policy::Signed(_)
            | Policy::Webhook(_)
            | Policy::Certificate(_),
            Policy::Public(_),
        ) => {
            noted.note(Protection::Weaker, "becomes public");
        }
        (Policy::Session(old), Policy::Session(new)) => sessions(old, new, noted),
        (Policy::Internal(old), Policy::Internal(new)) => internal((old_edge, old), (new_edge, new), noted),
        (Policy::Signed(old), Policy::Signed(new)) => signed(old, new, noted),
        (Policy::Webhook(old), Policy::Webhook(new)) => webhook((old_edge, old), (new_edge, new), noted),
        (Policy::Certificate(old), Policy::Certificate(new)) => {
            certificate((old_edge, old), (new_edge, new), noted);
        }
        (
            Policy::Session(_),
            Policy::Internal(_) | Policy::Signed(_) | Policy::Webhook(_) | Policy::Certificate(_),
        )
        | (
            Policy::Internal(_),
            Policy::Session(_) | Policy::Signed(_) | Policy::Webhook(_) | Policy::Certificate(_),
        )
        | (
            Policy::Signed(_),
            Policy::Session(_) | Policy::Internal(_) | Policy::Webhook(_) | Policy::Certificate(_),
        )
        | (
            Policy::Webhook(_),
            Policy::Session(_) | Policy::Internal(_) | Policy::Signed(_) | Policy::Certificate(_),
        )
        | (
            Policy::Certificate(_),
            Policy::Session(_) | Policy::Internal(_) | Policy::Signed(_) | Policy::Webhook(_),
        ) => noted.note(
            Protection::Weaker,
            format!("{} instead of {}: other callers pass than before", kind(new), kind(old)),
        ),
    }
}

/// The kind of a policy, in words.
pub(super) const fn kind(policy: &Policy) -> &'static str {
    match policy {
        Policy::Public(_) => "public",
        Policy::Session(_) => "session",
        Policy::Internal(_) => "internal",
        Policy::Signed(_) => "signed",
        Policy::Webhook(_) => "webhook",
        Policy::Certificate(_) => "client-certificate",
    }
}

fn public(old: PublicPolicy, new: PublicPolicy, noted: &mut Aspects) {
    let PublicPolicy { refuse_ended } = new;
    match (old.refuse_ended, refuse_ended) {
        (false, true) => noted.note(Protection::Stricter, "ended sessions are refused"),
        (true, false) => noted.note(Protection::Weaker, "ended sessions are no longer refused"),
        (true, true) | (false, false) => {}
    }
}

fn sessions(old: &SessionPolicy, new: &SessionPolicy, noted: &mut Aspects) {
    let SessionPolicy { accept: _, bearer_beside_cookie, role, roles, scopes, tenant, mode, lease, sign_in } =
        new;
    noted.members(
        "credential",
        old.accepted().iter().map(|kind| kind.as_str()),
        new.accepted().iter().map(|kind| kind.as_str()),
        (Protection::Weaker, Protection::Stricter),
        |kind| format!("`{kind}`"),
    );
    match (old.bearer_beside_cookie, *bearer_beside_cookie) {
        (BesideCookie::Compare, BesideCookie::Ignore) => {
            noted.note(Protection::Weaker, "a bearer token beside a session cookie is ignored")
        }
        (BesideCookie::Ignore, BesideCookie::Compare) => noted
            .note(Protection::Stricter, "a bearer token beside a session cookie must prove the same session"),
        (BesideCookie::Compare, BesideCookie::Compare) | (BesideCookie::Ignore, BesideCookie::Ignore) => {}
    }
    match (old.role, *role) {
        (Some(before), Some(after)) if after.0 < before.0 => {
            noted.note(Protection::Weaker, format!("role lowered from {} to {}", before.0, after.0));
        }
        (Some(before), Some(after)) if after.0 > before.0 => {
            noted.note(Protection::Stricter, format!("role raised from {} to {}", before.0, after.0));
        }
        (Some(before), None) => {
            noted.note(Protection::Weaker, format!("role {} no longer required", before.0))
        }
        (None, Some(after)) => noted.note(Protection::Stricter, format!("role {} required", after.0)),
        (Some(_), Some(_)) | (None, None) => {}
    }
    role_names(old.roles.as_ref(), roles.as_ref(), noted);
    noted.members("scope", &old.scopes, scopes, (Protection::Stricter, Protection::Weaker), |scope| {
        format!("`{scope}`")
    });
    match (&old.tenant, tenant) {
        (Some(_), None) => {
            noted.note(Protection::Weaker, "the request's tenant is no longer compared with the caller's")
        }
        (None, Some(at)) => noted
            .note(Protection::Stricter, format!("the tenant in {} must be the caller's", shown_match(at))),
        (Some(before), Some(after)) if before != after => noted.note(
            Protection::Weaker,
            format!("the tenant is read from {} instead of {}", shown_match(after), shown_match(before)),
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let asks = |policy: &SessionPolicy| {
        policy.role.is_some()
            || policy.roles.is_some()
            || !policy.scopes.is_empty()
            || policy.tenant.is_some()
    };
    mode_changed("the policy", old.mode, *mode, asks(old), noted);
    leased(old.lease.as_ref(), lease.as_ref(), noted);
    signed_in(old.sign_in.as_ref(), sign_in.as_ref(), noted);
}

/// Where people without a session go. Another page is another place for passwords, so a person has to check it.
fn signed_in(old: Option<&SignInRedirect>, new: Option<&SignInRedirect>, noted: &mut Aspects) {
    match (old, new) {
        (None, Some(now)) => {
            noted.note(Protection::Same, format!("people without a session are sent to {}", now.page));
        }
        (Some(_), None) => {
            noted.note(Protection::Same, "people without a session get a 401 instead of a sign-in page")
        }
        (Some(was), Some(now)) if was.page != now.page => noted.note(
            Protection::Weaker,
            format!("people without a session are sent to {} instead of {}: check it", now.page, was.page),
        ),
        (Some(was), Some(now)) if was != now => {
            noted.note(Protection::Same, "the parameter with the way back to the refused page changed");
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
}

/// Stricter when each caller with the new roles passed before, weaker otherwise.
fn role_names(old: Option<&RoleNames>, new: Option<&RoleNames>, noted: &mut Aspects) {
    let within = |names: &[String], others: &[String]| names.iter().all(|name| others.contains(name));
    match (old, new) {
        (Some(before), None) => noted.note(Protection::Weaker, format!("roles no longer required: {before}")),
        (None, Some(after)) => noted.note(Protection::Stricter, format!("roles required: {after}")),
        (Some(before), Some(after)) if before != after => {
            let is_stricter = match (before, after) {
                (RoleNames::Any(before), RoleNames::Any(after)) => within(after, before),
                (RoleNames::All(before), RoleNames::All(after)) => within(before, after),
                (RoleNames::Any(before), RoleNames::All(after)) => {
                    after.iter().any(|name| before.contains(name))
                }
                (RoleNames::All(before), RoleNames::Any(after)) => {
                    matches!(before.as_slice(), [one] if after.iter().all(|name| name == one))
                }
            };
            let is_the_same_set =
                within(before.names(), after.names()) && within(after.names(), before.names());
            let is_the_same = is_the_same_set
                && (std::mem::discriminant(before) == std::mem::discriminant(after)
                    || before.names().len() == 1);
            let standing = match (is_the_same, is_stricter) {
                (true, _) => Protection::Same,
                (false, true) => Protection::Stricter,
                (false, false) => Protection::Weaker,
            };
            noted.note(standing, format!("roles changed from {before} to {after}"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
}

/// A lease that lasts longer or serves more requests is weaker: a change of the caller's rights takes effect later.
fn leased(old: Option<&LeasePolicy>, new: Option<&LeasePolicy>, noted: &mut Aspects) {
    match (old, new) {
        (Some(before), Some(after)) => {
            let LeasePolicy { lifetime, uses, methods, on_outage } = after;
            noted.more_is_weaker("how long a lease lasts", before.lifetime, *lifetime, |t| format!("{t:?}"));
            noted.more_is_weaker("how many requests a lease serves", before.uses, *uses, u32::to_string);
            match (before.methods, methods) {
                (LeaseMethods::Safe, LeaseMethods::All) => {
                    noted.note(Protection::Weaker, "leases serve every method");
                }
                (LeaseMethods::All, LeaseMethods::Safe) => {
                    noted.note(Protection::Stricter, "leases serve GET and HEAD only");
                }
                (LeaseMethods::Safe, LeaseMethods::Safe) | (LeaseMethods::All, LeaseMethods::All) => {}
            }
            match (before.on_outage, on_outage) {
                (OnOutage::Deny, OnOutage::Lease) => {
                    noted
                        .note(Protection::Weaker, "leases stay valid while the authorizer cannot be reached");
                }
                (OnOutage::Lease, OnOutage::Deny) => {
                    noted.note(Protection::Stricter, "leases end while the authorizer cannot be reached");
                }
                (OnOutage::Deny, OnOutage::Deny) | (OnOutage::Lease, OnOutage::Lease) => {}
            }
        }
        (None, Some(after)) => noted.note(
            Protection::Weaker,
            format!("a decision may be used again for {:?} and {} requests", after.lifetime, after.uses),
        ),
        (Some(_), None) => {
            noted.note(Protection::Stricter, "no leases: every request needs its own decision")
        }
        (None, None) => {}
    }
}

/// Notes that `what` is enforced now, or no longer. `asked` says whether it asks for anything.
pub(super) fn mode_changed(what: &str, old: Mode, new: Mode, asked: bool, noted: &mut Aspects) {
    match (old, new) {
        (Mode::Enforce, Mode::Shadow) if asked => {
            noted.note(Protection::Weaker, format!("{what} is no longer enforced (shadow)"))
        }
        (Mode::Shadow, Mode::Enforce) => noted.note(Protection::Stricter, format!("{what} is enforced")),
        (Mode::Enforce, Mode::Shadow | Mode::Enforce) | (Mode::Shadow, Mode::Shadow) => {}
    }
}

fn shown_match(at: &TenantMatch) -> String {
    match at {
        TenantMatch::PathSegment(segment) => format!("path segment {segment}"),
        TenantMatch::PathParameter(name) => format!("the parameter `{{{name}}}` of the path"),
        TenantMatch::Header(name) => format!("header `{name}`"),
    }
}

fn internal(
    (old_edge, old): (&Edge, &InternalPolicy),
    (new_edge, new): (&Edge, &InternalPolicy),
    noted: &mut Aspects,
) {
    let InternalPolicy { services: _, permissions } = new;
    // An empty list means every service that the edge knows.
    let services = |edge: &Edge, policy: &InternalPolicy| -> Vec<String> {
        if policy.services.is_empty() {
            edge.services.keys().map(ToString::to_string).collect()
        } else {
            policy.services.iter().map(ToString::to_string).collect()
        }
    };
    noted.members(
        "service",
        services(old_edge, old),
        services(new_edge, new),
        (Protection::Weaker, Protection::Stricter),
        |s| format!("`{s}`"),
    );
    noted.members(
        "permission",
        &old.permissions,
        permissions,
        (Protection::Stricter, Protection::Weaker),
        |p| format!("`{p}`"),
    );
}

fn signed(old: &SignedPolicy, new: &SignedPolicy, noted: &mut Aspects) {
    let SignedPolicy { keys, addresses, profile } = new;
    let SignatureProfile { needs_nonce, needs_algorithm, tag } = profile;
    let before = &old.profile;
    noted.is_required("the nonce of a signature", before.needs_nonce, *needs_nonce);
    noted.is_required("the algorithm of a signature", before.needs_algorithm, *needs_algorithm);
    noted.other("the tag of a signature", &before.tag, tag);
    noted.members("key", &old.keys, keys, (Protection::Weaker, Protection::Stricter), |key| {
        format!("`{key}`")
    });
    ranges(&old.addresses, addresses, noted);
}

fn ranges(old: &[Cidr], new: &[Cidr], noted: &mut Aspects) {
    let within = |one: &Cidr, ranges: &[Cidr]| ranges.iter().any(|range| range.covers(one));
    for range in new.iter().filter(|range| !within(range, old)) {
        noted.note(Protection::Weaker, format!("addresses {range} added"));
    }
    for range in old.iter().filter(|range| !within(range, new)) {
        noted.note(Protection::Stricter, format!("addresses {range} dropped"));
    }
}

fn certificate(
    (old_edge, old): (&Edge, &CertificatePolicy),
    (new_edge, new): (&Edge, &CertificatePolicy),
    noted: &mut Aspects,
) {
    let CertificatePolicy { callers: _, addresses } = new;
    match (old.addresses.is_empty(), addresses.is_empty()) {
        (true, true) => {}
        (true, false) => noted.note(Protection::Stricter, "only listed addresses pass"),
        (false, true) => noted.note(Protection::Weaker, "every address passes"),
        (false, false) => ranges(&old.addresses, addresses, noted),
    }
    noted.members(
        "a certificate that proves",
        proving(old_edge, old),
        proving(new_edge, new),
        (Protection::Weaker, Protection::Stricter),
        |(caller, name)| format!("`{caller}` ({name})"),
    );
}

/// The callers that pass, each with a name that proves it.
fn proving<'e>(edge: &'e Edge, policy: &'e CertificatePolicy) -> impl Iterator<Item = (&'e str, &'e str)> {
    let passes = |name: &String| policy.callers.is_empty() || policy.callers.contains(name);
    let passing = edge.client_certificates.iter().filter(move |(name, _)| passes(name));
    passing.flat_map(|(caller, CertificateHolder { names })| {
        names.iter().map(move |name| (caller.as_str(), name.as_str()))
    })
}

fn webhook(
    (old_edge, old): (&Edge, &WebhookPolicy),
    (new_edge, new): (&Edge, &WebhookPolicy),
    noted: &mut Aspects,
) {
    let WebhookPolicy { of, addresses } = new;
    match (old.addresses.is_empty(), addresses.is_empty()) {
        (true, true) => {}
        (true, false) => noted.note(Protection::Stricter, "only listed addresses pass"),
        (false, true) => noted.note(Protection::Weaker, "every address passes"),
        (false, false) => ranges(&old.addresses, addresses, noted),
    }
    let (Some(before), Some(after)) = (old_edge.webhooks.get(&old.of), new_edge.webhooks.get(of)) else {
        return;
    };
    let Webhook { secrets, encoding, hash, header, format, time, signed, max_body_bytes } = after;
    noted.other("the files of secrets", &before.secrets, secrets);
    noted.other("how the files contain the secrets", &before.encoding, encoding);
    noted.other("the hash function", &before.hash, hash);
    noted.other("the header with the signature", &before.header, header);
    noted.other("the form of the signature", &before.format, format);
    noted.other("what is signed", &before.signed, signed);
    match (&before.time, time) {
        (None, None) => {}
        (None, Some(_)) => noted.note(Protection::Stricter, "the moment of signing counts"),
        (Some(_), None) => noted.note(Protection::Weaker, "a signature is valid for ever"),
        (Some(before), Some(after)) => {
            let WebhookTime { header, tolerance, once } = after;
            noted.other("the place of the moment of signing", &before.header, header);
            let seconds = |time: &std::time::Duration| format!("{} s", time.as_secs());
            noted.more_is_weaker("the age of a signature", before.tolerance, *tolerance, seconds);
            match (before.once, once) {
                (true, false) => noted.note(Protection::Weaker, "a signature is accepted several times"),
                (false, true) => noted.note(Protection::Stricter, "a signature is accepted once"),
                (true, true) | (false, false) => {}
            }
        }
    }
    noted.changed("the longest body", &before.max_body_bytes, max_body_bytes);
}
