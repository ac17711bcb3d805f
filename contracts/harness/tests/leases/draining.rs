//! Open connections survive every change of routes, shares, policies, limits, leases and tenants. No such change
//! replaces a filter chain, so Envoy's drain time ends none of them.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

pub(crate) mod streams;

use std::process::{Command, Stdio};
use std::time::Duration;

use harness::{Edge, eventually, meanwhile, pause, program, repository};
use streams::{Books, Grpc, Streams};

/// Long enough for Envoy to close the connections it drains, short enough for a test to wait for it.
const DRAIN_SECONDS: u32 = 3;

const BOOKS: &str =
    "  - { name: books, host: api, prefix: /books, policy: signed-in, to: legacy, answers: library }\n";

/// The connections stand on routes of their own, which no change here names.
const LIVE: &str = "  - { name: live, host: api, prefix: /live, policy: connected, upgrade: websocket, to: auth, answers: library }
  - { name: events, host: api, prefix: /events, policy: connected, stream: true, to: auth, answers: library }
  - { name: upload, host: api, prefix: /upload, policy: connected, to: auth, answers: library }
  - { name: grpc, host: api, prefix: /grpc.health.v1.Health, policy: connected, stream: true, to: users, answers: library }
";

/// Replaces `old` by `new` in the edge file of `edge`, and waits until the watch has brought it into force.
fn change(edge: &Edge, watch: &harness::Process, old: &str, new: &str) {
    edge.edit(old, new);
    edge.in_force(watch);
}

/// Sends requests for books while `work` runs: the gates of a ramp judge requests.
fn under_load<T>(edge: &Edge, work: impl FnOnce() -> T) -> T {
    let request = edge.get("/books").token(&edge.mint().good(0));
    let client = || drop(request.try_send());
    meanwhile(Duration::from_millis(5), client, work)
}

fn undisturbed(edge: &Edge) {
    for name in [
        "listener_manager.total_filter_chains_draining",
        "listener_manager.total_listeners_draining",
        "listener_manager.listener_in_place_updated",
        "listener_manager.listener_modified",
        "listener_manager.listener_removed",
    ] {
        assert_eq!(edge.envoy_stat(name), Some(0), "{name}");
    }
}

#[test]
fn a_websocket_events_a_grpc_stream_and_an_upload_live_through_every_change() {
    let (books, grpc) = (Books::start(), Grpc::start());
    let users = "users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }";
    let edge = Edge::dev()
        .replace(users, &users.replace(" }", ", protocol: grpc }"))
        .replace("policies:\n", "policies:\n  connected: { kind: session }\n")
        .replace(BOOKS, &format!("{BOOKS}{LIVE}"))
        .stand_in("LEGACY_ADDRESS", books.address())
        .stand_in("AUTH_ADDRESS", books.address())
        .stand_in("USERS_ADDRESS", grpc.address())
        .drain_seconds(DRAIN_SECONDS)
        .start();
    let watch = edge.watch();
    eventually("the watch begins", || watch.log().contains("is in force"));
    let mut streams = Streams::open(&edge, &grpc);
    streams.go_on();

    // Twenty weights.
    let file = edge.file().display().to_string();
    for step in 1..=20 {
        let said =
            edge.cutover(&["set", &file, "books", "--to", &format!("legacy={},auth={}", 100 - step, step)]);
        let revision = said.rsplit("revision ").next().unwrap_or_default().trim_end().trim_end_matches(')');
        eventually("the weights are in force", || {
            watch.log().contains(&format!("revision {revision} is in force"))
        });
    }
    undisturbed(&edge);
    streams.go_on();

    // A ramp.
    let mut ramp = Command::new(program("cutover"));
    ramp.arg("ramp")
        .arg(edge.file())
        .args(["books", "--to", "auth", "--steps", "50,100", "--every", "1s", "--gate", "5xx<50%"]);
    ramp.current_dir(repository()).env("CUTOVER_HOME", edge.home()).stdin(Stdio::null());
    for name in ["EDGE_ADDRESS", "EDGE_SERVICE_ADDRESS", "ENVOY_ADMIN_ADDRESS", "AUTHZ_ADDRESS"]
        .into_iter()
        .chain(["LEGACY_ADDRESS", "AUTH_ADDRESS", "USERS_ADDRESS"])
    {
        ramp.env(name, edge.address(name).to_string());
    }
    let ramped = under_load(&edge, || ramp.output().expect("cutover can be started"));
    assert!(ramped.status.success(), "{}", String::from_utf8_lossy(&ramped.stderr));
    streams.go_on();

    let routes = "routes:\n";
    change(
        &edge,
        &watch,
        routes,
        "routes:\n  - { name: new, host: api, prefix: /new, policy: public, to: legacy, answers: auth }\n",
    );
    assert_eq!(edge.get("/new").send().status, 200, "the new route");
    change(&edge, &watch, "policies:\n", "policies:\n  role-1: { kind: session, role: 1 }\n");
    change(&edge, &watch, "prefix: /new, policy: public", "prefix: /new, policy: role-1");
    assert_eq!(edge.get("/new").send().status, 401, "the new policy");
    change(&edge, &watch, "limits:\n", "limits:\n  some: { per: address, rate: 100, seconds: 1 }\n");
    change(&edge, &watch, "policy: role-1,", "policy: role-1, limits: [some],");
    change(&edge, &watch, "rate: 100", "rate: 50");
    // The first lease of the edge, on the policy of the open connections and on another one.
    change(
        &edge,
        &watch,
        "signed-in: { kind: session }",
        "signed-in: { kind: session, lease: { seconds: 20 } }",
    );
    let token = edge.mint().good(0);
    eventually("leases serve", || {
        assert_eq!(edge.get("/books").token(&token).send().status, 200);
        edge.leased() > 0
    });
    change(
        &edge,
        &watch,
        "connected: { kind: session }",
        "connected: { kind: session, lease: { seconds: 20 } }",
    );
    // A share by session is chosen after the authorizer's answer.
    let shares =
        edge.text().lines().find(|line| line.contains("name: books,")).expect("books are there").to_owned();
    let sticky = "  - { name: books, host: api, prefix: /books, policy: signed-in, to: { legacy: 50, auth: 50, sticky: session }, answers: library }";
    change(&edge, &watch, &shares, sticky);
    let tenants = edge.home().join("tenants.yaml");
    let listed = std::fs::read_to_string(&tenants).expect("the tenants are readable");
    let suspended = "\n  - { id: 00000000-0000-7000-8000-000000000009, name: other, status: suspended }\n";
    std::fs::write(&tenants, format!("{}{suspended}", listed.trim_end())).expect("the home is writable");
    undisturbed(&edge);
    streams.go_on();

    pause(Duration::from_secs(u64::from(DRAIN_SECONDS) + 2), "a drained connection would be closed by now");
    undisturbed(&edge);
    streams.go_on();
    assert_eq!(streams.finish_upload(), 200);
    assert!(edge.rendered().starts_with("revisions"));
}
