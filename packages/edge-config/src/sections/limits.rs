//! The section `limits`, and the fields of policies and routes about limits, tenants and modes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::declared::Declared;
use crate::edge::{
    AcceptedCredential, LONGEST_REFILL, Limit, Mode, Per, Policy, Quota, RateHeaders, Reserved, TenantMatch,
};
use crate::fault::suggest;
use crate::node::Node;
use crate::reader::choice;
use crate::reader::{self, Context, Fields};
use crate::sections::paths::is_parameter;

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

/// A limit has at most this many quotas of single keys, and as many of plans: customers with a contract of their own are
/// few, and all others belong in a plan.
const MAX_OVERRIDES: usize = 10_000;

/// The longest text of a key with a quota of its own: a tenant's id has at most 255 bytes, a client's name 64.
const MAX_KEY_BYTES: usize = 320;

pub(crate) fn limit(context: Context<'_>, name: &str, node: &Node) -> Option<Limit> {
    let what = format!("limit `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let mend = format!("choose the key to count by: {}", PER.map(|(name, _)| format!("`{name}`")).join(", "));
    let per =
        fields.required("per", &mend).and_then(|n| choice(context, n, &format!("`per` of {what}"), &PER));
    let quota = quota(context, &mut fields, &what, None);
    let mode = mode(context, &mut fields, &what);
    let choices = [("refusals", RateHeaders::Refusals), ("always", RateHeaders::Always)];
    let headers = match fields.optional("headers") {
        None => Some(RateHeaders::default()),
        Some(n) => choice(context, n, &format!("`headers` of {what}"), &choices),
    };
    let (overrides, plans) = (fields.optional("overrides"), fields.optional("plans"));
    fields.finish();
    let (per, quota) = (per?, quota?);
    let keys_of = |field: &str, node: Option<&Node>, has_keys: bool, mend: &str| {
        let of = format!("`{field}` of {what}");
        match node {
            None => BTreeMap::new(),
            Some(node) if has_keys => quotas(context, node, &of, quota),
            Some(node) => {
                let problem = format!("{of} names keys, and it counts by {}", per.as_str());
                context.faults.report(node.place, problem, mend);
                BTreeMap::new()
            }
        }
    };
    let named = matches!(per, Per::Subject | Per::Tenant | Per::Service | Per::ApiKey);
    let overrides = keys_of(
        "overrides",
        overrides,
        named,
        "count by `subject`, `tenant`, `service` or `api-key`, or write a limit of its own",
    );
    let planned = matches!(per, Per::ApiKey | Per::Tenant);
    let plans = keys_of(
        "plans",
        plans,
        planned,
        "only API keys and tenants carry a plan: count by `api-key` or `tenant`",
    );
    Some(Limit { per, quota, mode: mode?, headers: headers?, overrides, plans })
}

/// The quota of `fields`. What it leaves out is that of `inherited`, if there is one.
fn quota(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    inherited: Option<Quota>,
) -> Option<Quota> {
    let count = |n: &Node, field: &str| {
        reader::number(context, n, &format!("`{field}` of {what}"), 1, 1_000_000)
            .and_then(|count| u32::try_from(count).ok())
    };
    let seconds = |n: &Node| {
        reader::number(context, n, &format!("`seconds` of {what}"), 1, 86_400).map(Duration::from_secs)
    };
    let (rate, period, burst_node) = match inherited {
        None => (
            fields
                .required("rate", "give the number of requests that are allowed in `seconds`: `rate: 60`")
                .and_then(|n| count(n, "rate")),
            fields.required("seconds", "give the time for `rate` requests: `seconds: 60`").and_then(seconds),
            fields.optional("burst"),
        ),
        Some(quota) => (
            fields.optional("rate").map_or(Some(quota.rate), |n| count(n, "rate")),
            fields.optional("seconds").map_or(Some(quota.period), seconds),
            fields.optional("burst"),
        ),
    };
    // By default, a client that was quiet for the whole period may use all of it at once.
    let default = inherited.map_or(rate, |quota| Some(quota.burst));
    let burst = burst_node.map_or(default, |n| count(n, "burst"));
    let quota = Quota { rate: rate?, period: period?, burst: burst? };
    let refill = Duration::from_micros(quota.interval_micros().saturating_mul(u64::from(quota.burst)));
    if refill > LONGEST_REFILL {
        let problem = format!(
            "{what} takes {} s from empty to full: {} requests at {} in {} s",
            refill.as_secs(),
            quota.burst,
            quota.rate,
            quota.period.as_secs()
        );
        let place = burst_node.map_or(fields.place, |n| n.place);
        context.faults.report(place, problem, format!("keep it under {} s", LONGEST_REFILL.as_secs()));
    }
    Some(quota)
}

/// The quotas in the mapping `node`, which messages call `what`: the name of each key, and how it differs from `base`.
fn quotas<'a>(context: Context<'a>, node: &'a Node, what: &str, base: Quota) -> BTreeMap<String, Quota> {
    let entries = reader::texts(context, node, what);
    if entries.len() > MAX_OVERRIDES {
        let problem = format!("{what} has {} keys", entries.len());
        context.faults.report(node.place, problem, format!("name at most {MAX_OVERRIDES}"));
        return BTreeMap::new();
    }
    let mut quotas = BTreeMap::new();
    for (key, place, node) in entries {
        if key.is_empty() || key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
            let mend = format!("write 1 to {MAX_KEY_BYTES} bytes without control characters");
            context.faults.report(place, format!("{what}: {key:?} is not a valid key"), mend);
            continue;
        }
        let shown = format!("{what} for `{key}`");
        let mut fields = Fields::of(context, node, &*shown);
        let own = quota(context, &mut fields, &shown, Some(base));
        fields.finish();
        if own == Some(base) {
            context.faults.report(
                place,
                format!("{shown} is the same as for every other key"),
                "leave it out",
            );
        }
        quotas.extend(own.map(|quota| (key.to_owned(), quota)));
    }
    quotas
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
    let (segment, parameter, header) =
        (fields.optional("path_segment"), fields.optional("path_parameter"), fields.optional("header"));
    fields.finish();
    match (segment, parameter, header) {
        (Some(n), None, None) => reader::number(context, n, "`path_segment`", 1, MAX_SEGMENT)
            .and_then(|number| usize::try_from(number).ok())
            .map(TenantMatch::PathSegment),
        (None, Some(n), None) => {
            let name = reader::text(context, n, "`path_parameter`")?;
            let bare = name.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(name);
            if name == bare && is_parameter(name) {
                return Some(TenantMatch::PathParameter(name.to_owned()));
            }
            let mend = "write the name of the parameter without braces: `path_parameter: tenant` for `/t/{tenant}/books`";
            context.faults.report(n.place, format!("`path_parameter` is {name:?}"), mend);
            None
        }
        (None, None, Some(n)) => {
            let name = reader::text(context, n, "`header`")?;
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
                return Some(TenantMatch::Header(name.to_owned()));
            }
            let mend = "write lower-case letters, digits and `-`, such as x-workspace";
            context.faults.report(n.place, format!("`header` is {name:?}"), mend);
            None
        }
        (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            let problem =
                format!("`tenant` of {what} needs one of `path_parameter`, `path_segment` and `header`");
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
        if reserved.takes(header) {
            let problem =
                format!("policy `{name}` reads the tenant from `{header}`, which clients cannot send");
            context.faults.report(tree.place, problem, "name a header that the edge does not reserve");
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
            Policy::Public(_)
            | Policy::Session(_)
            | Policy::Internal(_)
            | Policy::Signed(_)
            | Policy::Webhook(_)
            | Policy::Certificate(_),
            Per::Address | Per::Route,
        )
        | (Policy::Session(_), Per::Subject | Per::Tenant)
        | (
            Policy::Internal(_) | Policy::Signed(_) | Policy::Webhook(_) | Policy::Certificate(_),
            Per::Service,
        ) => true,
        (Policy::Session(policy), Per::ApiKey) => policy.accepts(AcceptedCredential::ApiKey),
        (Policy::Session(policy), Per::Session) => {
            policy.accepts(AcceptedCredential::Session) || policy.accepts(AcceptedCredential::LegacySession)
        }
        (Policy::Public(_), _) | (Policy::Session(_), Per::Service) => false,
        (
            Policy::Internal(_) | Policy::Signed(_) | Policy::Webhook(_) | Policy::Certificate(_),
            Per::Subject | Per::Tenant | Per::Session | Per::ApiKey,
        ) => false,
    }
}
