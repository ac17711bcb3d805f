//! What a decision costs: microseconds and allocations from Envoy's question to the answer, in process; then the
//! real program: its memory, and how many checks it answers beside a service that does nothing.
//!
//! `cargo bench -p authz-service --profile fast` prints a table and writes `target/bench/authorizer.json`, whose
//! names docs/authorizer-benchmarks.md explains; `-- keys` (or `decisions`, `program`) behind it measures a part alone and writes
//! nothing. Every case is measured once in each round, so that a busy moment meets all of
//! them; medians over the rounds count. Allocations are exact. Times are the processor's, not the clock's: what others
//! do on the machine takes turns away, and those are not counted.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on should stop"
)]

#[path = "decision/cpu.rs"]
mod cpu;
#[path = "decision/keys.rs"]
mod keys;
#[path = "decision/load.rs"]
mod load;
#[path = "decision/program.rs"]
mod program;
#[path = "decision/report.rs"]
mod report;

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

use authz_service::envoy::question::Question;
use authz_service::envoy::service::Checks;
use authz_service::startup::{self, needs::Needs};
use bytes::Bytes;
use clock::{ManualClock, UnixTime};
use edge_config::Edge;
use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, SocketAddress, address::Address as Kind,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use identity::Caller;
use identity::assertion::Signer;
use prost::Message as _;
use report::{Report, Samples};
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const TENANT: &str = "00000000-0000-7000-8000-000000000001";
const SUBJECT: &str = "0192d3c0-0000-7000-8000-0000000000aa";
const SESSION: &str = "0192d3c0-0000-7000-8000-0000000000bb";
const ISSUER: &str = "https://api.test/auth";
const AUDIENCE: &str = "https://api.test";

/// As many decisions make one time: below the resolution of nothing, above the noise of one.
const BATCH: usize = 1_000;
/// Odd, so that there is a middle one.
const ROUNDS: usize = 15;
/// Directories of tenants that are compared.
const FEW: usize = 10;
/// With the tenant of the mapped issuer, as many as a directory may list.
const MANY: usize = 999_999;

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
identity: { subject: x-auth-subject, session: x-auth-session, role: x-auth-role, scopes: x-auth-scopes, tenant: x-tenant-id, signed: x-auth-identity, gateway: x-auth-gateway, public: x-auth-public }
sessions:
  cookie: access_token
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

/// The mapping of [`Bench::mapped`].
const MAPPING: &str =
    "{ subject: sub, tenant: org_id, session: sid, roles: realm_access.roles, scopes: scope }";

/// What a token of that issuer says beside the usual claims.
fn mapped_claims() -> serde_json::Value {
    json!({
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "org_id": "org_9ybsU1dN2dKfDkBi", "sid": "c1d7a0de-1",
        "realm_access": { "roles": ["offline_access", "admin", "default-roles-acme"] }, "scope": "openid profile email",
        "tenantId": null, "role": null,
    })
}

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
        Self::edited(tenants, |edge| edge)
    }

    /// An authorizer for the tokens of another company: each claim is mapped, ids are texts, and roles are names.
    fn mapped() -> Self {
        Self::edited(FEW, |edge| {
            edge.replacen("  revocations:", &format!("  claims: {MAPPING}\n  revocations:"), 1).replacen(
                "role: 1, scopes: [books.read]",
                "roles: { any: [support, admin] }, scopes: [openid]",
                1,
            )
        })
    }

    fn edited(tenants: usize, edit: impl Fn(String) -> String) -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let session = mint::Es256::generate("session-1");
        std::fs::write(at("session.jwks.json"), session.jwks()).unwrap();
        mint::Ed25519::generate(&at("identity.pem"));
        let auth = mint::Ed25519::generate(&at("auth.pem"));
        std::fs::write(at("auth.jwks.json"), auth.jwks()).unwrap();
        // As JSON, which is YAML too and read in a fraction of the time.
        let mut listing = String::from("{\"tenants\":[");
        for number in 1..=tenants {
            let comma = if number == 1 { "" } else { "," };
            let id = format!("00000000-0000-7000-8000-{number:012x}");
            let _ = write!(listing, r#"{comma}{{"id":"{id}","name":"T{number}","status":"active"}}"#);
        }
        listing.push_str(r#",{"id":"org_9ybsU1dN2dKfDkBi","status":"active"}]}"#);
        std::fs::write(at("tenants.yaml"), listing).unwrap();
        let text = edit(EDGE.replace("HOME", home.path().to_str().unwrap()));
        let edge = edge_config::parse(Path::new("bench.yaml"), &text, &|_| None)
            .unwrap_or_else(|faults| panic!("{faults}"));
        let needs = Needs {
            identity_key: at("identity.pem"),
            token_cache: 100_000,
            identity_cache: 20_000,
            revocations: authz_service::session::revocations::ROOM,
            introspection: authz_service::credential::opaque::Queries::Made,
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
        self.request(route, "cookie", &format!("theme=dark; access_token={token}; lang=ko"))
    }

    /// Decides about everything in `requests`, from the bytes that Envoy sends to those that it gets: microseconds and
    /// allocations for each.
    fn batch(&self, requests: &[CheckRequest], expected: &str) -> (f64, f64) {
        let requests: Vec<Bytes> = requests.iter().map(|request| request.encode_to_vec().into()).collect();
        let count = u32::try_from(requests.len()).unwrap();
        self.runtime.block_on(async {
            let mut kept = Vec::with_capacity(requests.len());
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let started = cpu::of_this_thread();
            for request in requests {
                let question = Question::decode(request).unwrap();
                kept.push(black_box(self.checks.answer(&question).await));
            }
            let time = cpu::of_this_thread() - started;
            let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
            for answer in kept {
                let answer = CheckResponse::decode(answer.as_slice()).unwrap();
                assert_eq!(answer.status.unwrap().message, expected);
            }
            #[expect(clippy::cast_precision_loss, reason = "a count of allocations")]
            let allocations = allocations as f64 / f64::from(count);
            (time.as_secs_f64() * 1e6 / f64::from(count), allocations)
        })
    }
}

/// One thing to measure: makes the questions of a batch, which is not measured, and knows their answer.
struct Case<'b> {
    name: &'static str,
    bench: &'b Bench,
    expected: &'static str,
    make: Box<dyn FnMut() -> Vec<CheckRequest> + 'b>,
}

