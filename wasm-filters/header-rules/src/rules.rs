//! The guard's decision on a request.

use std::collections::HashMap;

use crate::authority;
use crate::config::{GuardConfig, HostRules};
use crate::cors::Cors;
use crate::forms::{self, PathFault};
use crate::leases::Leasing;
use crate::navigation::is_for_a_page;
use crate::proxies::{Proto, Proxies};
use crate::reserved::ReservedNames;
use crate::routes::{HostRoutes, PolicyId};
use crate::sites::Sites;
use crate::websocket::TokenEntry;
use crate::{
    Arrival, Candidate, ConfigError, Edits, GuardVerdict, HeaderMap, Preflight, Reason, Refusal, RequestId,
};

mod pages;
mod request;

use pages::Page;
use request::{Once, Request};

/// A guard's configuration, ready to judge requests.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The header with the request id, lower case.
    request_id: Box<[u8]>,
    reserved: ReservedNames,
    /// Indices into `groups`.
    names: HashMap<Box<[u8]>, usize>,
    /// Indices into `groups` for every name with this ending, which begins with a dot.
    endings: HashMap<Box<[u8]>, usize>,
    groups: Vec<HostRoutes>,
    /// The entry for a host of no group: the group with the name `*`, or no routes at all.
    anyone: HostRoutes,
    /// The policies' names, by their ids.
    policies: Vec<Box<str>>,
    sites: Sites,
    /// The rules for pages of other origins. Empty on most edges, and then no request is read for them.
    cors: Vec<Cors>,
    /// Whether clients connect over TLS.
    tls: bool,
    /// Absent when the peer of a connection is the client.
    proxies: Option<Proxies>,
    /// The protocol of a WebSocket that is a token; absent when none is, and then no request is read for it.
    token_entry: Option<TokenEntry>,
    /// Absent when every request is checked.
    leasing: Option<Leasing>,
}

impl Rules {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the first invalid value. No value is dropped or corrected silently.
    pub fn compile(config: &GuardConfig) -> Result<Self, ConfigError> {
        if config.hosts.is_empty() {
            return Err(ConfigError::NoHosts);
        }
        let mut policies: HashMap<String, PolicyId> = HashMap::new();
        let mut routes_of = |group: &HostRules| {
            let place = format!("hosts[{}]", group.names.join(", "));
            let closed = &config.internal_paths;
            HostRoutes::compile(&place, (&group.routes, &group.absent, group.cors), closed, |policy| {
                let next = PolicyId::try_from(policies.len()).unwrap_or(PolicyId::MAX);
                *policies.entry(policy.to_owned()).or_insert(next)
            })
        };
        let mut rules = Self {
            request_id: config.request_id.as_bytes().into(),
            reserved: {
                let reserved = ReservedNames::compile(&config.reserved, &config.request_id)?;
                match &config.underscores {
                    Some(passes) => reserved.passing(passes)?,
                    None => reserved,
                }
            },
            names: HashMap::new(),
            endings: HashMap::new(),
            groups: Vec::with_capacity(config.hosts.len()),
            anyone: routes_of(&HostRules {
                names: Vec::new(),
                routes: Vec::new(),
                absent: Vec::new(),
                cors: None,
            })?,
            policies: Vec::new(),
            sites: Sites::compile(&config.sites)?,
            cors: pages::compile(config)?,
            tls: config.tls,
            proxies: config.proxies.as_ref().map(Proxies::compile).transpose()?,
            token_entry: config.websocket_token.as_ref().map(TokenEntry::compile).transpose()?,
            leasing: config.leases.as_ref().map(Leasing::compile).transpose()?,
        };
        let mut wildcard = false;
        for (index, group) in config.hosts.iter().enumerate() {
            if group.names.is_empty() {
                return Err(ConfigError::HostWithoutNames { index });
            }
            let routes = routes_of(group)?;
            rules.check_leases(group)?;
            rules.check_cors(group)?;
            for name in &group.names {
                let duplicate = if name == "*" {
                    rules.anyone = routes.clone();
                    std::mem::replace(&mut wildcard, true)
                } else if let Some(ending) = name.strip_prefix('*').filter(|ending| is_ending(ending)) {
                    rules.endings.insert(ending.as_bytes().into(), index).is_some()
                } else if authority::host(name.as_bytes()).as_deref() == Some(name.as_bytes()) {
                    rules.names.insert(name.as_bytes().into(), index).is_some()
                } else {
                    return Err(ConfigError::BadHost { index, name: name.clone() });
                };
                if duplicate {
                    return Err(ConfigError::DuplicateHost { name: name.clone() });
                }
            }
            rules.groups.push(routes);
        }
        let mut names: Vec<(PolicyId, String)> = policies.into_iter().map(|(name, id)| (id, name)).collect();
        names.sort_unstable();
        rules.policies = names.into_iter().map(|(_, name)| name.into()).collect();
        Ok(rules)
    }

