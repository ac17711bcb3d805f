//! The differences in how clients reach the hosts: with encryption or without.

use std::collections::BTreeMap;

use edge_config::Edge;
use edge_config::edge::{Hsts, Listener};

use super::super::found::{Aspects, Protection};

/// Notes each name that is served without encryption now and was not, or no longer is. Names that only one of the edges has
/// are reported with their requests.
pub(super) fn encryption(old: &Edge, new: &Edge) -> Aspects {
    let mut noted = Aspects::default();
    let (before, after) = (in_the_clear(old), in_the_clear(new));
    for (name, clear) in after {
        let Some(was) = before.get(name) else { continue };
        match (was.first(), clear.first()) {
            (None, Some(_)) => {
                let listeners = clear.join("`, `");
                noted.note(
                    Protection::Weaker,
                    format!("{name} is also served without encryption, on `{listeners}`"),
                );
            }
            (Some(_), None) => noted.note(Protection::Stricter, format!("{name} is served encrypted alone")),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    noted
}

/// Notes the promises of https to browsers (HSTS), for names that both edges have.
pub(super) fn promises(old: &Edge, new: &Edge) -> Aspects {
    let mut noted = Aspects::default();
    let (before, after) = (promised(old), promised(new));
    for (name, is) in after {
        let Some(was) = before.get(name).filter(|was| **was != is) else { continue };
        let (standing, what) = match (was, is) {
            (None, Some(is)) => {
                (Protection::Stricter, format!("browsers use https alone for {name}: `{is}`"))
            }
            (Some(_), None) => (Protection::Weaker, format!("browsers no longer use https alone for {name}")),
            (Some(was), Some(is)) => {
                let is_weaker =
                    is.max_age < was.max_age || (was.include_subdomains && !is.include_subdomains);
                let standing = if is_weaker { Protection::Weaker } else { Protection::Stricter };
                (standing, format!("browsers receive `{is}` instead of `{was}` for {name}"))
            }
            (None, None) => continue,
        };
        noted.note(standing, what);
    }
    noted
}

/// By name, the promise of the first listener that makes one.
fn promised(edge: &Edge) -> BTreeMap<&str, Option<Hsts>> {
    let mut names = BTreeMap::new();
    for host in edge.hosts.values() {
        let promised = host.listeners.iter().find_map(|listener| edge.hsts_of(listener, host));
        for name in &host.names {
            let known: &mut Option<Hsts> = names.entry(name.as_str()).or_default();
            *known = known.or(promised);
        }
    }
    names
}

/// By name, the listeners without TLS that serve it.
fn in_the_clear(edge: &Edge) -> BTreeMap<&str, Vec<&str>> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for host in edge.hosts.values() {
        let is_clear = |name: &&String| edge.listeners.get(*name).is_some_and(Listener::serves_in_the_clear);
        for name in &host.names {
            names.entry(name).or_default().extend(host.listeners.iter().filter(is_clear).map(String::as_str));
        }
    }
    names
}
