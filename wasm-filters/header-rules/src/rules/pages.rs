//! The part that pages of other origins and sites have in a verdict.

use super::{Request, Rules, Way};
use crate::config::{GuardConfig, HostRules};
use crate::cors::{Cors, Seen};
use crate::{ConfigError, HeaderMap, MovedToken, Reader, Reason, authority};

/// What a browser wants to know about a page of another origin.
pub(super) enum Page {
    /// It asks before it sends the request; the headers of the answer, or none for a page that may not send it.
    Asks(Option<Vec<(&'static str, Vec<u8>)>>),
    /// The page may read the answer.
    Reads(Reader),
}

/// Compiles the rules for pages of other origins.
pub(super) fn compile(config: &GuardConfig) -> Result<Vec<Cors>, ConfigError> {
    let one = |(index, rules)| Cors::compile(rules).map_err(|fault| ConfigError::BadCors { index, fault });
    config.cors.iter().enumerate().map(one).collect()
}

impl Rules {
    /// Whether the request is from a page of another origin, where the rules of its path let such pages in. A preflight is
    /// judged by the method for which it asks.
    pub(super) fn page(
        &self,
        headers: &[u8],
        (authority, method, target): (&[u8], &[u8], &[u8]),
    ) -> Option<Page> {
        let rules = |method: &[u8]| {
            let position = match self.judge_route(authority, method, target) {
                Ok(way) => way.cors,
                // Every refusal can be read by the rules of its host. So an internal path is like one that does not exist, and
                // a page cannot distinguish them.
                Err(_) => self.routes_of(&authority::host(authority)?).cors_by_default(),
            };
            self.cors.get(usize::try_from(position?).ok()?)
        };
        let seen = Seen::read(HeaderMap::new(headers));
        if method == b"OPTIONS"
            && let Some(asked) = seen.asks_for()
        {
            return rules(asked).map(|rules| Page::Asks(rules.preflight(&seen)));
        }
        rules(method)?.reader(&seen).map(Page::Reads)
    }

    pub(super) fn check_cors(&self, group: &HostRules) -> Result<(), ConfigError> {
        let is_known =
            |position: &u32| usize::try_from(*position).is_ok_and(|position| position < self.cors.len());
        let named = group.routes.iter().filter_map(|route| route.cors).chain(group.cors);
        match named.into_iter().find(|position| !is_known(position)) {
            Some(_) => Err(ConfigError::UnknownCors { place: format!("hosts[{}]", group.names.join(", ")) }),
            None => Ok(()),
        }
    }

    /// Whether a page of another site caused the request, where that matters: the request may change something or opens a
    /// connection, a route takes it, and the route does not let pages of all sites send.
    pub(super) fn is_cross_site(
        &self,
        way: &Way<'_>,
        headers: &[u8],
        (method, upgrades): (&[u8], bool),
        reader: Option<&Reader>,
    ) -> bool {
        let safe = matches!(method, b"GET" | b"HEAD" | b"OPTIONS");
        let checked = way.taken && !way.cross_site && (!safe || upgrades);
        checked && self.sites.refuse(HeaderMap::new(headers), &way.host, safe, reader)
    }

    /// The token that an opening handshake offers as a protocol, on a route that takes it.
    pub(super) fn moved_token(
        &self,
        way: &Way<'_>,
        request: &Request<'_>,
    ) -> Result<Option<MovedToken>, Reason> {
        match self.token_entry.as_ref().filter(|_| way.websocket_token && request.upgrades) {
            Some(entry) => entry.take(&request.opening),
            None => Ok(None),
        }
    }
}
