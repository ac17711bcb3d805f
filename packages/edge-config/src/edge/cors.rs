//! The pages of other origins that may read answers: the CORS protocol of the Fetch standard.

use std::time::Duration;

use super::{Edge, Route};

/// The pages of other origins that may read the answers of a host or a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Their origins as browsers send them (RFC 6454 §6.2). `https://*.example.com` is every name below `example.com`, `*` any
    /// origin, and `null` a page without one.
    pub origins: Vec<String>,
    /// Whether browsers may send cookies with their requests. Never with `*` or `null`, which any page can have.
    pub credentials: bool,
    /// The methods that they may use. `None` allows the one that a preflight asks for: routes and policies decide.
    pub methods: Option<Vec<String>>,
    /// The header names that they may send, lower case. `None` allows those that a preflight asks for.
    pub headers: Option<Vec<String>>,
    /// The header names of answers that they may read, lower case, besides those that every page may read and those that the
    /// edge itself writes on refusals.
    pub expose: Vec<String>,
    /// How long a browser may use the answer to a preflight again.
    pub max_age: Duration,
}

/// The rules of a route for pages of other origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RouteCors {
    /// Those of its host.
    #[default]
    OfHost,
    /// None: its backend may have some.
    None,
    /// Its own.
    Own(Cors),
}

impl Cors {
    /// Whether the answer depends on the `Origin` of the request, so that caches must know.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.origins.iter().any(|origin| origin != "*")
    }
}

impl Edge {
    /// The pages of other origins that may read the answers of `route`.
    #[must_use]
    pub fn cors_of<'e>(&'e self, route: &'e Route) -> Option<&'e Cors> {
        match &route.cors {
            RouteCors::OfHost => self.hosts.get(&route.host)?.cors.as_ref(),
            RouteCors::None => None,
            RouteCors::Own(cors) => Some(cors),
        }
    }
}