    /// The policy of the unchanged `target`, as Envoy reads it. `None` when no route takes it, or the authority is not one
    /// host. For explanations; [`Self::judge`] judges requests.
    #[must_use]
    pub fn policy_of(&self, authority: &[u8], method: &[u8], target: &[u8]) -> Option<&str> {
        let host = authority::host(authority)?;
        let path = target.split(|&byte| byte == b'?').next().unwrap_or(target);
        let policy = self.routes_of(&host).raw(path, method).policy?;
        self.policies.get(usize::try_from(policy).ok()?).map(|name| &**name)
    }

    /// The routes of a host: those of the group that names it, else of the one with its longest ending, else of the one for
    /// any name.
    fn routes_of(&self, host: &[u8]) -> &HostRoutes {
        let below = || {
            // Most edges have none, and then a name is not cut at its dots.
            let dots = host
                .iter()
                .enumerate()
                .skip(1)
                .filter(|(_, byte)| **byte == b'.' && !self.endings.is_empty());
            dots.filter_map(|(at, _)| host.get(at..)).find_map(|ending| self.endings.get(ending))
        };
        let group = self.names.get(host).or_else(below);
        group.and_then(|&group| self.groups.get(group)).unwrap_or(&self.anyone)
    }

    /// The name of every rule that removes headers, as in counters: `x-auth-subject`, `x-forwarded-*`. A
    /// [`RuleIndex`](crate::RuleIndex) is an index into this list.
    #[must_use]
    pub fn reserved_rules(&self) -> &[String] {
        self.reserved.labels()
    }

    /// The header with the request id, lower case.
    #[must_use]
    pub fn request_id_header(&self) -> &[u8] {
        &self.request_id
    }

    /// Whether a request can only be judged together with the addresses of its connection: the listener has trusted proxies.
    #[must_use]
    pub const fn needs_peer(&self) -> bool {
        self.proxies.is_some()
    }

    /// Whether HTTP/1.0 of a trusted proxy is accepted, where the listener refuses it.
    #[must_use]
    pub fn accepts_http_1_0_of(&self, arrival: Option<&Arrival<'_>>) -> bool {
        let accepts = self.proxies.as_ref().is_some_and(Proxies::accepts_http_1_0);
        accepts && arrival.is_some_and(|arrival| arrival.trusted)
    }

