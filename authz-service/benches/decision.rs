//! What a decision costs: microseconds and allocations, from Envoy's question to the answer, in process.
//!
//! `cargo bench -p authz-service --profile fast` prints a table and writes `target/bench/decision.json`. Times are
//! the median of batches, so that a busy machine disturbs them little; allocations are exact.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on should stop"
)]

#[path = "../tests/authorizer/kit/mint.rs"]
#[expect(dead_code, reason = "the tests mint more")]
mod mint;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use authz_service::envoy::service::Checks;
use authz_service::startup::{self, Needs};
use clock::{ManualClock, UnixTime};
use edge_config::Edge;
use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, SocketAddress, address::Address as Kind,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization as _;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use identity::Caller;
use identity::assertion::Signer;
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const TENANT: &str = "00000000-0000-7000-8000-000000000001";
const SUBJECT: &str = "0192d3c0-0000-7000-8000-0000000000aa";
const SESSION: &str = "0192d3c0-0000-7000-8000-0000000000bb";
const ISSUER: &str = "https://api.test/auth";
const AUDIENCE: &str = "https://api.test";

/// As many decisions make one time: below the resolution of nothing, above the noise of one.
const BATCH: usize = 1_000;
const BATCHES: usize = 15;

const EDGE: &str = r#"
edge: bench
root_domain: example.test
listeners:
  public: { address: "127.0.0.1:8080", exposure: public }
  service: { address: "127.0.0.1:8081", exposure: internal }
admin: "127.0.0.1:9901"
authorizer: { address: "127.0.0.1:9191" }
hosts:
  api: { listener: public, names: [api.example.test] }
  service: { listener: service, names: ["*"] }
backends:
  users: { address: "127.0.0.1:3022" }
reserved_headers: { prefixes: [x-madome-, x-forwarded-, x-envoy-], names: [x-tenant-id] }
sessions:
  cookie: madome_access_token
  bearer: true
  issuer: https://api.test/auth
  audience: https://api.test
  keys: { file: "HOME/session.jwks.json" }
  revocations: "HOME/revoked.jsonl"
services: { auth: { keys: "HOME/auth.jwks.json" } }
tenants: { file: "HOME/tenants.yaml" }
policies:
  signed-in: { kind: session, role: 1, scopes: [books.read] }
  lookup: { kind: internal, services: [auth] }
limits:
  person: { per: subject, rate: 1000000, seconds: 1 }
  address: { per: address, rate: 1000000, seconds: 1 }
answers:
  users:
    unauthenticated: { status: 401, body: Unauthorized }
    forbidden: { status: 403, body: Permission denied }
    not_found: { status: 404, body: Not found }
    unavailable: { status: 503, body: Service unavailable }
routes:
  - { name: me, host: api, exact: /users/@me, policy: signed-in, to: users, answers: users }
  - { name: limited, host: api, prefix: /limited, policy: signed-in, to: users, answers: users, limits: [person, address] }
  - { name: lookup, host: service, prefix: /_/users, policy: lookup, to: users, answers: users }
"#;

/// Counts allocations; the memory is mimalloc's, as in the program.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by nature; this one only counts")]
// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the same promises.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.realloc(pointer, layout, size) }
    }
}

struct Bench {
    home: tempfile::TempDir,
    checks: Checks,
    edge: Edge,
    session: mint::Es256,
    runtime: tokio::runtime::Runtime,
    _watchers: Box<dyn std::any::Any>,
}

impl Bench {
    /// An authorizer with `tenants` tenants.
    fn new(tenants: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let session = mint::Es256::generate("session-1");
        std::fs::write(at("session.jwks.json"), session.jwks()).unwrap();
        mint::Ed25519::generate(&at("identity.pem"));
        let auth = mint::Ed25519::generate(&at("auth.pem"));
        std::fs::write(at("auth.jwks.json"), auth.jwks()).unwrap();
        let mut listing = String::from("tenants:\n");
        for number in 1..=tenants {
            let _ = writeln!(
                listing,
                "  - {{ id: 00000000-0000-7000-8000-{number:012x}, name: T{number}, status: active }}"
            );
        }
        std::fs::write(at("tenants.yaml"), listing).unwrap();
        let text = EDGE.replace("HOME", home.path().to_str().unwrap());
        let edge = edge_config::parse(Path::new("bench.yaml"), &text, &|_| None)
            .unwrap_or_else(|faults| panic!("{faults}"));
        let needs = Needs {
            identity_key: at("identity.pem"),
            token_cache: 100_000,
            identity_cache: 20_000,
            leases: true,
            dropped_log_lines: startup::dropped_log_lines().unwrap(),
            redis: None,
        };
        let clock: Arc<dyn clock::Clock> = Arc::new(ManualClock::at(UnixTime::from_seconds(NOW)));
        let (checks, _admin, _urls, _push, watchers) =
            startup::assemble(&edge, &needs, &clock).unwrap().into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { home, checks, edge, session, runtime, _watchers: Box::new(watchers) }
    }