impl Case<'_> {
    fn round(&mut self) -> (f64, f64) {
        self.bench.batch(&(self.make)(), self.expected)
    }
}

/// Questions of a thousand sessions, spread over all tenants: what one session has in the processor's cache
/// another has not.
fn spread(bench: &Bench, tenants: usize) -> Vec<CheckRequest> {
    let session = |number: usize| {
        let tenant = 1 + number * (tenants / BATCH).max(1) % tenants;
        let changes = json!({
            "tenantId": format!("00000000-0000-7000-8000-{tenant:012x}"),
            "sid": format!("0192d3c0-0000-7000-8000-{number:012x}"),
            "sub": format!("0192d3c0-0000-7000-8001-{number:012x}"),
        });
        bench.with_token("me", &bench.session.token(&mint::claims_with(&changes)))
    };
    (0..BATCH).map(session).collect()
}

fn main() {
    if let Some(address) = load::asked_to_do_nothing() {
        load::do_nothing(address);
        return;
    }
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|word| word == part);
    let mut report = Report::default();
    if is_asked("decisions") {
        in_process(&mut report);
    }
    if is_asked("keys") {
        keys::measure(&mut report);
    }
    if is_asked("program") {
        program::measure(&mut report);
    }
    report.finish(asked.is_empty());
}

fn in_process(report: &mut Report) {
    let few = Bench::new(FEW);
    eprintln!("loading {MANY} tenants");
    let many = Bench::new(MANY);

    let mapped = Bench::mapped();
    let mapped_token = mapped.session.token(&mint::claims_with(&mapped_claims()));
    let token = few.session.token(&mint::claims());
    let same = |request: CheckRequest| Box::new(move || vec![request.clone(); BATCH]);
    let mut number = 0;
    let first_seen = || {
        let fresh = |_| {
            number += 1;
            let token = few.session.token(&mint::claims_with(&json!({ "jti": number.to_string() })));
            few.with_token("me", &token)
        };
        (0..BATCH / 5).map(fresh).collect()
    };
    let signer = Signer::from_file("auth", &few.home.path().join("auth.pem")).unwrap();
    let caller = Caller::Service("auth".parse().unwrap());
    let assertion = signer.sign(&caller, "bench", UnixTime::from_seconds(NOW)).unwrap();
    let service = few.request("lookup", "authorization", &format!("Bearer {assertion}"));
    let (of_few, of_many) = (spread(&few, FEW), spread(&many, MANY));

    let case = |name, bench, expected, make| Case { name, bench, expected, make };
    let mut cases = [
        case("decision", &few, "", same(few.with_token("me", &token))),
        case("decision_mapped", &mapped, "", same(mapped.with_token("me", &mapped_token))),
        case("decision_with_limits", &few, "", same(few.with_token("limited", &token))),
        case("first_seen", &few, "", Box::new(first_seen)),
        case("service_assertion", &few, "", same(service)),
        case("refusal", &few, "no_credential", same(few.request("me", "accept", "*/*"))),
        case("tenants_10", &few, "", Box::new(|| of_few.clone())),
        case("tenants_1000000", &many, "", Box::new(|| of_many.clone())),
    ];
    let mut samples: Vec<(Samples, Samples)> = cases.iter().map(|_| Default::default()).collect();
    for round in 0..=ROUNDS {
        for (case, (times, allocations)) in cases.iter_mut().zip(&mut samples) {
            let (time, count) = case.round();
            // The first round fills caches and does not count.
            if round > 0 {
                times.push(time);
                allocations.push(count);
            }
        }
    }
    for (case, (times, allocations)) in cases.iter().zip(&samples) {
        report.measured(&format!("{}_us", case.name), times);
        report.measured(&format!("{}_allocations", case.name), allocations);
    }
    let of = |name: &str| {
        let position = cases.iter().position(|case| case.name == name).expect("a case of that name");
        &samples[position].0
    };
    report.measured("tenants_ratio", &of("tenants_1000000").over(of("tenants_10")));
}
