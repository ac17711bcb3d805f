//! The services behind the edge, next to the legacy sample behind the same edge: the same requests of the same person, once
//! answered by the services and once by the sample, in turns.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use harness::tokens::DEMO_TENANT;
use harness::{Edge, Part};
use serde_json::{Map, Value, json};

use crate::leases;
use crate::load::steady::{self, Ask, Plan, Steady};
use crate::load::{Measured, Protocol, measure, wrk};
use crate::progress::Progress;
use crate::results::{Finding, median, rounded};
use crate::sessions::Sessions;
use crate::stage::{changed, target_of};
use crate::variants::Form;
use crate::watch::peak_mib;

/// The compared requests.
const COMPARED: [(&str, &str); 2] = [("me", "/users/@me"), ("book", "/books/1")];

/// Their routes in the development edge, as the services have them.
const MOVED: [(&str, &str); 2] = [
    ("exact: /users/@me, policy: signed-in, to: users,", "to: users"),
    ("prefix: /books, policy: signed-in, to: library,", "to: library"),
];

/// What each person of the crowd requests, one after another.
const MIXED: [&str; 5] =
    ["/users/@me", "/books/1", "/books?per-page=10", "/books?tags[]=misc-full-color&per-page=10", "/books/2"];

/// People of the crowd, each with a session and a connection.
const PEOPLE: u32 = 10_000;

/// The person who signs in. The sample has this person alone, because it searches its people one by one.
const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";

/// People at once, of the figure "500 concurrent".
const CONCURRENT: u32 = 500;

/// Measures the services against the sample, and a crowd of people at the services.
pub(crate) fn services(
    directory: &Path,
    (rounds, duration): (usize, Duration),
    progress: &Progress,
) -> Finding {
    progress.say(&format!("starting the services with {PEOPLE} people, and the legacy sample"));
    let people = directory.join("people.json");
    std::fs::write(&people, crowd()).expect("the directory is writable");
    let one = directory.join("legacy-people.json");
    std::fs::write(
        &one,
        json!([{ "id": DEMO, "email": "demo@example.com", "name": "demo", "role": 0,
        "created_at": "2022-01-31T17:12:00Z", "updated_at": "2022-01-31T17:12:00Z" }])
        .to_string(),
    )
    .expect("the directory is writable");
    let people = [("USERS_SEED", people.as_path()), ("LEGACY_PEOPLE", one.as_path())];
    let mut new = Stand::start(true, people, &directory.join("sessions-new"));
    let mut legacy = Stand::start(false, people, &directory.join("sessions-legacy"));
    let mut said =
        vec!["the services behind the edge, against the legacy sample behind the same edge:".to_owned()];
    let mut figures = Map::new();
    for (key, path) in COMPARED {
        let _ = (legacy.measure(path, Duration::from_secs(1)), new.measure(path, Duration::from_secs(1)));
        let pairs: Vec<(Measured, Measured)> = (0..rounds)
            .map(|round| {
                let pair = (legacy.measure(path, duration), new.measure(path, duration));
                progress.round(&format!("{round}/{rounds} legacy {path}"), &pair.0);
                progress.round(&format!("{round}/{rounds} new {path}"), &pair.1);
                pair
            })
            .collect();
        let of = |figure: fn(&(Measured, Measured)) -> f64| median(pairs.iter().map(figure).collect());
        let (ratio, rate, before) = (of(|(l, n)| n.rate / l.rate), of(|(_, n)| n.rate), of(|(l, _)| l.rate));
        let many = new.concurrent(path, rate / 2.0, duration);
        let full = new.saturated(path, duration);
        said.push(format!(
            "  GET {path}: {ratio:.1} × ({rate:.0} requests/s, the sample {before:.0})\n    {CONCURRENT} people at once, {:.0} \
             requests/s: p95 {:.1} ms; each with the next request at once: p95 {full:.1} ms",
            many.rate, many.p95_ms
        ));
        figures.insert(
            key.to_owned(),
            json!({ "ratio": rounded(ratio), "rate": rounded(rate), "legacy_rate": rounded(before), "p95_ms_500": rounded(many.p95_ms), "p95_ms_saturated": rounded(full) }),
        );
    }
    drop(legacy);
    let (crowd_said, crowd_figures) = new.crowd(progress);
    said.push(crowd_said);
    figures.insert("crowd".to_owned(), crowd_figures);
    for (key, part) in [("users", Part::Users), ("library", Part::Library)] {
        let mib = peak_mib(new.edge.part(part).id());
        said.push(format!("  {key}: at most {mib:.1} MiB"));
        figures.insert(format!("{key}_mib"), json!(rounded(mib)));
    }
    Finding { key: "services", said, figures: figures.into() }
}

/// An edge whose routes of [`COMPARED`] go to the services, or to the sample, and a person who signed in.
struct Stand {
    edge: Edge,
    sessions: Sessions,
}

