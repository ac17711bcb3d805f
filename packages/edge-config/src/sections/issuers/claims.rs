//! Which claim of an issuer's tokens says what.

use std::collections::{BTreeMap, BTreeSet};

use crate::edge::{ClaimPath, ClaimRules, MappedClaim, TenantHosts, TenantRule};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields, choice};

/// The claims of an issuer without `claims`.
#[derive(Clone, Copy)]
pub(super) enum Unmapped {
    /// Those of the platform's own auth service.
    Own,
    /// `sub` and `scope`, which RFC 7662 §2.2 names.
    Standard,
}

/// The rules for the claims.
pub(super) fn claims(
    context: Context<'_>,
    mapping: Option<&Node>,
    required: Option<&Node>,
    audience: ClaimPath,
    unmapped: Unmapped,
) -> Option<ClaimRules> {
    let Some(node) = mapping else {
        if let Some(required) = required {
            let problem = "an issuer has `required` without `claims`";
            context.faults.report(
                required.place,
                problem,
                "name the claims first: `claims: { tenant: org_id }`",
            );
            return None;
        }
        return match unmapped {
            Unmapped::Own => Some(ClaimRules::own(audience)),
            Unmapped::Standard => Some(ClaimRules::standard(audience)),
        };
    };
    let mut fields = Fields::of(context, node, "`claims`");
    let mut path = |name: &'static str, usual: Option<&str>| match fields.optional(name) {
        None => Some(usual.and_then(|usual| usual.parse().ok())),
        Some(n) => claim_path(context, n, &format!("`{name}` of `claims`")).map(Some),
    };
    let (subject, session, role) = (path("subject", Some("sub")), path("session", None), path("role", None));
    let (roles, scopes) = (path("roles", None), path("scopes", Some("scope")));
    let tenant = fields.optional("tenant").map_or(Some(TenantRule::Absent), |n| tenant(context, n));
    fields.finish();
    let rules = ClaimRules {
        audience,
        subject: subject??,
        tenant: tenant?,
        session: session?,
        role: role?,
        roles: roles?,
        scopes: scopes?,
        required: BTreeSet::new(),
    };
    let required = match required {
        None => BTreeSet::new(),
        Some(node) => required_claims(context, node, &rules)?,
    };
    Some(ClaimRules { required, ..rules })
}

/// `tenant: org_id`, `tenant: { constant: … }` or `tenant: { host: … }`.
fn tenant(context: Context<'_>, node: &Node) -> Option<TenantRule> {
    if matches!(node.value, Value::Text(_)) {
        return claim_path(context, node, "`tenant` of `claims`").map(TenantRule::Claim);
    }
    let mut fields = Fields::of(context, node, "`tenant` of `claims`");
    let (constant, host) = (fields.optional("constant"), fields.optional("host"));
    let place = fields.place;
    fields.finish();
    match (constant, host) {
        (Some(n), None) => {
            reader::parsed(context, n, "`constant`", "write the tenant's id").map(TenantRule::Constant)
        }
        (None, Some(n)) => tenant_hosts(context, n).map(TenantRule::Host),
        (Some(_), Some(_)) | (None, None) => {
            let problem = "`tenant` of `claims` needs either a `constant` or a `host`";
            let mend = "give exactly one of them, or the name of a claim: `tenant: org_id`";
            context.faults.report(place, problem, mend);
            None
        }
    }
}

/// More hosts than this are a directory of tenants, and belong in a claim.
const MAX_TENANT_HOSTS: usize = 256;

/// `host: "*.shop.example.com"`, or `host: { shop.example.com: acme, … }`.
fn tenant_hosts(context: Context<'_>, node: &Node) -> Option<TenantHosts> {
    const MEND: &str = "write `host: \"*.shop.example.com\"`, or each name with its tenant: `host: { shop.example.com: acme }`";
    let is_name = |name: &str| {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        name.len() <= 253 && name.split('.').all(label)
    };
    if matches!(node.value, Value::Text(_)) {
        let text = reader::text(context, node, "`host`")?;
        return match text.strip_prefix("*.") {
            Some(name) if is_name(name) => Some(TenantHosts::LabelBefore(format!(".{name}"))),
            Some(_) | None => {
                context.faults.report(node.place, format!("`host` is {text:?}"), MEND);
                None
            }
        };
    }
    let mut tenants = BTreeMap::new();
    let entries = reader::texts(context, node, "`host` of `tenant`");
    if entries.is_empty() || entries.len() > MAX_TENANT_HOSTS {
        let problem = format!("`host` of `tenant` names {} hosts", entries.len());
        context.faults.report(node.place, problem, format!("name 1 to {MAX_TENANT_HOSTS}"));
        return None;
    }
    for (name, place, value) in entries {
        if !is_name(name) {
            let problem = format!("a host of `tenant` is {name:?}");
            context.faults.report(place, problem, "write a host name in lower case, without a port");
            return None;
        }
        let what = format!("the tenant of `{name}`");
        tenants.insert(name.to_owned(), reader::parsed(context, value, &what, "write the tenant's id")?);
    }
    Some(TenantHosts::Named(tenants))
}

fn required_claims(context: Context<'_>, node: &Node, rules: &ClaimRules) -> Option<BTreeSet<MappedClaim>> {
    let choices = MappedClaim::ALL.map(|claim| (claim.as_str(), claim));
    let elements = reader::list(context, node, "`required`");
    let mut required = BTreeSet::new();
    for element in elements {
        let claim = choice(context, element, "`required`", &choices)?;
        let is_mapped = match claim {
            MappedClaim::Subject => true,
            MappedClaim::Tenant => rules.tenant != TenantRule::Absent,
            MappedClaim::Session => rules.session.is_some(),
            MappedClaim::Role => rules.role.is_some(),
            MappedClaim::Roles => rules.roles.is_some(),
            MappedClaim::Scopes => rules.scopes.is_some(),
        };
        if !is_mapped {
            let name = claim.as_str();
            let problem = format!("`required` lists `{name}`, and `claims` does not name its claim");
            context.faults.report(element.place, problem, format!("write `{name}: …` into `claims`"));
            return None;
        }
        required.insert(claim);
    }
    Some(required)
}

/// The claim that `node` names.
pub(super) fn claim_path(context: Context<'_>, node: &Node, what: &str) -> Option<ClaimPath> {
    let text = reader::text(context, node, what)?;
    match text.parse() {
        Ok(path) => Some(path),
        Err(error) => {
            let problem = format!("{what} is {text:?}, which is not a valid claim path");
            context.faults.report(node.place, problem, format!("{error}"));
            None
        }
    }
}
