//! Finds the policy of a path.
//!
//! The match is the same as Envoy's: from the left a literal segment before a parameter and a parameter before the end of a
//! match, exact before prefix, a route that names the method before one for any method. A route that does not list the
//! request's method does not match, and the next less specific one is tried.
//!
//! A path that is declared absent has a place in the same order, and no policy: Envoy answers it, as where no route matches,
//! so it does not matter how a backend would read it. A path of a route that could be *read* as an absent one has another
//! policy there, as everywhere.

mod table;

use crate::ConfigError;
use crate::config::{PathRule, RouteRule};
use table::{Reading, Table, Target};

/// The most segments of a rule: a lookup goes this deep, and no API needs more.
const MOST_SEGMENTS: usize = 256;

/// A policy of one listener, by its position among the names.
pub(crate) type PolicyId = u32;

/// The entry of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathEntry {
    /// The policy of the route that takes it; `None` without a route.
    pub(crate) policy: Option<PolicyId>,
    /// The description of its lease.
    pub(crate) lease: Option<u32>,
    /// Whether pages of any site may send requests here.
    pub(crate) cross_site: bool,
    /// Its rules for pages of other origins.
    pub(crate) cors: Option<u32>,
    /// Whether a person without a session is sent to a sign-in page.
    pub(crate) sign_in: bool,
    /// Whether a WebSocket may bring its bearer token as a protocol.
    pub(crate) websocket_token: bool,
    /// Whether it is internal, whatever the routes are.
    pub(crate) closed: bool,
}

/// The routes of one host group, and the paths that are closed on its listener.
#[derive(Clone, Debug)]
pub(crate) struct HostRoutes {
    plain: Table,
    /// The same with lower-case paths, and with an optional final slash of an exact path. Absent when that makes no
    /// difference.
    folded: Option<Table>,
    /// The rules for pages of other origins where no route takes a request.
    cors: Option<u32>,
}

impl HostRoutes {
    pub(crate) fn compile(
        place: &str,
        (routes, absent, cors): (&[RouteRule], &[PathRule], Option<u32>),
        closed: &[PathRule],
        mut policy: impl FnMut(&str) -> PolicyId,
    ) -> Result<Self, ConfigError> {
        let mut plain = Table::default();
        let mut folded = Table::default();
        for rule in closed {
            check_path(rule, "internal_paths")?;
            plain.close(rule);
            for rule in lenient(rule) {
                folded.close(&rule);
            }
        }
        for rule in absent {
            check_path(rule, place)?;
            let nothing = Target::default();
            if plain.add(rule, &[], nothing).is_err() {
                let (path, method) = (path(rule).to_owned(), "any method".to_owned());
                return Err(ConfigError::DuplicateRoute { place: place.to_owned(), path, method });
            }
            for rule in lenient(rule) {
                // Two absent paths can have one reading.
                let _ = folded.add(&rule, &[], nothing);
            }
        }
        for route in routes {
            check_path(&route.path, place)?;
            let path = path(&route.path);
            if route.policy.is_empty() {
                return Err(ConfigError::NoPolicy { place: place.to_owned(), path: path.to_owned() });
            }
            let policy = policy(&route.policy);
            let RouteRule { lease, cross_site, cors, sign_in, websocket_token, .. } = *route;
            let target = Target { policy: Some(policy), lease, cross_site, cors, sign_in, websocket_token };
            for method in &route.methods {
                if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    return Err(ConfigError::BadMethod { place: place.to_owned(), method: method.clone() });
                }
            }
            if let Err(taken) = plain.add(&route.path, &route.methods, target) {
                return Err(ConfigError::DuplicateRoute {
                    place: place.to_owned(),
                    path: path.to_owned(),
                    method: taken.method.unwrap_or_else(|| "any method".to_owned()),
                });
            }
            for rule in lenient(&route.path) {
                match folded.add(&rule, &route.methods, target) {
                    Ok(()) => {}
                    Err(taken) if taken.policy == Some(policy) => {}
                    Err(_) => {
                        let twin = |other: &&RouteRule| {
                            other.path != route.path && lenient(&other.path).any(|other| other == rule)
                        };
                        let absent_twin = |other: &&PathRule| lenient(other).any(|other| other == rule);
                        let other = routes.iter().find(twin).map(|other| &other.path);
                        let other = other.or_else(|| absent.iter().find(absent_twin));
                        return Err(ConfigError::Confusable {
                            place: place.to_owned(),
                            path: path.to_owned(),
                            other: other.map_or("", self::path).to_owned(),
                        });
                    }
                }
            }
        }
        let mut paths = closed.iter().chain(absent).chain(routes.iter().map(|route| &route.path));
        let same = paths.all(is_strict);
        Ok(Self { plain, folded: (!same).then_some(folded), cors })
    }

    /// The rules for pages of other origins at an entry of the table.
    pub(crate) const fn cors(&self, place: &PathEntry) -> Option<u32> {
        if place.policy.is_some() { place.cors } else { self.cors }
    }

    /// The rules for pages of other origins where no route takes a request.
    pub(crate) const fn cors_by_default(&self) -> Option<u32> {
        self.cors
    }

    /// Envoy's reading of `path`.
    pub(crate) fn raw(&self, path: &[u8], method: &[u8]) -> PathEntry {
        self.plain.find(path, method, Reading::Raw)
    }

    /// Whether every backend takes `path` as Envoy does, provided that no step applies to it (see
    /// [`forms`](crate::forms)): the usual case, which [`Self::raw`] answers alone.
    pub(crate) fn is_plain(&self, path: &[u8], upper: bool) -> bool {
        !upper && self.folded.is_none() && (path.len() < 2 || path.last() != Some(&b'/'))
    }

    /// Whether any backend, case-sensitive or not, with or without a final slash, may read `path` as an entry that
    /// `differs`. `upper` is true when `path` has upper-case letters.
    pub(crate) fn any(
        &self,
        path: &[u8],
        upper: bool,
        method: &[u8],
        mut differs: impl FnMut(PathEntry) -> bool,
    ) -> bool {
        let shorter = path.strip_suffix(b"/").map(|mut shorter| {
            while let Some(rest) = shorter.strip_suffix(b"/") {
                shorter = rest;
            }
            if shorter.is_empty() { b"/" } else { shorter }
        });
        std::iter::once(path).chain(shorter).any(|path| {
            differs(self.plain.find(path, method, Reading::Decoded))
                || match &self.folded {
                    Some(folded) => differs(folded.find(path, method, Reading::Folded)),
                    None => upper && differs(self.plain.find(path, method, Reading::Folded)),
                }
        })
    }
}

