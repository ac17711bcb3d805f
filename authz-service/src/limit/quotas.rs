//! Which quota counts for a caller.

use std::sync::Arc;

use clock::UnixTime;
use edge_config::edge::{Per, Quota};
use identity::Client;

use crate::snapshot::Route;
use crate::snapshot::rule::{Rule, Tier};
use crate::tenant::Tenants;
use crate::who::{Caller, KeyTerms, Who};

/// The caller that a permitted request is charged to.
#[derive(Clone, Copy, Debug)]
pub struct Payer<'a> {
    /// The caller.
    pub who: &'a Who,
    /// What the caller's API key says, if it has one.
    pub key: Option<&'a KeyTerms>,
    /// The plan of the caller's tenant, where a limit of the route needs it.
    pub tenant_plan: Option<&'a str>,
    /// How many more requests to charge in advance, at most.
    pub more: u64,
}

/// The plan of the tenant of `who`, when a limit of `route` needs it.
#[must_use]
pub fn plan_of_tenant(
    route: &Route,
    who: &Who,
    tenants: Option<&Tenants>,
    now: UnixTime,
) -> Option<Arc<str>> {
    let Who::Caller(caller) = who else { return None };
    if !route.limits.iter().any(Rule::asks_for_plan_of_tenant) {
        return None;
    }
    tenants?.plan(caller.tenant()?, now)
}

/// The quota of a verified caller under each limit of `route` that has several quotas: the limit's name, the quota, and
/// whether it is not the one for all.
#[must_use]
pub fn of<'r>(route: &'r Route, payer: Payer<'_>) -> Vec<(&'r str, Quota, bool)> {
    let rules = route.limits.iter().filter(|rule| !rule.is_uniform());
    rules
        .map(|rule| {
            let tier = tier_of(rule, payer);
            (rule.name.as_ref(), tier.quota, *tier != rule.base)
        })
        .collect()
}

/// The quota of a request's caller under `rule`: that of the API key, the client, the tenant or the caller by name,
/// else that of the key's or the tenant's plan, else the one for all.
pub(super) fn tier_of<'r>(rule: &'r Rule, payer: Payer<'_>) -> &'r Tier {
    if rule.is_uniform() {
        return &rule.base;
    }
    let Payer { who, key, tenant_plan, more: _ } = payer;
    let own = match (rule.per, who) {
        (Per::Tenant, Who::Caller(caller)) => {
            let own = caller.tenant().and_then(|tenant| tenant.with_text(|tenant| rule.of_key(tenant)));
            own.or_else(|| rule.of_plan(tenant_plan?))
        }
        (Per::Subject, Who::Caller(Caller::Person(person))) => {
            person.subject.with_text(|subject| rule.of_key(subject))
        }
        (Per::Service, Who::Caller(Caller::Service(service))) => rule.of_key(service.name.as_str()),
        (Per::Subject, Who::Caller(Caller::Client(client))) => of_client(rule, client),
        (Per::ApiKey, Who::Caller(Caller::Client(client))) => key
            .and_then(|key| rule.of_key(&key.id.to_string()))
            .or_else(|| of_client(rule, client))
            .or_else(|| key.and_then(|key| rule.of_plan(key.plan.as_deref()?))),
        (
            Per::Address
            | Per::Route
            | Per::Session
            | Per::Tenant
            | Per::Subject
            | Per::Service
            | Per::ApiKey,
            _,
        ) => None,
    };
    own.unwrap_or(&rule.base)
}

/// The own quota of `client`: of the client of this tenant, else of every client with this name.
fn of_client<'r>(rule: &'r Rule, client: &Client) -> Option<&'r Tier> {
    let name = &client.name;
    let of_tenant = client.tenant.as_ref().and_then(|tenant| rule.of_key(&format!("{tenant}/{name}")));
    of_tenant.or_else(|| rule.of_key(client.name.as_str()))
}
