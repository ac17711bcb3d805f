//! Cost against size: few routes and many, and what the authorizer's own benchmark found for keys and tenants.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Protocol, measure};
use crate::progress::Progress;
use crate::results::{Finding, median, rounded};
use crate::stage::{self, Stage};

const FEW: usize = 10;
const MANY: usize = 10_000;

/// The development edge without leases, once with ten routes more and once with ten thousand; the request goes to
/// the one in the middle.
pub(crate) fn routes(
    stage: &mut Stage,
    backend: SocketAddr,
    rounds: usize,
    duration: Duration,
    progress: &Progress,
) -> Finding {
    let (_, text) = stage::edge_files();
    progress.say("starting an edge with 10 and one with 10,000 more routes");
    let mut edges = [FEW, MANY].map(|count| (count, stage::edge(&with_routes(&text, count), backend)));
    stage.prepare_sessions(1);
    let mut measured = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for ((count, edge), all) in edges.iter_mut().zip(&mut measured) {
            let path = format!("/size/{:05}/page", *count / 2);
            // Each edge has keys of its own, so each has a session of its own.
            let file = stage.directory().join(format!("sessions-routes-{count}"));
            let sessions = crate::sessions::Sessions::new(&edge.mint(), 1, file);
            let one = measure(stage::target_of(edge), Protocol::H1, &path, &sessions, duration);
            progress.round(&format!("{count} routes"), &one);
            all.push(one);
        }
    }
    let [few, many] = measured;
    let cost = |figure: fn(&crate::load::Measured) -> f64| {
        median(few.iter().zip(&many).map(|(few, many)| figure(many) / figure(few)).collect())
    };
    let (time, envoy) = (cost(|m| 1.0 / m.rate), cost(|m| m.envoy_us));
    let authorizer = cost(|m| m.authorizer_us);
    Finding {
        key: "routes",
        said: vec![format!(
            "10 → 10,000 routes: {time:.2} × the time for a request (Envoy's CPU {envoy:.2} ×, the authorizer's {authorizer:.2} ×)"
        )],
        figures: json!({
            "few": FEW, "many": MANY,
            "cost": rounded(time), "envoy_cost": rounded(envoy), "authorizer_cost": rounded(authorizer),
        }),
    }
}

fn with_routes(text: &str, count: usize) -> String {
    let mut routes = String::from("\nroutes:\n");
    for number in 0..count {
        let _ = writeln!(
            routes,
            "  - {{ name: size-{number:05}, host: api, prefix: /size/{number:05}, policy: signed-in, to: legacy, answers: auth }}"
        );
    }
    assert!(text.contains("\nroutes:\n"), "the development edge has its routes in block form");
    text.replacen("\nroutes:\n", &routes, 1)
}

/// What `cargo bench -p authz-service` wrote, if it ran: its figures as they are.
pub(crate) fn authorizer(path: &Path) -> Finding {
    let figures: Option<Value> = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let said = match &figures {
        None => vec![format!(
            "keys and tenants: {} is not there; `cargo bench -p authz-service` writes it",
            path.display()
        )],
        Some(figures) => tell(figures),
    };
    Finding { key: "authorizer", said, figures: figures.unwrap_or(Value::Null) }
}

/// Every number of a tree of figures, one a line.
fn tell(figures: &Value) -> Vec<String> {
    let mut said = vec!["the authorizer alone (its own benchmark):".to_owned()];
    let mut open = vec![(String::new(), figures)];
    while let Some((name, value)) = open.pop() {
        match value {
            Value::Object(map) => {
                let join = |key: &String| if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                open.extend(map.iter().rev().map(|(key, value)| (join(key), value)));
            }
            Value::Number(number) => said.push(format!("  {name}: {number}")),
            Value::Array(all) => {
                open.extend(all.iter().enumerate().rev().map(|(at, v)| (format!("{name}[{at}]"), v)));
            }
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    said
}
