//! The differences for requests, region by region.

use std::collections::{BTreeMap, BTreeSet};

use edge_config::Edge;
use edge_config::edge::{
    AcceptedCredential, Destination, Endpoint, EndsWith, Percent, Policy, Reach, Route, RouteTimes, Sticky,
};

use super::cors;
use super::found::{Aspects, Finding, Protection, Region};
use super::limits;
use super::policy;
use super::regions::{self, Table, Taken};
use super::tree::PathRegion;
use super::trust::furthest;

/// Every region that the edges treat differently, joined into as few lines as possible; the weaker first.
pub(super) fn compare(old: &Edge, new: &Edge) -> Vec<(Region, Finding)> {
    let (before, after) = (Table::of(old), Table::of(new));
    let paths = regions::paths([old, new]);
    let hosts = regions::hosts([old, new]);
    let methods = regions::methods([old, new]);
    let mut compared: BTreeMap<Pair<'_>, Option<Finding>> = BTreeMap::new();
    let mut found: BTreeMap<Spot<'_>, Hosts> = BTreeMap::new();
    for (listener, names) in &hosts {
        for name in names {
            let (old_group, new_group) = (before.group(listener, name), after.group(listener, name));
            for PathRegion { path, itself, sample } in &paths {
                for &method in &methods {
                    let was = before.takes(listener, old_group, method, sample);
                    let is = after.takes(listener, new_group, method, sample);
                    // Two routes are compared once, however many regions they share.
                    let finding = compared
                        .entry(Pair::of(was, is))
                        .or_insert_with(|| difference((old, was), (new, is)));
                    if let Some(finding) = finding {
                        let spot = Spot { listener, path, itself: *itself, method, finding: finding.clone() };
                        found.entry(spot).or_default().insert(name.clone());
                    }
                }
            }
        }
    }
    joined(found)
}

/// The routes that take a region before and after: by name, or by words for no route.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pair<'a>(&'a str, &'a str);

impl<'a> Pair<'a> {
    fn of(was: Taken<'a>, is: Taken<'a>) -> Self {
        // Route names have no blanks, so these words are not mistaken for one.
        let name = |taken: Taken<'a>| match taken {
            Taken::Route(route) => route.name.as_str(),
            Taken::Nothing => "no route",
            Taken::Internal => "an internal path",
            Taken::Redirected => "a redirect",
        };
        Self(name(was), name(is))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Spot<'a> {
    listener: &'a str,
    path: &'a str,
    itself: bool,
    method: &'static str,
    finding: Finding,
}

type Hosts = BTreeSet<String>;
type Methods = BTreeSet<&'static str>;

/// A finding about one path of the same hosts, without its methods.
type PathFinding = (String, String, bool, Hosts, Finding);

/// The same with its methods, but without whether it concerns the path itself or the paths below it.
type Joined = (String, String, Hosts, Finding, Methods);

/// Joins methods, then hosts, then a path with what is below it.
fn joined(found: BTreeMap<Spot<'_>, Hosts>) -> Vec<(Region, Finding)> {
    let mut by_methods: BTreeMap<PathFinding, Methods> = BTreeMap::new();
    for (spot, hosts) in found {
        let Spot { listener, path, itself, method, finding } = spot;
        let key = (listener.to_owned(), path.to_owned(), itself, hosts, finding);
        by_methods.entry(key).or_default().insert(method);
    }
    let mut by_path: BTreeMap<Joined, (bool, bool)> = BTreeMap::new();
    for ((listener, path, itself, hosts, finding), methods) in by_methods {
        let parts = by_path.entry((listener, path, hosts, finding, methods)).or_default();
        parts.0 |= itself;
        parts.1 |= !itself;
    }
    let mut all: Vec<(Region, Finding)> = by_path
        .into_iter()
        .map(|((listener, path, hosts, finding, methods), (itself, below))| {
            let hosts = hosts.into_iter().collect();
            (Region { listener, hosts, path, itself, below, methods }, finding)
        })
        .collect();
    all.sort_by(|(a, x), (b, y)| (x.standing, a).cmp(&(y.standing, b)));
    all
}