    /// Judges a request by its serialised headers (see [`HeaderMap`]). Where a request [needs its peer](Self::needs_peer),
    /// it is [`Self::judge_from`] that judges.
    pub fn judge<'a>(&self, headers: &'a [u8]) -> GuardVerdict<'a> {
        self.judge_from(headers, None)
    }

    /// Judges a request by its serialised headers, and the addresses of its connection: the text of
    /// [`PEER_STATE`](crate::config::PEER_STATE), or the peer's address alone.
    pub fn judge_from<'a>(&self, headers: &'a [u8], peer: Option<&[u8]>) -> GuardVerdict<'a> {
        let proxied = match &self.proxies {
            None => None,
            Some(proxies) => match peer.and_then(|peer| proxies.sender(peer)) {
                Some(sender) => Some((proxies, sender)),
                None => return refuse(Reason::MalformedHeaders, &Settled::default()),
            },
        };
        let trusted = proxied.as_ref().is_some_and(|(_, sender)| sender.trusted);
        let Ok(request) = self.read(headers, trusted) else {
            return refuse(Reason::MalformedHeaders, &Settled::default());
        };
        let arrival = proxied.map(|(proxies, sender)| proxies.client(&sender, &request.lines, self.tls));
        let (request_id, replaced_id) = request.id.settle(trusted);
        let client = arrival.as_ref().map(|arrival| arrival.address);
        let scheme = self.scheme(&request, arrival.as_ref());
        let settled = Settled { request_id, replaced_id, client, scheme };
        let (Once::One(method), Once::One(target), Once::One(authority)) =
            (request.method, request.target, request.authority)
        else {
            return refuse(Reason::MalformedHeaders, &settled);
        };
        let page = if self.cors.is_empty() { None } else { self.page(headers, (authority, method, target)) };
        let reader = match page {
            Some(Page::Asks(Some(headers))) => {
                return GuardVerdict::Answer(Preflight { headers, request_id, replaced_id, client, scheme });
            }
            Some(Page::Asks(None)) => return refuse(Reason::CorsOrigin, &settled),
            Some(Page::Reads(reader)) => Some(reader),
            None => None,
        };
        let way = match self.judge_route(authority, method, target) {
            Ok(_) if request.nominates_reserved => Err(Reason::NominatedHeader),
            Ok(way) if self.is_cross_site(&way, headers, (method, request.upgrades), reader.as_ref()) => {
                Err(Reason::CrossSite)
            }
            judged => judged,
        };
        let moved = way.and_then(|way| Ok((self.moved_token(&way, &request)?, way)));
        match moved {
            Ok((token, way)) => {
                let leasing = self.leasing.as_ref().zip(way.lease).filter(|_| token.is_none());
                let lease = leasing.and_then(|(it, route)| it.candidate(route, method, &request.gathered));
                let navigates = way.sign_in
                    && method == b"GET"
                    && !request.upgrades
                    && is_for_a_page(HeaderMap::new(headers));
                GuardVerdict::Forward(Edits {
                    request_id,
                    replaced_id,
                    forwarded_for: client.and_then(|client| request.lines.rewritten_address(client)),
                    scheme,
                    removals: request.removals,
                    arrival,
                    token,
                    lease,
                    reader,
                    navigates,
                })
            }
            Err(reason) => {
                let Settled { request_id, replaced_id, client, scheme } = settled;
                GuardVerdict::Refuse(Refusal { reason, request_id, replaced_id, client, scheme, reader })
            }
        }
    }

    /// The client's scheme, where a header of the request says another one.
    fn scheme(&self, request: &Request<'_>, arrival: Option<&Arrival<'_>>) -> Option<&'static str> {
        let https = arrival.map_or(self.tls, |arrival| arrival.https);
        let scheme = if https { "https" } else { "http" };
        let says = |value: &[u8]| value == scheme.as_bytes();
        let right = match (arrival, request.lines.proto) {
            (Some(_), Proto::One(value)) => says(value) && says(request.scheme),
            (Some(_), Proto::None | Proto::Many(_)) => false,
            // Envoy writes it, unless the connection is from before the last proxy was removed from the edge file.
            (None, Proto::One(value) | Proto::Many(value)) => says(value),
            (None, Proto::None) => true,
        };
        (!right).then_some(scheme)
    }

    /// Judges the destination of a request: `target` is the `:path` of HTTP/2, with its query.
    ///
    /// A path that no route takes unchanged passes, because Envoy answers it itself and it reaches no backend. Any other path
    /// must have one policy in all of its [`forms`]; a form without a route counts as another policy. Internal paths are
    /// refused first, so that a 400 never reveals a path that 404 hides.
    ///
    /// # Errors
    /// The [`Reason`] to refuse the request.
    pub fn judge_target(&self, authority: &[u8], method: &[u8], target: &[u8]) -> Result<(), Reason> {
        self.judge_route(authority, method, target).map(|_| ())
    }

    /// The key of a lease for a request, from its serialised headers. Absent when the request has to be checked, or when
    /// [`Self::judge`] would have refused it.
    #[must_use]
    pub fn lease<'a>(&self, headers: &'a [u8]) -> Option<Candidate<'a>> {
        let request = self.read(headers, false).ok()?;
        let (Once::One(method), Once::One(target), Once::One(authority)) =
            (request.method, request.target, request.authority)
        else {
            return None;
        };
        let route = self.judge_route(authority, method, target).ok()?.lease?;
        self.leasing.as_ref()?.candidate(route, method, &request.gathered)
    }

    fn check_leases(&self, group: &HostRules) -> Result<(), ConfigError> {
        let known = |lease| self.leasing.as_ref().is_some_and(|leasing| leasing.knows(lease));
        match group.routes.iter().find(|route| route.lease.is_some_and(|lease| !known(lease))) {
            Some(route) => Err(ConfigError::BadLease { route: route.policy.clone() }),
            None => Ok(()),
        }
    }

    /// As [`Self::judge_target`], with the route's further settings. A path that has one meaning only for a backend that
    /// decodes it has no lease, and is open to other sites only where each of its readings is.
    fn judge_route<'a>(&self, authority: &'a [u8], method: &[u8], target: &[u8]) -> Result<Way<'a>, Reason> {
        let host = authority::host(authority).ok_or(Reason::MalformedHost)?;
        let routes = self.routes_of(&host);

        let path =
            target.iter().position(|&byte| byte == b'?').and_then(|end| target.get(..end)).unwrap_or(target);
        let shape = forms::shape(path).map_err(reason)?;
        let raw = routes.raw(path, method);
        let mut way = Way {
            host,
            taken: raw.policy.is_some(),
            lease: raw.lease,
            cross_site: raw.cross_site,
            cors: routes.cors(&raw),
            sign_in: raw.sign_in,
            websocket_token: raw.websocket_token,
        };
        if !shape.odd && routes.is_plain(path, shape.upper) {
            return if raw.closed { Err(Reason::InternalPath) } else { Ok(way) };
        }

        let mut ambiguous = false;
        let mut judge = |form: &[u8], upper: bool| {
            routes.any(form, upper, method, |place| {
                ambiguous |= raw.policy.is_some() && place.policy != raw.policy;
                way.cross_site &= place.cross_site;
                way.cors = way.cors.filter(|_| routes.cors(&place) == way.cors);
                place.closed
            })
        };
        let closed = if shape.odd {
            // Steps may add or remove upper-case letters: `%49` is one.
            forms::forms(path).map_err(reason)?.iter().any(|form| judge(form, true))
        } else {
            judge(path, shape.upper)
        };
        if closed {
            return Err(Reason::InternalPath);
        }
        if ambiguous {
            return Err(Reason::AmbiguousPath);
        }
        way.lease = way.lease.filter(|_| !shape.odd);
        Ok(way)
    }
}

