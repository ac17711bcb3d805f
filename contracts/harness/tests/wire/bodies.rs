//! P1, large and slow: bodies of any size, in any number of pieces and at any pace come back as they were sent, with their
//! trailers, and no part of the edge keeps them. With leases, with `body_limit`, and over both versions of HTTP on either side.
//!
//! With `CUTOVER_THOROUGH` (`make contracts`) bodies have a gibibyte, and slow ones last a minute.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod client;
mod echo;
mod pattern;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use client::{Body, TRAILER};
use echo::Echo;
use harness::{Edge, Part, SESSION_COOKIE, eventually, is_thorough, meanwhile};

const MIB: u64 = 1024 * 1024;

/// The routes of each backend, and what is special about them.
const ROUTES: [&str; 3] = ["open", "limited", "leased"];

/// The development edge with three routes to a backend that speaks HTTP/1.1, and the same three to one that speaks HTTP/2.
fn edge(old: &Echo, new: &Echo) -> Edge {
    let mut routes = "routes:\n".to_owned();
    for (version, backend) in [("1", "legacy"), ("2", "modern")] {
        for (name, policy, more) in [
            ("open", "public", ""),
            ("limited", "public", ", body_limit: 1024MiB"),
            ("leased", "lasting", ""),
        ] {
            routes.push_str(&format!(
                "  - {{ name: {name}-{version}, host: api, exact: /{name}/{version}, policy: {policy}, to: {backend}, answers: auth{more} }}\n"
            ));
        }
    }
    let modern = format!("backends:\n  modern: {{ address: \"{}\", protocol: http2 }}\n", new.address());
    Edge::dev()
        .replace("\nroutes:\n", &format!("\n{routes}"))
        .replace("\nbackends:\n", &format!("\n{modern}"))
        .replace(
            "policies:\n",
            "policies:\n  lasting: { kind: session, lease: { seconds: 25, uses: 100000, methods: all } }\n",
        )
        .every_backend(old.address())
        .start()
}

/// Sends `body` on every way, with an honest and a forged trailer.
///
/// That is over each version of HTTP, to a backend of each, on each route.
fn on_every_way(edge: &Edge, routes: &[&str], body: Body) {
    let cookie = format!("{SESSION_COOKIE}={}", edge.mint().good(0));
    let lines = [("cookie", cookie)];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let log = || edge.access_log(1).into_iter().rev().take(2).collect::<Vec<_>>();
    let edge_address = edge.public();
    runtime.block_on(async {
        for route in routes {
            for version in ["1", "2"] {
                let target = format!("/{route}/{version}");
                let what = |client: &str| format!("{client} to {target}, {body:?}");
                let old = client::http1(edge_address, &target, &lines, body).await;
                let old = old.unwrap_or_else(|e| panic!("{}: {e}\n{:?}", what("HTTP/1.1"), log()));
                let new = client::http2(edge_address, &target, &lines, body).await;
                let new = new.unwrap_or_else(|e| panic!("{}: {e}\n{:?}", what("HTTP/2"), log()));
                let trailers = [(TRAILER.0.to_owned(), TRAILER.1.to_owned())];
                assert_eq!(new, trailers, "{}", what("HTTP/2"));
                assert_eq!(old, if body.has_length { &[][..] } else { &trailers }, "{}", what("HTTP/1.1"));
            }
        }
    });
}

/// Does `work`, and fails when Envoy or the authorizer needs much more memory meanwhile.
fn in_flat_memory(edge: &mut Edge, work: impl FnOnce(&Edge)) {
    /// All buffers on the way of a few requests are far below this, and every body is far above it.
    const GROWTH_MIB: u64 = 24;
    let programs = [Part::Envoy, Part::Authz].map(|part| (part, edge.part(part).id()));
    let before = programs.map(|(_, id)| harness::resident_mib(id));
    let most = before.map(AtomicU64::new);
    let look = || {
        for ((_, id), most) in programs.iter().zip(&most) {
            most.fetch_max(harness::resident_mib(*id), Ordering::Relaxed);
        }
    };
    meanwhile(Duration::from_millis(20), look, || work(edge));
    for (((part, _), before), most) in programs.iter().zip(before).zip(most) {
        let grown = most.into_inner().saturating_sub(before);
        assert!(grown <= GROWTH_MIB, "{part:?} grew from {before} MiB by {grown} MiB");
    }
}

#[test]
fn large_bodies_pass_both_ways_at_once_in_flat_memory() {
    let (old, new) = (Echo::http1(), Echo::http2());
    let mut edge = edge(&old, &new);
    // What Envoy allocates once.
    on_every_way(&edge, &ROUTES, Body::of(16, 65_536));
    eventually("leases serve", || {
        on_every_way(&edge, &["leased"], Body::of(1, 1));
        edge.leased() > 0
    });
    let leased = edge.leased();
    let mib = if is_thorough() { 1024 } else { 64 };
    in_flat_memory(&mut edge, |edge| {
        let body = Body::of(mib * MIB / 65_536, 65_536);
        on_every_way(edge, &ROUTES, body);
        on_every_way(edge, &["limited"], Body { has_length: true, ..body });
    });
    assert!(edge.leased() > leased, "the leased route was served by leases");
}

#[test]
fn ten_thousand_pieces_pass_both_ways() {
    let (old, new) = (Echo::http1(), Echo::http2());
    let mut edge = edge(&old, &new);
    in_flat_memory(&mut edge, |edge| {
        on_every_way(edge, &ROUTES, Body::of(10_000, 1));
        on_every_way(edge, &ROUTES, Body::of(10_000, 1_021));
    });
}

/// Each byte comes back before the next one is sent: no part waits for more.
#[test]
fn one_byte_at_a_time_is_passed_on_at_once() {
    let (old, new) = (Echo::http1(), Echo::http2());
    let edge = edge(&old, &new);
    let (pieces, pause) =
        if is_thorough() { (60, Duration::from_secs(1)) } else { (20, Duration::from_millis(50)) };
    std::thread::scope(|scope| {
        for route in ROUTES {
            let edge = &edge;
            scope.spawn(move || {
                on_every_way(edge, &[route], Body { pause: Some(pause), ..Body::of(pieces, 1) });
            });
        }
    });
}