fn difference((old, was): (&Edge, Taken<'_>), (new, is): (&Edge, Taken<'_>)) -> Option<Finding> {
    let mut noted = Aspects::default();
    match (was, is) {
        (Taken::Nothing, Taken::Nothing)
        | (Taken::Internal, Taken::Internal)
        | (Taken::Redirected, Taken::Redirected) => {}
        (Taken::Nothing | Taken::Internal, Taken::Redirected) => {
            noted.note(Protection::Same, "redirected to https, as every request here");
        }
        (Taken::Route(_), Taken::Redirected) => {
            noted.note(Protection::Closed, "redirected to https instead of being served");
        }
        (Taken::Redirected, Taken::Nothing | Taken::Internal) => {
            noted.note(Protection::Same, "refused instead of being redirected to https");
        }
        (Taken::Redirected, Taken::Route(route)) => {
            noted.note(Protection::Weaker, "served without encryption instead of being redirected to https");
            became_public(new, route, &mut noted);
        }
        (Taken::Nothing, Taken::Internal) => noted.note(Protection::Stricter, "an internal path now"),
        (Taken::Internal, Taken::Nothing) => {
            noted.note(
                Protection::Weaker,
                "no longer closed as an internal path: the guard no longer refuses other spellings of it",
            );
        }
        (Taken::Internal, Taken::Route(route)) => {
            noted.note(Protection::Weaker, "an internal path is open");
            became_public(new, route, &mut noted);
        }
        (Taken::Nothing, Taken::Route(route)) => {
            noted.note(Protection::Opened, "no route matched it");
            became_public(new, route, &mut noted);
        }
        (Taken::Route(_), Taken::Nothing) => noted.note(Protection::Closed, "no route matches it any more"),
        (Taken::Route(_), Taken::Internal) => noted.note(Protection::Closed, "an internal path now"),
        (Taken::Route(before), Taken::Route(after)) => routes((old, before), (new, after), &mut noted),
    }
    if noted.is_empty() {
        return None;
    }
    let (standing, because) = noted.finish();
    Some(Finding { standing, before: shown(old, was), after: shown(new, is), because })
}

fn became_public(edge: &Edge, route: &Route, noted: &mut Aspects) {
    match edge.policies.get(&route.policy) {
        Some(Policy::Public(_)) => noted.note(Protection::Weaker, "becomes public"),
        Some(
            Policy::Session(_)
            | Policy::Internal(_)
            | Policy::Signed(_)
            | Policy::Webhook(_)
            | Policy::Certificate(_),
        )
        | None => {}
    }
}

fn routes((old, before): (&Edge, &Route), (new, after): (&Edge, &Route), noted: &mut Aspects) {
    let Route {
        name: _,
        // The requests that a route takes are the regions.
        host: _,
        path: _,
        methods: _,
        policy,
        destination,
        canaries,
        shadow,
        answers,
        websocket,
        stream,
        idempotent,
        // Compared with what the file leaves unsaid.
        ends_with: _,
        cross_site,
        // Compared with those of the host.
        cors: _,
        // Compared beside the policy.
        limits: _,
        body_limit,
        times,
    } = after;
    if let (Some(was), Some(is)) = (old.policies.get(&before.policy), new.policies.get(policy)) {
        policy::compare((old, was), (new, is), noted);
    }
    limits::compare((old, before), (new, after), noted);
    let Destination { kinds: _, shares: _, sticky } = destination;
    destinations((old, &before.destination), (new, destination), noted);
    if before.destination.sticky != *sticky {
        let word = |sticky: &Option<Sticky>| match sticky {
            Some(Sticky::Session) => "the session".to_owned(),
            Some(Sticky::Subject) => "the subject".to_owned(),
            Some(Sticky::Tenant) => "the tenant".to_owned(),
            Some(Sticky::Cookie(name)) => format!("the cookie `{name}`"),
            None => "nothing".to_owned(),
        };
        let (was, is) = (word(&before.destination.sticky), word(sticky));
        noted.note(Protection::Same, format!("clients stick to a backend by {is} instead of {was}"));
    }
    let (was, is) = (reach(old, before), reach(new, after));
    if is > was {
        let what = format!("requests, or copies of them, leave {} for {}", was.as_str(), is.as_str());
        noted.note(Protection::Weaker, what);
    }
    if before.shadow != *shadow {
        let word = |shadow: &Option<String>| shadow.clone().unwrap_or_else(|| "no backend".to_owned());
        noted.note(
            Protection::Same,
            format!("copies go to {} instead of {}", word(shadow), word(&before.shadow)),
        );
    }
    if before.canaries != *canaries {
        noted.note(Protection::Same, "the canaries changed: callers may go to another backend");
    }
    match (before.websocket, websocket) {
        // The edge does not check the content of a tunnel.
        (false, true) => noted.note(Protection::Weaker, "WebSockets are allowed, which were refused before"),
        (true, false) => noted.note(Protection::Stricter, "WebSockets are refused"),
        (true, true) | (false, false) => {}
    }
    match (before.cross_site, cross_site) {
        (false, true) => noted.note(Protection::Weaker, "pages of any other site may send requests here"),
        (true, false) => noted.note(Protection::Stricter, "pages of other sites may not send requests here"),
        (true, true) | (false, false) => {}
    }
    if before.body_limit != *body_limit {
        let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        let word = |limit: Option<u64>| {
            limit.map_or_else(|| "any length".to_owned(), |limit| format!("{limit} bytes"))
        };
        let standing = if most(*body_limit) > most(before.body_limit) {
            Protection::Weaker
        } else {
            Protection::Stricter
        };
        let (was, is) = (word(before.body_limit), word(*body_limit));
        noted.note(standing, format!("bodies may have {is} instead of {was} (`body_limit`)"));
    }
    let RouteTimes { timeout, idle_timeout } = times;
    noted.changed("how long an answer may take to begin (`timeout_ms`)", &before.times.timeout, timeout);
    noted.changed("how long it may be silent (`idle_timeout_ms`)", &before.times.idle_timeout, idle_timeout);
    cors::compare((old, before), (new, after), noted);
    if before.stream != *stream {
        noted.note(Protection::Same, format!("`stream` is {stream}"));
    }
    if before.idempotent != *idempotent {
        let word = if *idempotent { "may be sent again" } else { "are sent again only with a safe method" };
        noted.note(Protection::Same, format!("requests without an answer {word} (`idempotent`)"));
    }
    let (was, is) = (old.ends_with(before), new.ends_with(after));
    if was != is {
        let word = |it| match it {
            EndsWith::Credential => "when their session ends or their credential expires",
            EndsWith::Session => "when their session ends",
            EndsWith::Nothing => "with no session",
        };
        let rank = |it| match it {
            EndsWith::Credential => 2,
            EndsWith::Session => 1,
            EndsWith::Nothing => 0,
        };
        let standing = if rank(is) < rank(was) { Protection::Weaker } else { Protection::Stricter };
        noted.note(standing, format!("open requests end {} instead of {}", word(is), word(was)));
    }
    if old.answers.get(&before.answers) != new.answers.get(answers) {
        noted.note(Protection::Same, "the wording of refusals changed");
    }
}

