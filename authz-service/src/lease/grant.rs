//! Whether an allow may be used again, for how long, and for how many requests.
//!
//! In two steps, because limits are charged between them: [`plan`] says whether there could be a lease, so that uses are
//! taken in advance only then; [`grant`] writes it down.
//!
//! There is none unless all of these hold, and a request without one is decided about as ever:
//!
//! * the route's policy says `lease`, and every limit of the route counts by person or tenant
//!   ([`edge_config::Edge::lease_of`]);
//! * the method is one that the policy leases, GET and HEAD unless it says `methods: all`;
//! * the caller is a person, by an access token: one cookie in one line, or one bearer token, and nothing else that
//!   the policy would look at;
//! * nothing was only told that would have been refused (shadow);
//! * the session is not about to end, and what would end the lease is heard of (`Authorizer::is_fresh`).
//!
//! It lasts until the first of: the policy's `seconds`; the token's `exp`, without leeway; the useful life of the signed
//! identity; the time that the tenant's state counts without being asked for again; and what the feed can vouch for.

use std::time::Duration;

use ::lease::{Grant, Tag, Told, WINDOW_MS};
use clock::UnixTime;
use edge_config::edge::{AcceptedCredential, LeaseMethods, LeasePolicy, SessionPolicy};
use identity::{Person, headers};
use tokio::time::Instant;

use crate::check::CheckInput;
use crate::credential::{bearer, cookie};
use crate::decision::ALLOWED;
use crate::ended::{FRESH, session_tag, subject_tag, tenant_tag};
use crate::identity_headers::HeaderEdits;
use crate::policy::{Lasting, Permit};
use crate::shadow::Shadows;
use crate::snapshot::Snapshot;
use crate::who::Who;

/// A shorter lease is not worth the uses that it takes: whoever comes once a second is checked once a second.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// A lease that could be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// For how long at most.
    pub lifetime: Duration,
    /// For how many requests at most.
    pub uses: u32,
    tags: [Tag; 4],
}

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// For how long.
    pub lifetime: Duration,
    /// For how many requests.
    pub uses: u32,
    /// What the edge is told, see [`Grant`].
    pub text: String,
}

/// The policy that `permit` was given by, and how it leases.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The edge of the policy's revision.
    pub snapshot: &'a Snapshot,
    /// What a caller must be.
    pub policy: &'a SessionPolicy,
    /// How it leases.
    pub lease: &'a LeasePolicy,
}

/// The lease that `permit` could become, for the request `input`: `now` by the wall clock, `at` by the machine's own.
/// `None` when there is none.
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
    let (Who::Person(person), Some(Lasting { token, tenant_until })) = (permit.who(), permit.lasting())
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
    // The edge gets the grant at the end of its patience at the latest. Whatever the grant rests on was looked at
    // before that, and was then at most `FRESH` old.
    let vouched_for = Duration::from_millis(WINDOW_MS).saturating_sub(snapshot.patience + FRESH);
    let tenant = tenant_until.map_or(Duration::MAX, |until| until.saturating_duration_since(at));
    let lifetime = (*lifetime).min(vouched_for).min(token.expires.since(now)).min(tenant);
    let tags =
        [session_tag(person.session), subject_tag(person.subject), tenant_tag(person.tenant), token.key];
    (lifetime >= SHORTEST).then_some(Plan { lifetime, uses: *uses, tags })
}

/// The lease for `person` as planned, with `uses` that the limits gave and the headers of `edits`. `None` when too
/// little is left, or when it cannot be written.
#[must_use]
pub fn grant(
    plan: &Plan,
    uses: u64,
    edits: &HeaderEdits,
    person: &Person,
    input: &CheckInput<'_>,
    now: UnixTime,
) -> Option<Granted> {
    let good_for = edits.good_until.map(|until| until.since(now))?;
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
        tags: plan.tags.to_vec(),
        // Envoy writes the mark of the edge on every route by itself; each header less is one call less for the guard.
        headers: edits
            .set
            .iter()
            .filter(|(name, _)| *name != headers::GATEWAY)
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        told: Told {
            reason: ALLOWED.to_owned(),
            subject: person.subject.to_string(),
            session: person.session.to_string(),
            tenant: person.tenant.to_string(),
        },
    };
    let text =
        grant.encode().inspect_err(|unfit| tracing::debug!(%unfit, "no lease: it cannot be written")).ok()?;
    Some(Granted { lifetime, uses, text })
}

/// Whether `input` carries one access token and nothing else that `policy` would look at, also nothing that it looks at
/// and finds nothing in: the next request is compared with this one credential alone.
fn offers_one_credential(snapshot: &Snapshot, policy: &SessionPolicy, input: &CheckInput<'_>) -> bool {
    let Some(sessions) = &snapshot.sessions else { return false };
    let cookies = input.cookies();
    let tokens = cookie::count(&cookies, sessions.cookie.as_bytes());
    let bearers = if sessions.bearer { input.authorizations().len() } else { 0 };
    let one_cookie = tokens == 1 && cookies.len() == 1 && bearers == 0;
    let one_bearer =
        tokens == 0 && bearers == 1 && matches!(bearer::find(&input.authorizations()), Ok(Some(_)));
    let others = policy.accepted().iter().any(|kind| match kind {
        AcceptedCredential::Session => false,
        AcceptedCredential::ApiKey => {
            snapshot.api_keys.as_ref().is_none_or(|rules| input.values(&rules.header).next().is_some())
        }
        AcceptedCredential::LegacySession => snapshot.legacy_sessions.as_ref().is_none_or(|rules| {
            rules.cookie != sessions.cookie && cookie::count(&cookies, rules.cookie.as_bytes()) > 0
        }),
    });
    (one_cookie || one_bearer) && !others
}