    fn request(&self, route: &str, name: &str, value: &str) -> CheckRequest {
        let (policy, exposure) =
            if route == "lookup" { ("lookup", "internal") } else { ("signed-in", "public") };
        let header = |key: &str, value: &str| HeaderValue {
            key: key.to_owned(),
            value: String::new(),
            raw_value: value.as_bytes().to_vec(),
        };
        let headers =
            vec![header("x-request-id", "0192d3c0-0000-7000-8000-0000000000ee"), header(name, value)];
        let extensions = [
            ("route", route),
            ("policy", policy),
            ("revision", &self.edge.revision.0),
            ("exposure", exposure),
        ];
        let socket = SocketAddress { address: "192.0.2.1".to_owned(), ..SocketAddress::default() };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    address: Some(Address { address: Some(Kind::SocketAddress(socket)) }),
                    ..Peer::default()
                }),
                request: Some(Request {
                    time: None,
                    http: Some(HttpRequest {
                        method: "GET".to_owned(),
                        path: "/users/@me".to_owned(),
                        host: "api.example.test".to_owned(),
                        header_map: Some(HeaderMap { headers }),
                        ..HttpRequest::default()
                    }),
                }),
                context_extensions: extensions
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .into_iter()
                    .collect::<HashMap<_, _>>(),
                ..AttributeContext::default()
            }),
        }
    }

    fn with_token(&self, route: &str, token: &str) -> CheckRequest {
        self.request(route, "cookie", &format!("theme=dark; madome_access_token={token}; lang=ko"))
    }

    /// Decides about everything in `requests`: microseconds and allocations for each.
    fn batch(&self, requests: Vec<CheckRequest>, expected: &str) -> (f64, f64) {
        let requests: Vec<_> = requests.into_iter().map(tonic::Request::new).collect();
        let count = u32::try_from(requests.len()).unwrap();
        self.runtime.block_on(async {
            let mut kept = Vec::with_capacity(requests.len());
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let started = Instant::now();
            for request in requests {
                kept.push(black_box(self.checks.check(request).await));
            }
            let time = started.elapsed();
            let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
            for answer in kept {
                let message = answer.unwrap().into_inner().status.unwrap().message;
                assert_eq!(message, expected);
            }
            #[expect(clippy::cast_precision_loss, reason = "a count of allocations")]
            let allocations = allocations as f64 / f64::from(count);
            (time.as_secs_f64() * 1e6 / f64::from(count), allocations)
        })
    }

    /// The medians over batches, each made by `make`.
    fn measure(&self, expected: &str, mut make: impl FnMut() -> Vec<CheckRequest>) -> (f64, f64) {
        self.batch(make(), expected);
        let mut times = Vec::new();
        let mut allocations = Vec::new();
        for _ in 0..BATCHES {
            let (time, count) = self.batch(make(), expected);
            times.push(time);
            allocations.push(count);
        }
        times.sort_by(f64::total_cmp);
        allocations.sort_by(f64::total_cmp);
        (times[BATCHES / 2], allocations[BATCHES / 2])
    }
}

struct Row {
    what: &'static str,
    micros: f64,
    allocations: f64,
    target_micros: Option<f64>,
    target_allocations: Option<f64>,
}

fn main() {
    let mut rows = Vec::new();
    let mut row = |what, (micros, allocations), target_micros, target_allocations| {
        rows.push(Row { what, micros, allocations, target_micros, target_allocations });
    };
    let same = |request: CheckRequest| move || vec![request.clone(); BATCH];

    let bench = Bench::new(10);
    let token = bench.session.token(&mint::claims());
    let warm = bench.measure("", same(bench.with_token("me", &token)));
    row("warm session, 10 tenants", warm, Some(20.0), Some(100.0));
    let limited = bench.measure("", same(bench.with_token("limited", &token)));
    row("warm session, two local limits", limited, Some(20.0), Some(100.0));
    let mut number = 0;
    let first = bench.measure("", || {
        let fresh = |_| {
            number += 1;
            let token = bench.session.token(&mint::claims_with(&json!({ "jti": number.to_string() })));
            bench.with_token("me", &token)
        };
        (0..BATCH / 5).map(fresh).collect()
    });
    row("first-seen ES256 token", first, Some(120.0), None);
    let signer = Signer::from_file("auth", &bench.home.path().join("auth.pem")).unwrap();
    let caller = Caller::Service("auth".parse().unwrap());
    let assertion = signer.sign(&caller, "bench", UnixTime::from_seconds(NOW)).unwrap();
    let request = bench.request("lookup", "authorization", &format!("Bearer {assertion}"));
    row("service assertion (Ed25519, verified each time)", bench.measure("", same(request)), None, None);
    let nobody = bench.measure("no_credential", same(bench.request("me", "accept", "*/*")));
    row("nobody: 401", nobody, None, None);

    let many = Bench::new(10_000);
    let token = many.session.token(&mint::claims());
    let warm = many.measure("", same(many.with_token("me", &token)));
    row("warm session, 10,000 tenants", warm, Some(20.0), Some(100.0));
    report(&rows);
}

fn report(rows: &[Row]) {
    println!("{:<50} {:>10} {:>12}  target", "decision, question to answer", "µs", "allocations");
    let mut all = Vec::new();
    for Row { what, micros, allocations, target_micros, target_allocations } in rows {
        let within = target_micros.is_none_or(|most| *micros <= most)
            && target_allocations.is_none_or(|most| *allocations <= most);
        let target = match (target_micros, target_allocations) {
            (Some(micros), Some(allocations)) => format!("≤ {micros} µs, ≤ {allocations}"),
            (Some(micros), None) => format!("≤ {micros} µs"),
            (None, _) => String::new(),
        };
        let mark = if within { "" } else { "  MISSED" };
        println!("{what:<50} {micros:>10.2} {allocations:>12.1}  {target}{mark}");
        all.push(json!({
            "what": what,
            "micros": (micros * 100.0).round() / 100.0,
            "allocations": allocations,
            "target_micros": target_micros,
            "target_allocations": target_allocations,
            "within": within,
        }));
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&directory).expect("the target directory is writable");
    let text = format!("{:#}\n", json!({ "decision": all }));
    std::fs::write(directory.join("decision.json"), text).expect("the target directory is writable");
}