/// Notes where the callers of each kind, and all others, go now.
fn destinations(
    (old, before): (&Edge, &Destination),
    (new, after): (&Edge, &Destination),
    noted: &mut Aspects,
) {
    if before.kinds.is_empty() && after.kinds.is_empty() {
        if places(old, before) != places(new, after) {
            noted.note(Protection::Same, format!("goes to {after} instead of {before}"));
        }
        return;
    }
    let part = |destination: &Destination, kind: AcceptedCredential| {
        destination.of_kind(kind).map_or_else(|| destination.of_others(), Destination::whole)
    };
    for kind in AcceptedCredential::ALL {
        let is_named = before.of_kind(kind).or(after.of_kind(kind)).is_some();
        let (was, is) = (part(before, kind), part(after, kind));
        // A kind without any backend is one that the policy does not accept.
        let goes = |destination: &Destination| !destination.shares.is_empty();
        if is_named && goes(&was) && goes(&is) && places(old, &was) != places(new, &is) {
            noted.note(Protection::Same, format!("`{}` goes to {is} instead of {was}", kind.as_str()));
        }
    }
    let (was, is) = (before.of_others(), after.of_others());
    if !was.shares.is_empty() && !is.shares.is_empty() && places(old, &was) != places(new, &is) {
        noted.note(Protection::Same, format!("callers of other kinds go to {is} instead of {was}"));
    }
}

/// How far requests of a route and their copies go.
fn reach(edge: &Edge, route: &Route) -> Reach {
    let backends = route.answering().into_iter().filter_map(|name| edge.backends.get(name));
    furthest(backends.flat_map(|backend| &backend.endpoints))
}

/// The addresses at which requests arrive, with their shares. Addresses count, not names; a share of 0 is left out.
fn places(edge: &Edge, destination: &Destination) -> BTreeMap<(BTreeSet<Endpoint>, String), u32> {
    let mut places = BTreeMap::new();
    for share in destination.shares.iter().filter(|share| share.weight > Percent::ZERO) {
        if let Some(backend) = edge.backends.get(&share.backend) {
            let place = (backend.endpoints.iter().cloned().collect(), backend.audience.clone());
            *places.entry(place).or_default() += share.weight.thousandths();
        }
    }
    places
}

fn shown(edge: &Edge, taken: Taken<'_>) -> String {
    let route = match taken {
        Taken::Route(route) => route,
        Taken::Nothing => return "404, no route".to_owned(),
        Taken::Internal => return "404, internal".to_owned(),
        Taken::Redirected => return "308, to https".to_owned(),
    };
    let kind = edge.policies.get(&route.policy).map_or("", policy::kind);
    let name = if route.policy == kind { String::new() } else { format!(" ({kind})") };
    format!("`{}`: {}{name} to {}", route.name, route.policy, route.destination)
}
