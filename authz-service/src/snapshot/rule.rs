//! A limit of the edge file, as a route carries it.

use std::collections::HashMap;
use std::sync::Arc;

use edge_config::edge::{Limit, Mode, Per, Quota, RateHeaders};

/// One limit, prepared for counting.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in the edge file.
    pub name: Arc<str>,
    /// The key by which it counts.
    pub per: Per,
    /// Whether it refuses, or is only logged.
    pub mode: Mode,
    /// Whether permitted answers say what is left.
    pub announces: bool,
    /// The quota of a key without one of its own.
    pub base: Tier,
    own: Arc<Own>,
}

/// A quota, and the counters under it. A key that moves to another quota starts with a full bucket: a debt at one rate
/// says nothing about another rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The first part of the key of its counters.
    pub counters: Arc<str>,
    /// How many requests it allows.
    pub quota: Quota,
}

/// The quotas of single keys and of plans.
#[derive(Debug, Default)]
struct Own {
    keys: HashMap<String, Tier>,
    plans: HashMap<String, Tier>,
}

impl Rule {
    /// The limit `limit` named `name`.
    #[must_use]
    pub fn new(name: &str, limit: &Limit) -> Self {
        let Limit { per, quota, mode, headers, overrides, plans } = limit;
        let tier = |counters: String, quota: &Quota| Tier { counters: Arc::from(counters), quota: *quota };
        let own = |kind: &str, quotas: &std::collections::BTreeMap<String, Quota>| {
            let one = |(key, quota): (&String, &Quota)| {
                (key.clone(), tier(format!("{name}/{kind}={}", escaped(key)), quota))
            };
            quotas.iter().map(one).collect()
        };
        Self {
            name: Arc::from(name),
            per: *per,
            mode: *mode,
            announces: *headers == RateHeaders::Always,
            base: tier(name.to_owned(), quota),
            own: Arc::new(Own { keys: own("key", overrides), plans: own("plan", plans) }),
        }
    }

    /// Whether every key has the same quota.
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        self.own.keys.is_empty() && self.own.plans.is_empty()
    }

    /// Whether the plan of a tenant can decide the quota.
    #[must_use]
    pub fn asks_for_plan_of_tenant(&self) -> bool {
        self.per == Per::Tenant && !self.own.plans.is_empty()
    }

    /// The own quota of `key`.
    #[must_use]
    pub fn of_key(&self, key: &str) -> Option<&Tier> {
        self.own.keys.get(key)
    }

    /// The quota of the plan `plan`.
    #[must_use]
    pub fn of_plan(&self, plan: &str) -> Option<&Tier> {
        self.own.plans.get(plan)
    }
}

/// `key` without the character that separates the parts of a counter's key.
fn escaped(key: &str) -> String {
    key.replace('%', "%25").replace(':', "%3A")
}