impl Stand {
    fn start(moved: bool, people: [(&str, &Path); 2], sessions: &Path) -> Self {
        let file = harness::repository().join("envoy/edges/dev.yaml");
        let text = std::fs::read_to_string(file).expect("the edge file is readable");
        let mut edited = leases::with_leases(&text);
        for (route, to) in MOVED {
            let at = if moved { to } else { "to: legacy" };
            edited = changed(&edited, route, &route.replace(to, at));
        }
        let circuit = "circuit: { connections: 20000, requests: 20000 }";
        for backend in ["users", "library"] {
            let name = backend.to_uppercase();
            let address = format!("  {backend}: {{ address: \"${{{name}_ADDRESS:-");
            edited =
                changed(&edited, &address, &address.replace("{ address", &format!("{{ {circuit}, address")));
        }
        // The sample freezes its clock and records requests for tests alone.
        let edge = Edge::shipped("dev")
            .replace(&text, &edited)
            .variable("CUTOVER_GUARD", &Form::Native.guard().display().to_string())
            .variable("LEGACY_WIRE", "0");
        let edge = people
            .into_iter()
            .fold(edge, |edge, (variable, file)| edge.variable(variable, &file.display().to_string()))
            .start();
        let token = sign_in(&edge);
        Self { edge, sessions: Sessions::of(vec![token], sessions.to_owned()) }
    }

    fn measure(&mut self, path: &str, duration: Duration) -> Measured {
        measure(target_of(&mut self.edge), Protocol::H1, path, &self.sessions, duration)
    }

    /// [`CONCURRENT`] people over as many connections, together at `rate`.
    fn concurrent(&self, path: &str, rate: f64, duration: Duration) -> Steady {
        let (address, token) = (self.edge.public(), self.sessions.first().to_owned());
        let asks = vec![Ask { path: path.to_owned(), token }];
        steady::run(&Plan { address, asks, rate, duration, connections: CONCURRENT })
    }

    /// The 95th percentile in milliseconds while [`CONCURRENT`] requests are always in progress: then it is the time that the
    /// machine takes for as many requests, whatever their order.
    fn saturated(&self, path: &str, duration: Duration) -> f64 {
        wrk::run_with(CONCURRENT, "http", self.edge.public(), path, &self.sessions, duration).p95_ms
    }

    /// [`PEOPLE`] people over as many connections, together at half of the highest rate of their mixed requests.
    fn crowd(&mut self, progress: &Progress) -> (String, Value) {
        progress.say(&format!("{PEOPLE} people, each with a connection"));
        let mint = self.edge.mint();
        let asks: Vec<Ask> = (0..PEOPLE)
            .zip(MIXED.iter().cycle())
            .map(|(number, path)| Ask {
                path: (*path).to_owned(),
                token: mint.with(|claims| {
                    claims.insert("sub".to_owned(), json!(person(number)));
                    claims.insert("sid".to_owned(), json!(person(number)));
                }),
            })
            .collect();
        // The slowest of the mixed requests bounds the rate.
        let full = MIXED
            .map(|path| self.measure(path, Duration::from_secs(2)).rate)
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        let rate = full / 2.0;
        let seen = steady::run(&Plan {
            address: self.edge.public(),
            asks,
            rate,
            // Everybody sends three requests at least.
            duration: Duration::from_secs_f64((3.0 * f64::from(PEOPLE) / rate).max(10.0)),
            connections: PEOPLE,
        });
        #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
        let errors = seen.errors as f64 / seen.requests.max(1) as f64;
        let said = format!(
            "  {PEOPLE} people at once, {:.0} mixed requests/s: errors {:.3} %, p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms",
            seen.rate,
            100.0 * errors,
            seen.p50_ms,
            seen.p95_ms,
            seen.p99_ms,
        );
        let said = if seen.faults.is_empty() { said } else { format!("{said}; {:?}", seen.faults) };
        let figures = json!({
            "people": PEOPLE, "requests": seen.requests, "requests_per_second": rounded(seen.rate), "errors": rounded(errors),
            "p50_ms": rounded(seen.p50_ms), "p95_ms": rounded(seen.p95_ms), "p99_ms": rounded(seen.p99_ms),
        });
        (said, figures)
    }
}

/// The people of the crowd and the one who signs in, as the users service reads them at its start.
fn crowd() -> String {
    let mut text = format!(
        "{{\"people\":[{{\"id\":\"{DEMO}\",\"name\":\"Demo\",\"handle\":\"demo\",\"email\":\"demo@example.com\",\"role\":0,\"tenant\":\"{DEMO_TENANT}\"}}"
    );
    for number in 0..PEOPLE {
        let _ = write!(
            text,
            ",{{\"id\":\"{}\",\"name\":\"Person {number}\",\"handle\":\"person-{number}\",\"email\":\"person-{number}@example.com\",\"role\":0,\"tenant\":\"{DEMO_TENANT}\"}}",
            person(number)
        );
    }
    text + "]}"
}

/// The id of a person of the crowd.
fn person(number: u32) -> String {
    format!("00000001-0000-7000-8000-{number:012x}")
}

/// Signs in as `demo`: the sample accepts only a session that the auth service knows.
fn sign_in(edge: &Edge) -> String {
    let post = |path: &str, body: Value| {
        edge.request("POST", path).header("content-type", "application/json").body(body.to_string()).send()
    };
    let sent = post("/auth/code", json!({ "email": "demo@example.com" }));
    assert_eq!(sent.status, 201, "no code: {sent:?}");
    let code = edge.login_code("demo@example.com");
    let answer = post("/auth/token", json!({ "email": "demo@example.com", "code": code }));
    answer.cookie(harness::SESSION_COOKIE).expect("a session")
}
