//! The section `leases`, and the field `lease` of a session policy.

use std::time::Duration;

use crate::edge::{LeaseMethods, LeasePolicy, Leases, Mode, OnOutage, Policy, Route, TenantMatch};
use crate::fault::Place;
use crate::node::Node;
use crate::reader::choice;
use crate::reader::{self, Context, Fields};

/// Long enough that a busy page costs one check, short enough that a wrong clock hardly matters.
const SECONDS: u64 = 10;
/// The feed reports invalidations for 30 s; a lease must end before that, with room for a late answer.
const MOST_SECONDS: u64 = 25;
/// A hundred requests a second for the whole time: an honest client never reaches it.
const USES: u32 = 1_000;

pub(crate) fn leases(context: Context<'_>, node: &Node) -> Option<Leases> {
    let mut fields = Fields::of(context, node, "`leases`");
    // A slot may grow to 8 KiB, so the maximum takes 8 GiB, and its machine must have that memory.
    let slots = fields.optional("slots").map_or(Some(Leases::default().slots), |n| {
        reader::number(context, n, "`slots` of `leases`", 16, 1_048_576).and_then(|n| u32::try_from(n).ok())
    });
    fields.finish();
    Some(Leases { slots: slots? })
}

/// Warns about a route that gets no lease although its policy says `lease`, because its backend depends on the caller. A leased
/// request is matched before the caller is known, by the client's own headers alone.
pub(crate) fn check_route(context: Context<'_>, place: Place, route: &Route, policy: Option<&Policy>) {
    let leases = matches!(policy, Some(Policy::Session(policy)) if policy.lease.is_some());
    let by = if !route.canaries.is_empty() {
        "`canary`"
    } else if !route.destination.kinds.is_empty() {
        "the kind of session"
    } else {
        "`sticky`"
    };
    if leases && route.is_decided_late() {
        let name = &route.name;
        let problem = format!(
            "route `{name}` gets no lease: its backend is chosen by {by}, which only a check finds out"
        );
        let mend = "name a policy without `lease` there, to say so; each request is checked either way";
        context.faults.warn(place, problem, mend);
    }
}

/// The field `lease` of the session policy named `what`; without it, every request is checked. `tenant` is absent when
/// that field itself is faulty.
pub(crate) fn field(
    context: Context<'_>,
    policy: &mut Fields<'_>,
    what: &str,
    mode: Option<Mode>,
    tenant: Option<&Option<TenantMatch>>,
) -> Option<Option<LeasePolicy>> {
    let Some(node) = policy.optional("lease") else { return Some(None) };
    let mut fields = Fields::of(context, node, format!("`lease` of {what}"));
    let seconds = fields
        .optional("seconds")
        .map_or(Some(SECONDS), |n| reader::number(context, n, "`seconds` of `lease`", 1, MOST_SECONDS));
    let uses = fields.optional("uses").map_or(Some(USES), |n| {
        reader::number(context, n, "`uses` of `lease`", 1, 1_000_000).and_then(|n| u32::try_from(n).ok())
    });
    let methods = fields.optional("methods").map_or(Some(LeaseMethods::Safe), |n| {
        let methods = [("safe", LeaseMethods::Safe), ("all", LeaseMethods::All)];
        choice(context, n, "`methods` of `lease`", &methods)
    });
    let on_outage = fields.optional("on_outage").map_or(Some(OnOutage::Deny), |n| {
        let choices = [("deny", OnOutage::Deny), ("lease", OnOutage::Lease)];
        choice(context, n, "`on_outage` of `lease`", &choices)
    });
    fields.finish();
    if mode == Some(Mode::Shadow) {
        let problem = format!("{what} is tried out (`mode: shadow`), so every request must be checked");
        context.faults.report(node.place, problem, "leave out `lease` or `mode: shadow`");
    }
    if tenant.is_some_and(Option::is_some) {
        let problem =
            format!("{what} compares the tenant in each request, so a decision fits one request only");
        context.faults.report(node.place, problem, "leave out `lease` or `tenant`");
    }
    Some(Some(LeasePolicy {
        lifetime: Duration::from_secs(seconds?),
        uses: uses?,
        methods: methods?,
        on_outage: on_outage?,
    }))
}