/// `rule` as a lenient backend reads it: its path in lower case and, for an exact one, without a final slash.
fn lenient(rule: &PathRule) -> impl Iterator<Item = PathRule> {
    let (first, second) = match rule {
        PathRule::Prefix(path) => (PathRule::Prefix(path.to_ascii_lowercase()), None),
        PathRule::Exact(path) => {
            let lower = path.to_ascii_lowercase();
            let shorter = lower.strip_suffix('/').filter(|shorter| !shorter.is_empty());
            let shorter = shorter.map(|shorter| PathRule::Exact(shorter.to_owned()));
            (PathRule::Exact(lower), shorter)
        }
    };
    std::iter::once(first).chain(second)
}

/// Whether [`lenient`] does not change the paths that a rule takes. The names of parameters have no meaning.
fn is_strict(rule: &PathRule) -> bool {
    let path = path(rule);
    let literal = |segment: &&str| !is_parameter(segment);
    !path.split('/').filter(literal).any(|segment| segment.bytes().any(|byte| byte.is_ascii_uppercase()))
        && (path.len() < 2 || !path.ends_with('/'))
}

/// Whether a segment of a rule stands for any segment.
fn is_parameter(segment: &str) -> bool {
    segment.len() > 2 && segment.starts_with('{') && segment.ends_with('}')
}

fn path(rule: &PathRule) -> &str {
    match rule {
        PathRule::Exact(path) | PathRule::Prefix(path) => path,
    }
}

fn check_path(rule: &PathRule, place: &str) -> Result<(), ConfigError> {
    let path = path(rule);
    let fault = if !path.starts_with('/') {
        "does not begin with `/`"
    } else if path.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#')) {
        "has a byte that no path can have (only visible ASCII, without `?` and `#`)"
    } else if matches!(rule, PathRule::Prefix(_)) && path.len() > 1 && path.ends_with('/') {
        "ends with `/`: a prefix is matched by whole segments, so leave the slash out"
    } else if path.split('/').any(|segment| segment.contains(['{', '}']) && !is_parameter(segment)) {
        "has braces that are not a whole segment, such as `{user}`"
    } else if path.split('/').count() > MOST_SEGMENTS {
        "has too many segments"
    } else {
        return Ok(());
    };
    Err(ConfigError::BadPath { place: place.to_owned(), path: path.to_owned(), fault })
}

#[cfg(test)]
mod tests;
