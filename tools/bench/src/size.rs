//! Cost against size: few routes and many, and the results of the authorizer's own benchmark for keys and tenants.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Measured, Protocol, measure};
use crate::progress::Progress;
use crate::results::{Finding, median, rounded};
use crate::stage::{self, Stage};
use crate::variants::Form;

/// The numbers of additional routes of the edges on the curve. The others are compared with the first.
const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];

/// The form of the additional routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paths {
    /// Prefixes of literal segments, which Envoy looks up.
    Literal,
    /// Templates that all begin with one parameter, which Envoy can only compare: the worst case of a template.
    Template,
}

impl Paths {
    const fn key(self) -> &'static str {
        match self {
            Self::Literal => "routes",
            Self::Template => "templates",
        }
    }

    fn route(self, number: usize) -> String {
        match self {
            Self::Literal => format!("prefix: /size/{number:05}"),
            Self::Template => format!("path: \"/size/{{tenant}}/{number:05}/{{page}}\""),
        }
    }

    fn request(self, number: usize) -> String {
        match self {
            Self::Literal => format!("/size/{number:05}/page"),
            Self::Template => format!("/size/acme-corp/{number:05}/page"),
        }
    }
}

/// Measures the development edge without leases, with more and more routes; the request goes to the one in the middle. The
/// cost of each size is compared with the smallest of the same round.
pub(crate) fn routes(
    stage: &mut Stage,
    paths: Paths,
    backend: SocketAddr,
    (rounds, duration): (usize, Duration),
    progress: &Progress,
) -> Finding {
    let (_, text) = stage::edge_files();
    let key = paths.key();
    progress.say(&format!("starting edges with 10, 100, 1,000 and 10,000 more {key}"));
    let mut edges =
        COUNTS.map(|count| (count, stage::edge(&with_routes(&text, paths, count), backend, Form::Native)));
    stage.prepare_sessions(1);
    let mut measured = COUNTS.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((count, edge), all) in edges.iter_mut().zip(&mut measured) {
            let path = paths.request(*count / 2);
            // Each edge has keys of its own, so each has a session of its own.
            let file = stage.directory().join(format!("sessions-{key}-{count}"));
            let sessions = crate::sessions::Sessions::new(&edge.mint(), 1, file);
            let one = measure(stage::target_of(edge), Protocol::H1, &path, &sessions, duration);
            progress.round(&format!("{count} {key}"), &one);
            all.push(one);
        }
    }
    let [few, ..] = &measured;
    let curve: Vec<Point> =
        COUNTS.iter().zip(&measured).map(|(routes, all)| Point::of(*routes, few, all)).collect();
    let mut said = vec![format!("{key}, and the cost of a request with that many, relative to 10:")];
    said.extend(curve.iter().map(Point::line));
    let cost = |figure: fn(&Point) -> f64| curve.last().map(|most| rounded(figure(most)));
    let figures = json!({
        "few": COUNTS.first(), "many": COUNTS.last(),
        "cost": cost(|most| most.time), "envoy_cost": cost(|most| most.envoy),
        "authorizer_cost": cost(|most| most.authorizer),
        "curve": curve.iter().map(Point::figures).collect::<Vec<_>>(),
    });
    Finding { key, said, figures }
}

/// One size of the curve, relative to the smallest one.
struct Point {
    routes: usize,
    time: f64,
    envoy: f64,
    authorizer: f64,
}

impl Point {
    fn of(routes: usize, few: &[Measured], all: &[Measured]) -> Self {
        let cost = |figure: fn(&Measured) -> f64| {
            median(few.iter().zip(all).map(|(few, one)| figure(one) / figure(few)).collect())
        };
        Self {
            routes,
            time: cost(|one| 1.0 / one.rate),
            envoy: cost(|one| one.envoy_us),
            authorizer: cost(|one| one.authorizer_us),
        }
    }

    fn line(&self) -> String {
        let Self { routes, time, envoy, authorizer } = self;
        format!(
            "  {routes:>6} routes: {time:.2} × the time (Envoy's CPU {envoy:.2} ×, the authorizer's {authorizer:.2} ×)"
        )
    }

    fn figures(&self) -> Value {
        json!({
            "routes": self.routes,
            "cost": rounded(self.time), "envoy_cost": rounded(self.envoy), "authorizer_cost": rounded(self.authorizer),
        })
    }
}

fn with_routes(text: &str, paths: Paths, count: usize) -> String {
    let mut routes = String::from("\nroutes:\n");
    for number in 0..count {
        let _ = writeln!(
            routes,
            "  - {{ name: size-{number:05}, host: api, {}, policy: signed-in, to: legacy, answers: auth }}",
            paths.route(number)
        );
    }
    assert!(text.contains("\nroutes:\n"), "the development edge has its routes in block form");
    text.replacen("\nroutes:\n", &routes, 1)
}

/// The figures of `cargo bench -p authz-service`, unchanged, if it ran.
pub(crate) fn authorizer(path: &Path) -> Finding {
    let figures: Option<Value> = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let said = match &figures {
        None => vec![format!(
            "keys and tenants: {} does not exist; `cargo bench -p authz-service` writes it",
            path.display()
        )],
        Some(figures) => described(figures),
    };
    Finding { key: "authorizer", said, figures: figures.unwrap_or(Value::Null) }
}

/// Every number of a tree of figures, one on each line.
fn described(figures: &Value) -> Vec<String> {
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
