//! Decides whether an allow may be used again, for how long, and for how many requests.
//!
//! In two steps, because limits are charged between them: [`plan`] decides whether a lease is possible, so
//! that uses are charged in advance only then; [`grant`] encodes it.
//!
//! A lease requires all of these; a request without one is decided as usual:
//!
//! * the route's policy says `lease`, and every limit of the route counts by person or tenant
//!   ([`edge_config::Edge::lease_of`]);
//! * the method is one that the policy leases, GET and HEAD unless it says `methods: all`;
//! * the caller is a person with an access token: one cookie in one line, or one bearer token, and no other
//!   credential that the policy checks;
//! * no shadow rule would have refused the request;
//! * the session is not about to end, and the events that would end the lease are up to date
//!   (`Authorizer::is_fresh`).
//!
//! It lasts until the first of: the policy's `seconds`; the token's `exp`, without leeway; the useful life of
//! the signed identity; the remaining validity of the tenant's state; and the period for which the feed can
//! vouch.

use std::time::Duration;

use ::lease::{Grant, LogFields, Tag, WINDOW_MS};
use clock::UnixTime;
use edge_config::edge::{AcceptedCredential, LeaseMethods, LeasePolicy, SessionPolicy};
use identity::Person;
use tokio::time::Instant;

use crate::check::CheckInput;
use crate::credential::{api_key, bearer, cookie};
use crate::decision::ALLOWED;
use crate::ended::{FRESH, session_tag, subject_tag, tenant_tag};
use crate::identity_headers::HeaderEdits;
use crate::policy::{Lasting, Permit};
use crate::shadow::Shadows;
use crate::snapshot::Snapshot;
use crate::who::{Caller, Who};

/// A shorter lease is not worth the uses that it reserves: a client that comes once a second is checked once
/// a second.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// A possible lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The longest lifetime.
    pub lifetime: Duration,
    /// The largest number of requests.
    pub uses: u32,
    /// Subject and key, and the session and the tenant if there are any.
    tags: [Option<Tag>; 4],
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The lifetime.
    pub lifetime: Duration,
    /// The number of requests.
    pub uses: u32,
    /// The header value for the edge, see [`Grant`].
    pub text: String,
}

/// The policy that gave a `permit`, and its lease rules.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The edge of the policy's revision.
    pub snapshot: &'a Snapshot,
    /// The requirements for the caller.
    pub policy: &'a SessionPolicy,
    /// Its lease rules.
    pub lease: &'a LeasePolicy,
}

/// The lease that `permit` could become, for the request `input`: `now` by the wall clock, `at` by the
/// machine's own. `None` when no lease is possible.
#[must_use]
pub fn plan(
    rules: Rules<'_>,
    input: &CheckInput<'_>,
    permit: &Permit,
    shadows: &Shadows,
    now: UnixTime,
    at: Instant,
) -> Option<Plan> {
    let Rules { snapshot, policy, lease } = rules;
    let LeasePolicy { lifetime, uses, methods, on_outage: _ } = lease;
    let (Who::Caller(Caller::Person(person)), Some(Lasting { token, tenant_until })) =
        (permit.who(), permit.lasting())
    else {
        return None;
    };
    let method_fits = match methods {
        LeaseMethods::Safe => matches!(input.method, "GET" | "HEAD"),
        LeaseMethods::All => true,
    };
    if !method_fits || !shadows.is_empty() || !offers_one_credential(snapshot, policy, input) {
        return None;
    }
    // The edge receives the grant within its timeout at the latest. The facts behind it were read before
    // that, and were then at most `FRESH` old.
    let vouched_for = Duration::from_millis(WINDOW_MS).saturating_sub(snapshot.patience + FRESH);
    let tenant = tenant_until.map_or(Duration::MAX, |until| until.saturating_duration_since(at));
    let lifetime = (*lifetime).min(vouched_for).min(token.expires.since(now)).min(tenant);
    let tags = [
        person.session.as_ref().map(session_tag),
        Some(subject_tag(&person.subject)),
        person.tenant.as_ref().map(tenant_tag),
        Some(token.key),
    ];
    (lifetime >= SHORTEST).then_some(Plan { lifetime, uses: *uses, tags })
}

/// The lease for `person` as planned, with the `uses` that the limits granted and the headers of `edits`.
/// `None` when too little is left, or when it cannot be encoded.
#[must_use]
pub fn grant(
    plan: &Plan,
    uses: u64,
    edits: &HeaderEdits,
    person: &Person,
    input: &CheckInput<'_>,
    now: UnixTime,
) -> Option<Granted> {
    // Without a signed identity nothing in the headers grows old.
    let good_for = edits.good_until.map_or(Duration::MAX, |until| until.since(now));
    let lifetime = plan.lifetime.min(good_for);
    let uses = u32::try_from(uses).unwrap_or(u32::MAX).min(plan.uses);
    if lifetime < SHORTEST || uses == 0 {
        return None;
    }
    let grant = Grant {
        lifetime_ms: u32::try_from(lifetime.as_millis()).ok()?,
        uses,
        route: input.route.to_owned(),
        policy: input.policy.to_owned(),
        revision: input.revision.to_owned(),
        request_id: input.request_id.to_owned(),
        tags: plan.tags.iter().flatten().copied().collect(),
        headers: edits.set.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        log: LogFields {
            reason: ALLOWED.to_owned(),
            subject: person.subject.to_string(),
            session: person.session.as_ref().map(ToString::to_string).unwrap_or_default(),
            tenant: person.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
        },
    };
    let text =
        grant.encode().inspect_err(|unfit| tracing::debug!(%unfit, "no lease: cannot encode it")).ok()?;
    Some(Granted { lifetime, uses, text })
}

/// Whether `input` carries one access token and no other credential that `policy` checks, not even an empty
/// one: the next request is compared with this one credential alone.
fn offers_one_credential(snapshot: &Snapshot, policy: &SessionPolicy, input: &CheckInput<'_>) -> bool {
    let Some(sessions) = &snapshot.sessions else { return false };
    let cookies = input.cookies();
    // The edge compares one cookie, and a part of a token is not one.
    if cookie::has_part(&cookies, sessions) {
        return false;
    }
    let tokens = cookie::count(&cookies, sessions.cookie.as_bytes());
    let bearers = if sessions.bearer { input.authorizations().len() } else { 0 };
    let one_cookie = tokens == 1 && cookies.len() == 1 && bearers == 0;
    let one_bearer =
        tokens == 0 && bearers == 1 && matches!(bearer::find(&input.authorizations()), Ok(Some(_)));
    let others = policy.accepted().iter().any(|kind| match kind {
        AcceptedCredential::Session => false,
        AcceptedCredential::ApiKey => {
            snapshot.api_keys.as_ref().is_none_or(|rules| api_key::is_offered(rules, input))
        }
        AcceptedCredential::LegacySession => snapshot.legacy_sessions.as_ref().is_none_or(|rules| {
            rules.cookie != sessions.cookie && cookie::count(&cookies, rules.cookie.as_bytes()) > 0
        }),
    });
    (one_cookie || one_bearer) && !others
}
