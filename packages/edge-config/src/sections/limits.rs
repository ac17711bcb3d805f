//! The section `limits`, and the fields of policies and routes about limits, tenants and modes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::declared::Declared;
use crate::edge::{AcceptedCredential, LONGEST_REFILL, Limit, Mode, Per, Policy, Reserved, TenantMatch};
use crate::fault::suggest;
use crate::node::Node;
use crate::reader::choice;
use crate::reader::{self, Context, Fields};

const PER: [(&str, Per); 7] = [
    ("subject", Per::Subject),
    ("tenant", Per::Tenant),
    ("session", Per::Session),
    ("service", Per::Service),
    ("api-key", Per::ApiKey),
    ("address", Per::Address),
    ("route", Per::Route),
];

/// A route has at most this many limits: all of them go to Redis in one message.
const MAX_LIMITS_PER_ROUTE: usize = 8;

/// Paths have a handful of segments; a larger number is a mistake.
const MAX_SEGMENT: u64 = 32;

pub(crate) fn limit(context: Context<'_>, name: &str, node: &Node) -> Option<Limit> {
    let what = format!("limit `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let mend = format!("choose the key to count by: {}", PER.map(|(name, _)| format!("`{name}`")).join(", "));
    let per =
        fields.required("per", &mend).and_then(|n| choice(context, n, &format!("`per` of {what}"), &PER));
    let count = |n: &Node, field: &str| {
        reader::number(context, n, &format!("`{field}` of {what}"), 1, 1_000_000)
            .and_then(|count| u32::try_from(count).ok())
    };
    let rate = fields
        .required("rate", "give the number of requests that are allowed in `seconds`: `rate: 60`")
        .and_then(|n| count(n, "rate"));
    let seconds = fields
        .required("seconds", "give the time for `rate` requests: `seconds: 60`")
        .and_then(|n| reader::number(context, n, &format!("`seconds` of {what}"), 1, 86_400));
    let burst_node = fields.optional("burst");
    // By default, a client that was quiet for the whole period may use all of it at once.
    let burst = burst_node.map_or(rate, |n| count(n, "burst"));
    let mode = mode(context, &mut fields, &what);
    let place = burst_node.map_or(fields.place, |n| n.place);
    fields.finish();
    let limit =
        Limit { per: per?, rate: rate?, period: Duration::from_secs(seconds?), burst: burst?, mode: mode? };
    let refill = Duration::from_micros(limit.interval_micros().saturating_mul(u64::from(limit.burst)));
    if refill > LONGEST_REFILL {
        let problem = format!(
            "{what} takes {} s from empty to full: {} requests at {} in {} s",
            refill.as_secs(),
            limit.burst,
            limit.rate,
            limit.period.as_secs()
        );
        context.faults.report(place, problem, format!("keep it under {} s", LONGEST_REFILL.as_secs()));
    }
    Some(limit)
}

/// The field `mode`; without it, the policy or limit is enforced.
pub(crate) fn mode(context: Context<'_>, fields: &mut Fields<'_>, what: &str) -> Option<Mode> {
    let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    fields
        .optional("mode")
        .map_or(Some(Mode::Enforce), |n| choice(context, n, &format!("`mode` of {what}"), &modes))
}

/// The field `tenant` of a session policy.
pub(crate) fn tenant_match(context: Context<'_>, node: &Node, what: &str) -> Option<TenantMatch> {
    let mut fields = Fields::of(context, node, format!("`tenant` of {what}"));
    let (segment, header) = (fields.optional("path_segment"), fields.optional("header"));
    fields.finish();
    match (segment, header) {
        (Some(n), None) => reader::number(context, n, "`path_segment`", 1, MAX_SEGMENT)
            .and_then(|number| usize::try_from(number).ok())
            .map(TenantMatch::PathSegment),
        (None, Some(n)) => {
            let name = reader::text(context, n, "`header`")?;
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
                return Some(TenantMatch::Header(name.to_owned()));
            }
            let mend = "write lower-case letters, digits and `-`, such as x-workspace";
            context.faults.report(n.place, format!("`header` is {name:?}"), mend);
            None
        }
        (Some(_), Some(_)) | (None, None) => {
            let problem = format!("`tenant` of {what} needs either a `path_segment` or a `header`");
            context.faults.report(node.place, problem, "give exactly one of them");
            None
        }
    }
}

/// Reports tenant headers that never arrive, because only the edge may write them.
pub(crate) fn check_tenant_headers(
    context: Context<'_>,
    policies: &BTreeMap<String, Policy>,
    reserved: &Reserved,
    tree: &Node,
) {
    for (name, policy) in policies {
        let Policy::Session(policy) = policy else { continue };
        let Some(TenantMatch::Header(header)) = &policy.tenant else { continue };
        if reserved.names.contains(header) || reserved.prefixes.iter().any(|p| header.starts_with(p.as_str()))
        {
            let problem =
                format!("policy `{name}` reads the tenant from `{header}`, which clients cannot send");
            context.faults.report(tree.place, problem, "name a header that is not in `reserved_headers`");
        }
    }
}

/// The field `limits` of the route that messages call `shown`, with the policy `policy`.
pub(crate) fn of_route(
    context: Context<'_>,
    node: &Node,
    shown: &str,
    limits: &Declared<Limit>,
    policy: Option<(&str, &Policy)>,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for element in reader::list(context, node, &format!("`limits` of {shown}")) {
        let Some(name) = limits.reference(context, element, &format!("a limit of {shown}")) else { continue };
        if names.contains(&name) {
            context.faults.report(element.place, format!("{shown} lists `{name}` twice"), "list it once");
            continue;
        }
        if let (Some(limit), Some((policy_name, policy))) = (limits.good.get(&name), policy)
            && !knows(policy, limit.per)
        {
            let problem = format!(
                "{shown} has the limit `{name}`, which counts by {}; callers of its policy `{policy_name}` have none",
                limit.per.as_str()
            );
            let known = PER.iter().filter(|(_, per)| knows(policy, *per)).map(|(name, _)| *name);
            context.faults.report(element.place, problem, suggest("", known));
        }
        names.push(name);
    }
    if names.len() > MAX_LIMITS_PER_ROUTE {
        let problem = format!("{shown} has {} limits", names.len());
        context.faults.report(node.place, problem, format!("list at most {MAX_LIMITS_PER_ROUTE}"));
    }
    names
}

/// Whether a caller that `policy` lets pass has the key `per`.
fn knows(policy: &Policy, per: Per) -> bool {
    match (policy, per) {
        (
            Policy::Public(_) | Policy::Session(_) | Policy::Internal(_) | Policy::Signed(_),
            Per::Address | Per::Route,
        )
        | (Policy::Session(_), Per::Subject | Per::Tenant)
        | (Policy::Internal(_) | Policy::Signed(_), Per::Service) => true,
        (Policy::Session(policy), Per::ApiKey) => policy.accepts(AcceptedCredential::ApiKey),
        (Policy::Session(policy), Per::Session) => {
            policy.accepts(AcceptedCredential::Session) || policy.accepts(AcceptedCredential::LegacySession)
        }
        (Policy::Public(_), _) | (Policy::Session(_), Per::Service) => false,
        (
            Policy::Internal(_) | Policy::Signed(_),
            Per::Subject | Per::Tenant | Per::Session | Per::ApiKey,
        ) => false,
    }
}
