//! Which claim of an issuer's tokens says what.

use std::collections::BTreeSet;

use crate::edge::{ClaimPath, ClaimRules, MappedClaim, TenantRule};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields, choice};

/// The rules for the claims. Without `claims` the tokens are those of the platform's own auth service.
pub(super) fn claims(
    context: Context<'_>,
    mapping: Option<&Node>,
    required: Option<&Node>,
    audience: ClaimPath,
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
        return Some(ClaimRules::own(audience));
    };
    let mut fields = Fields::of(context, node, "`claims`");
    let mut path = |name: &'static str, usual: Option<&str>| match fields.optional(name) {
        None => Some(usual.and_then(|usual| usual.parse().ok())),
        Some(n) => claim_path(context, n, &format!("`{name}` of `claims`")).map(Some),
    };
    let (subject, session, role) = (path("subject", Some("sub")), path("session", None), path("role", None));
    let scopes = path("scopes", Some("scope"));
    let tenant = fields
        .required(
            "tenant",
            "name the claim with the tenant, or one tenant for all: `tenant: { constant: … }`",
        )
        .and_then(|n| tenant(context, n));
    fields.finish();
    let rules = ClaimRules {
        audience,
        subject: subject??,
        tenant: tenant?,
        session: session?,
        role: role?,
        scopes: scopes?,
        required: BTreeSet::new(),
    };
    let required = match required {
        None => BTreeSet::new(),
        Some(node) => required_claims(context, node, &rules)?,
    };
    Some(ClaimRules { required, ..rules })
}

/// `tenant: org_id`, or `tenant: { constant: … }`.
fn tenant(context: Context<'_>, node: &Node) -> Option<TenantRule> {
    if matches!(node.value, Value::Text(_)) {
        return claim_path(context, node, "`tenant` of `claims`").map(TenantRule::Claim);
    }
    let mut fields = Fields::of(context, node, "`tenant` of `claims`");
    let constant = fields
        .required("constant", "write the tenant's UUID, or the name of a claim")
        .and_then(|n| reader::parsed(context, n, "`constant`", "write the tenant's UUID"));
    fields.finish();
    constant.map(TenantRule::Constant)
}

fn required_claims(context: Context<'_>, node: &Node, rules: &ClaimRules) -> Option<BTreeSet<MappedClaim>> {
    let choices = MappedClaim::ALL.map(|claim| (claim.as_str(), claim));
    let elements = reader::list(context, node, "`required`");
    let mut required = BTreeSet::new();
    for element in elements {
        let claim = choice(context, element, "`required`", &choices)?;
        let is_mapped = match claim {
            MappedClaim::Subject | MappedClaim::Tenant => true,
            MappedClaim::Session => rules.session.is_some(),
            MappedClaim::Role => rules.role.is_some(),
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