/// Whether `ending` is a dot and a host name.
fn is_ending(ending: &str) -> bool {
    ending
        .strip_prefix('.')
        .is_some_and(|name| authority::host(name.as_bytes()).as_deref() == Some(name.as_bytes()))
}

const fn refuse<'a>(reason: Reason, settled: &Settled<'a>) -> GuardVerdict<'a> {
    let Settled { request_id, replaced_id, client, scheme } = *settled;
    GuardVerdict::Refuse(Refusal { reason, request_id, replaced_id, client, scheme, reader: None })
}

/// What the log says about a request, refused or not.
#[derive(Default)]
struct Settled<'a> {
    request_id: RequestId,
    replaced_id: Option<&'a [u8]>,
    client: Option<std::net::IpAddr>,
    scheme: Option<&'static str>,
}

const fn reason(fault: PathFault) -> Reason {
    match fault {
        PathFault::Malformed => Reason::MalformedPath,
        PathFault::Convoluted => Reason::ConvolutedPath,
    }
}

/// The destination of a request.
struct Way<'a> {
    /// The host, without its port.
    host: std::borrow::Cow<'a, [u8]>,
    /// Whether a route takes it.
    taken: bool,
    lease: Option<u32>,
    /// Whether pages of any site may send it.
    cross_site: bool,
    /// The rules for pages of other origins, where each of its readings has the same.
    cors: Option<u32>,
    /// Whether a person without a session is sent to a sign-in page. Every reading of the path has the same policy.
    sign_in: bool,
    /// Whether a WebSocket may bring its token as a protocol.
    websocket_token: bool,
}

#[cfg(test)]
mod tests;
