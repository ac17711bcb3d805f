//! TLS and HTTP/2 on both sides, each with bare Envoy with the same settings beside it; and what a short request pays for
//! `body_limit` and for the end of streams.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::tls::Tunnel;
use harness::wire::Request;
use harness::{Edge, Port, Process};
use serde_json::{Value, json};

use crate::filters::{self, EnvoyFiles};
use crate::load::{Measured, Protocol, Target, measure};
use crate::progress::Progress;
use crate::results::{Finding, median, rounded};
use crate::sessions::Sessions;
use crate::stage::{self, PATH, changed};
use crate::variants::{Form, Variant};

/// The development edge's public listener, where a setting is added to it.
const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";
const TLS: &str = ", tls: { certificate: \"${CUTOVER_HOME:-.run}/certs/edge.pem\", key: \"${CUTOVER_HOME:-.run}/certs/edge.key\" } }";
/// The backend of [`PATH`].
const USERS: &str = "users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }";

/// The measured ways: name, title, and protocol of the load.
const WAYS: [(&str, &str, Protocol); 2] = [
    ("tls", "HTTP/1.1 over TLS to the edge", Protocol::Tls),
    ("h2_to_h2", "HTTP/2 to the edge and to the backend", Protocol::H2),
];

/// Measures the edge with leases on each way, in turn with bare Envoy: its own listener and clusters, without the edge's filters.
pub(crate) fn networks(
    directory: &Path,
    (http1, http2): (SocketAddr, SocketAddr),
    (rounds, duration): (usize, Duration),
    progress: &Progress,
) -> Finding {
    let (leased, _) = stage::edge_files();
    let mut said = vec!["the edge warm, as a share of bare Envoy with the same settings:".to_owned()];
    let mut figures = serde_json::Map::new();
    for (key, title, protocol) in WAYS {
        progress.say(&format!("starting an edge: {title}"));
        let (text, backend) = match protocol {
            Protocol::Tls => (changed(&leased, PUBLIC, &PUBLIC.replace(" }", TLS)), http1),
            Protocol::H1 | Protocol::H2 => {
                (changed(&leased, USERS, &USERS.replace(" }", ", protocol: http2 }")), http2)
            }
        };
        let mut edge = stage::edge(&text, backend, Form::Native);
        let sessions = Sessions::new(&edge.mint(), 1, directory.join(format!("sessions-{key}")));
        let (bare, port) = bare(&edge, directory, key, protocol);
        let edge_target = target(&mut edge);
        let bare_target = Target { address: port.address(), envoy: bare.id(), authorizer: None };
        let ask = |target, name: &str| {
            let one = measure(target, protocol, PATH, &sessions, duration);
            progress.round(&format!("{key} {name}"), &one);
            one
        };
        let _ = (ask(bare_target, "bare, warming"), ask(edge_target, "warm, warming"));
        let pairs: Vec<(Measured, Measured)> =
            (0..rounds).map(|_| (ask(bare_target, "bare"), ask(edge_target, "warm"))).collect();
        let ratio = median(pairs.iter().map(|(bare, warm)| warm.rate / bare.rate).collect());
        let by_cpu = median(pairs.iter().map(|(bare, warm)| bare.envoy_us / warm.envoy_us).collect());
        said.push(format!("  {title}: {:.1} % (by CPU {:.1} %)", 100.0 * ratio, 100.0 * by_cpu));
        figures.insert(key.to_owned(), row(&pairs, ratio, by_cpu));
    }
    Finding { key: "networks", said, figures: figures.into() }
}

fn row(pairs: &[(Measured, Measured)], ratio: f64, by_cpu: f64) -> Value {
    let of = |figure: fn(&(Measured, Measured)) -> f64| rounded(median(pairs.iter().map(figure).collect()));
    json!({
        "ratio": rounded(ratio), "envoy_cpu_ratio": rounded(by_cpu),
        "rate": of(|(_, warm)| warm.rate), "bare_rate": of(|(bare, _)| bare.rate),
        "envoy_us": of(|(_, warm)| warm.envoy_us), "bare_envoy_us": of(|(bare, _)| bare.envoy_us),
    })
}

