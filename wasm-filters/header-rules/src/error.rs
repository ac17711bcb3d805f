//! The faults of a guard's configuration.

/// Why a configuration was refused. The guard does not start with a configuration that it does not understand completely: a
/// silently dropped rule would be a security hole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file has no host group, so every request would have an unknown host.
    #[error("`hosts` is empty: a listener serves at least one host group")]
    NoHosts,
    /// A host group that no request can name.
    #[error("hosts[{index}].names is empty: no request could reach its routes")]
    HostWithoutNames {
        /// Position in `hosts`, from 0.
        index: usize,
    },
    /// A name that cannot equal any `Host` header.
    #[error(
        "hosts[{index}].names: `{name}` is not a lower-case host name without port (or `*`), so no request could match it"
    )]
    BadHost {
        /// Position in `hosts`, from 0.
        index: usize,
        /// The name.
        name: String,
    },
    /// A name in two groups, so that the routes are ambiguous.
    #[error("hosts: `{name}` is listed twice; a host name belongs to one group")]
    DuplicateHost {
        /// The name.
        name: String,
    },
    /// A route whose lease is not described.
    #[error("leases: route `{route}` refers to a class or a place that is not listed")]
    BadLease {
        /// The route's name or path.
        route: String,
    },
    /// An origin that no browser sends.
    #[error("sites.browser_origins[{index}]: `{origin}` is not an origin as browsers send it")]
    BadOrigin {
        /// Position in the list, from 0.
        index: usize,
        /// The origin.
        origin: String,
    },
    /// Rules for pages of other origins that cannot hold.
    #[error("cors[{index}] {fault}")]
    BadCors {
        /// Position in `cors`, from 0.
        index: usize,
        /// Their fault.
        fault: &'static str,
    },
    /// A host or route with rules for pages of other origins that are not listed.
    #[error("cors: {place} refers to rules that are not listed")]
    UnknownCors {
        /// Its place.
        place: String,
    },
    /// A reserved name or prefix that cannot be compared with header names.
    #[error(
        "reserved: `{name}` is not a lower-case header name (letters, digits and `-`, beginning with a letter or digit)"
    )]
    BadReserved {
        /// The name or prefix.
        name: String,
    },
    /// A reserved name or prefix that covers a header which HTTP itself or the edge needs.
    #[error("reserved: `{name}` covers `{header}`, which the edge cannot strip")]
    ReservedTakesIn {
        /// The reserved name or prefix.
        name: String,
        /// The header that must stay.
        header: String,
    },
    /// The same reserved name or prefix twice.
    #[error("reserved: `{name}` is listed twice")]
    DuplicateReserved {
        /// The name or prefix.
        name: String,
    },
    /// A header name that must not pass although it is listed.
    #[error("underscores: `{name}` {fault}")]
    BadUnderscore {
        /// The name.
        name: String,
        /// Why it must not.
        fault: &'static str,
    },
    /// A prefix that no protocol of a WebSocket can have.
    #[error("websocket_token: `{prefix}` cannot begin a protocol of a WebSocket")]
    BadTokenPrefix {
        /// The prefix.
        prefix: String,
    },
    /// Trusted proxies that could not be recognised.
    #[error("proxies: {what}")]
    BadProxies {
        /// What is wrong.
        what: String,
    },
    /// A path that no request can have.
    #[error("{place}: path `{path}` {fault}")]
    BadPath {
        /// Its place.
        place: String,
        /// The path.
        path: String,
        /// Its fault.
        fault: &'static str,
    },
    /// A method that no request can have.
    #[error("{place}: `{method}` is not a method (upper-case letters, as in `GET`)")]
    BadMethod {
        /// Its place.
        place: String,
        /// The method.
        method: String,
    },
    /// A route without a policy.
    #[error("{place}: the route of `{path}` has no policy")]
    NoPolicy {
        /// Its place.
        place: String,
        /// Its path.
        path: String,
    },
    /// Two routes for the same requests.
    #[error("{place}: `{path}` has two routes for {method}; remove one")]
    DuplicateRoute {
        /// Their place.
        place: String,
        /// Their path.
        path: String,
        /// The method that both take.
        method: String,
    },
    /// Two routes that a lenient backend cannot distinguish, under different policies.
    #[error(
        "{place}: `{path}` and `{other}` differ only in letter case or a final slash, so a backend may treat them as one path, but their policies differ; give both the same policy"
    )]
    Confusable {
        /// Their place.
        place: String,
        /// One path.
        path: String,
        /// The other path.
        other: String,
    },
}
