//! What the guard is told about leases.

use serde::{Deserialize, Serialize};

/// Leases of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRules {
    /// How many leases it keeps.
    pub slots: u32,
    /// The cookie with the access token.
    pub cookie: String,
    /// Whether a bearer token counts too.
    pub bearer: bool,
    /// Headers with other credentials, lower case.
    pub other_headers: Vec<String>,
    /// Cookies with other credentials.
    pub other_cookies: Vec<String>,
    /// Which decisions may stand in for each other.
    pub classes: Vec<LeaseClass>,
    /// The routes whose decisions may be leased; a [`RouteRule`](super::RouteRule) names one by its position.
    pub routes: Vec<LeaseRoute>,
}

/// Decisions of one policy, for one audience, under the same limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseClass {
    /// How long at most, in milliseconds.
    pub lifetime_ms: u32,
    /// How many requests at most.
    pub uses: u32,
    /// Whether requests with other methods than GET and HEAD are served too.
    pub every_method: bool,
    /// Whether leases live on while nobody tells what ended.
    pub outlives_outage: bool,
}

/// A route whose decisions may be leased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRoute {
    /// Its name.
    pub route: String,
    /// Its policy's name.
    pub policy: String,
    /// Position in [`LeaseRules::classes`].
    pub class: u32,
    /// Whether a native guard may look for its leases before a route is chosen.
    pub early: bool,
}

/// What the module is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PluginConfig {
    /// The first filter: judges requests, and serves those that have a lease.
    Guard(Box<super::GuardConfig>),
    /// The filter behind the authorizer: keeps what it granted, by the rules of the guard.
    Keeper(Box<super::GuardConfig>),
}

/// The header by which a request that a lease serves finds its route before any filter is made (native form alone).
///
/// No client can send it: Envoy refuses a header with an underscore before anybody reads it
/// (`headers_with_underscores_action: REJECT_REQUEST`), the guard takes off whatever arrives by that name before it
/// writes it, and the route takes it off again.
pub const EARLY_MARK: &str = "x_cutover_lease";

impl LeaseRules {
    /// The value of [`EARLY_MARK`] for a route, by its position: rules of another revision are another value. `None` when
    /// its leases are not looked for that early.
    #[must_use]
    pub fn early_mark(&self, revision: &str, route: usize) -> Option<String> {
        let route = self.routes.get(route).filter(|route| route.early)?;
        Some(format!("{revision}/{}", route.route))
    }
}

/// What looks for a lease before any filter is made (native form alone). It stands in the listener, so it names no
/// revision: the newest guard of the listener counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyConfig {
    /// Listener of the guard that knows the leases.
    pub listener: String,
}