/// Routes beside the one of [`PATH`], each with one thing more.
const MORE: [(&str, &str, &str); 3] = [
    ("plain", "nothing more", ""),
    ("body_limit", "`body_limit`", ", body_limit: 64KiB"),
    ("keeper", "a stream that ends with its session", ", stream: true"),
];

/// Measures a short request with a full check on routes with and without each of these.
pub(crate) fn short(
    directory: &Path,
    backend: SocketAddr,
    (rounds, duration): (usize, Duration),
    progress: &Progress,
) -> Finding {
    progress.say("starting an edge with a limit of bodies and with streams");
    let (_, text) = stage::edge_files();
    let routes: String = MORE
        .iter()
        .map(|(key, _, more)| {
            let name = key.replace('_', "-");
            format!("  - {{ name: short-{name}, host: api, exact: /short/{name}, policy: signed-in, to: legacy, answers: auth{more} }}\n")
        })
        .collect();
    let text = changed(&text, "\nroutes:\n", &format!("\nroutes:\n{routes}"));
    let mut edge = stage::edge(&text, backend, Form::Native);
    let sessions = Sessions::new(&edge.mint(), 1, directory.join("sessions-short"));
    let target = target(&mut edge);
    let mut measured = MORE.map(|_| Vec::new());
    // The first round warms, and does not count.
    for round in 0..=rounds {
        for ((key, _, _), all) in MORE.iter().zip(&mut measured) {
            let path = format!("/short/{}", key.replace('_', "-"));
            let one = measure(target, Protocol::H1, &path, &sessions, duration);
            progress.round(&format!("short {key}"), &one);
            if round > 0 {
                all.push(one);
            }
        }
    }
    let mut said = vec!["a short request, relative to a route without:".to_owned()];
    let mut figures = serde_json::Map::new();
    let [plain, others @ ..] = &measured;
    for ((key, title, _), all) in MORE.iter().skip(1).zip(others) {
        let of = |figure: fn(&Measured) -> f64| {
            median(plain.iter().zip(all).map(|(plain, one)| figure(one) / figure(plain)).collect())
        };
        let (time, envoy) = (of(|one| 1.0 / one.rate), of(|one| one.envoy_us));
        said.push(format!("  {title}: {time:.2} × the time (Envoy's CPU {envoy:.2} ×)"));
        figures.insert((*key).to_owned(), json!({ "cost": rounded(time), "envoy_cost": rounded(envoy) }));
    }
    Finding { key: "short", said, figures: figures.into() }
}

/// Envoy and authorizer of `edge`, without the tunnel that tests use before TLS.
fn target(edge: &mut Edge) -> Target {
    Target { address: edge.address("EDGE_ADDRESS"), ..stage::target_of(edge) }
}

/// An Envoy with the listener and the clusters of `edge`, and with no filter but the router.
fn bare(edge: &Edge, directory: &Path, key: &str, protocol: Protocol) -> (Process, Port) {
    let (port, admin) = (Port::lease(), Port::lease());
    let log = directory.join(format!("{key}.access.json"));
    let place = EnvoyFiles { public: port.number(), admin: admin.number(), naive: 0, log: &log };
    let configuration = filters::configuration(edge.home(), Variant::Bare, &place);
    let file = directory.join(format!("{key}.json"));
    std::fs::write(&file, configuration.to_string()).expect("the directory is writable");
    let mut command = Command::new(harness::envoy());
    command.arg("-c").arg(&file);
    command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]);
    // As the edge's own: paths in its configuration may be relative to its home.
    command.env("CUTOVER_HOME", edge.home());
    let mut process = Process::start(key, &mut command, &directory.join(format!("{key}.log")));
    let tunnel =
        (protocol == Protocol::Tls).then(|| Tunnel::to(port.address(), &edge.home().join("certs/edge.pem")));
    let address = tunnel.as_ref().map_or(port.address(), Tunnel::address);
    let ready = Request::new(address, "GET", PATH).token(&edge.mint().good(0));
    let is_ready = harness::within(Duration::from_mins(1), || {
        assert!(process.is_running(), "bare Envoy ended:\n{}", process.log());
        ready.try_send().is_ok_and(|answer| answer.status == 200).then_some(())
    });
    assert!(is_ready.is_some(), "bare Envoy does not start:\n{}", process.log());
    (process, port)
}
