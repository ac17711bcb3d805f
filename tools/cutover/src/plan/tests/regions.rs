//! A region stands for all of its paths, whatever the routes are.

use std::path::Path;

use edge_config::edge::METHODS;
use edge_config::{Edge, Match, route_of};
use proptest::prelude::*;

use super::super::regions::{self, Table, Taken};
use super::super::tree::PathRegion;
use super::DEV;

/// An edge with these routes: path, whether exact, method or any, and whether on the host for any name.
fn made(routes: &[(String, bool, Option<usize>, bool)], closed: &[String]) -> Option<Edge> {
    let head = DEV.split("internal_paths:").next()?;
    let middle = DEV.split("\nsessions:\n").nth(1)?.split("\nroutes:\n").next()?;
    let mut text = head.replace("[dev-domain.test]", "[\"*\"]");
    text.push_str("internal_paths:\n  - { prefix: /never }\n");
    for path in closed {
        text.push_str(&format!("  - {{ prefix: {path} }}\n"));
    }
    text.push_str(&format!("\nsessions:\n{middle}\nroutes:\n"));
    for (index, (path, exact, method, any_host)) in routes.iter().enumerate() {
        let kind = if *exact { "path" } else { "prefix" };
        let methods = method.map(|m| format!("methods: [{}], ", METHODS[m])).unwrap_or_default();
        let host = if *any_host { "web" } else { "api" };
        text.push_str(&format!("  - {{ name: r{index}, host: {host}, {kind}: {path}, {methods}policy: signed-in, to: legacy, answers: auth }}\n"));
    }
    edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).ok()
}

/// Paths of routes, some with parameters.
fn a_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "{p}"]), 1..4).prop_map(|segments| {
        let names = segments.iter().enumerate().map(|(at, s)| s.replace("{p}", &format!("{{p{at}}}")));
        format!("/{}", names.collect::<Vec<_>>().join("/"))
    })
}

/// Paths of requests.
fn a_target() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "x", "", "ü"]), 1..5)
        .prop_map(|segments| format!("/{}", segments.join("/")))
}

/// The sample of the region of `path`: the one whose matches take the same segments, literals before parameters, as far as
/// any goes.
fn stands_for<'r>(regions: &'r [PathRegion], path: &str) -> &'r str {
    let wanted: Vec<&str> = path.split('/').skip(1).collect();
    let rank = |region: &PathRegion| {
        let named: Vec<&str> =
            region.path.split('/').skip(1).filter(|_| region.path != "/" || region.itself).collect();
        let is_value = |s: &str| !s.is_empty() && s.is_ascii();
        let fits =
            |(named, wanted): (&&str, &&str)| named == wanted || named.starts_with('{') && is_value(wanted);
        let length = if region.itself { wanted.len() == named.len() } else { wanted.len() > named.len() };
        (length && named.iter().zip(&wanted).all(fits)).then(|| {
            let literals: Vec<bool> = named.iter().map(|named| !named.starts_with('{')).collect();
            (named.len(), region.itself, literals)
        })
    };
    let best = regions.iter().filter(|region| rank(region).is_some()).max_by_key(|region| rank(region));
    &best.unwrap_or_else(|| panic!("no region for {path}")).sample
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_region_is_taken_as_each_of_its_paths_is(
        routes in prop::collection::vec((a_path(), any::<bool>(), prop::option::of(0..METHODS.len()), any::<bool>()), 1..6),
        closed in prop::collection::vec(a_path(), 0..2),
        probes in prop::collection::vec(prop_oneof![a_target(), Just("/".to_owned()), Just("/a/b/ab/a/x".to_owned()), Just("/abx".to_owned())], 8),
    ) {
        // Some generated edges are invalid, for example with two routes of one path.
        let Some(edge) = made(&routes, &closed) else { return Ok(()) };
        let table = Table::of(&edge);
        let regions = regions::paths([&edge, &edge]);
        for (host, name) in [("localhost", "localhost"), ("elsewhere.test", "*")] {
            let group = table.group("public", name);
            for path in &probes {
                for method in METHODS {
                    let expected = match route_of(&edge, "public", host, method, path) {
                        Match::Route(route) => Taken::Route(route),
                        Match::InternalPath => Taken::Internal,
                        Match::Redirect => Taken::Redirected,
                        Match::UnknownHost | Match::Unmatched => Taken::Nothing,
                        Match::MethodNotAllowed => unreachable!("{method}"),
                    };
                    prop_assert_eq!(table.takes("public", group, method, path), expected);
                    let sample = stands_for(&regions, path);
                    prop_assert_eq!(table.takes("public", group, method, sample), expected, "{} stands for {}", sample, path);
                }
            }
        }
    }
}
