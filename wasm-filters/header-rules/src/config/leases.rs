//! The guard's configuration of leases.

use serde::{Deserialize, Serialize};

/// The leases of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRules {
    /// The number of slots for leases.
    pub slots: u32,
    /// The cookie with the access token.
    pub cookie: String,
    /// Whether a bearer token is accepted, too.
    pub bearer: bool,
    /// Headers with other credentials, lower case.
    pub other_headers: Vec<String>,
    /// Cookies with other credentials.
    pub other_cookies: Vec<String>,
    /// The classes of decisions that may stand in for each other.
    pub classes: Vec<LeaseClass>,
    /// The routes whose decisions may be leased; a [`RouteRule`](super::RouteRule) names one by its position.
    pub routes: Vec<LeaseRoute>,
}

/// Decisions of one policy, for one audience, under the same limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseClass {
    /// The longest lifetime, in milliseconds.
    pub lifetime_ms: u32,
    /// The most requests that a lease serves, whatever its grant says.
    pub uses: u32,
    /// Whether requests with other methods than GET and HEAD are served, too.
    pub every_method: bool,
    /// Whether leases stay valid while the feed of invalidations is down.
    pub outlives_outage: bool,
}

/// A route whose decisions may be leased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRoute {
    /// The route's name in the edge file; a grant for another one is not kept.
    pub route: String,
    /// Its policy's name.
    pub policy: String,
    /// Index into [`LeaseRules::classes`].
    pub class: u32,
    /// Whether a native guard may look for its leases before a route is chosen.
    pub early: bool,
}

/// The role of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PluginConfig {
    /// The first filter: judges requests, and serves those that have a lease.
    Guard(Box<super::GuardConfig>),
    /// The filter after the authorizer: stores the granted leases, by the rules of the guard, and ends open streams.
    Keeper(Box<super::GuardConfig>),
    /// The filter that refuses too long a body, on routes whose metadata has [`BODY_LIMIT`].
    BodyLimit,
}

/// The namespace and the field of a route's metadata with the longest body that it takes: a number of bytes, as text.
pub const BODY_LIMIT: (&str, &str) = ("cutover", "body_limit");

/// The header by which a leased request finds its route before any filter is made (native form alone).
///
/// No client can send it: Envoy refuses a header with an underscore before any part reads it
/// (`headers_with_underscores_action: REJECT_REQUEST`), the guard removes any header of that name before it writes its own,
/// and the route removes it again.
pub const EARLY_MARK: &str = "x_cutover_lease";

impl LeaseRules {
    /// The value of [`EARLY_MARK`] for a route, by its position; rules of another revision have another value. `None` when
    /// its leases are not looked up that early.
    #[must_use]
    pub fn early_mark(&self, revision: &str, route: usize) -> Option<String> {
        let route = self.routes.get(route).filter(|route| route.early)?;
        Some(format!("{revision}/{}", route.route))
    }
}

/// The configuration of the early lease lookup, before any filter is made (native form alone). It is part of the listener,
/// so it names no revision: the newest guard of the listener is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyConfig {
    /// The listener of the guard with the leases.
    pub listener: String,
}
