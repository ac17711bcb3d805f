//! Caller × credential × route × protocol, on an edge that checks every request and on one with leases: each row twice
//! on both. The answers, the backend's requests and the log must be the same, and every request that may be leased must
//! have been.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use harness::tokens::{SUSPENDED_TENANT, claims, now};
use harness::wire::Answer;
use harness::{Backend, Edge, IN_FORCE_WITHIN, Seen, eventually_some, pause};
use serde_json::{Value, json};

const CHECKED: &str = "signed-in: { kind: session }";
const LEASED: &str = "signed-in: { kind: session, lease: { seconds: 25 } }";
const REVOKED: &str = "0192d3c0-0000-7000-8000-0000000000cc";

/// The caller, including the state of their tenant.
const WHO: [&str; 10] = [
    "no session",
    "role 0",
    "role 2",
    "expired",
    "within the leeway",
    "of a session that was revoked",
    "with an unknown signature",
    "of a suspended tenant",
    "of a tenant that is not there",
    "of no tenant",
];
/// How the caller sends the credential.
const OFFER: [&str; 4] = ["cookie", "bearer", "both", "cookie twice"];
const ROUTES: [&str; 8] = [
    "/users/@me",
    "/users/@me/likes?kinds[]=book",
    "/users",
    "/books/1",
    "/auth/token",
    "/open-graph/1",
    "/nowhere",
    "/_/users/1",
];
const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

/// The log fields of a request, except those that differ between any two requests.
const LOGGED: [&str; 8] = ["status", "reason", "subject", "session", "tenant", "route", "policy", "cluster"];

struct Row {
    who: &'static str,
    offer: &'static str,
    route: &'static str,
    method: &'static str,
    claims: Value,
}

impl Row {
    /// Every row, each created at its turn, so that its times are current.
    fn all() -> impl Iterator<Item = Self> {
        // Two credentials are malformed for every caller: one allowed and one denied caller are enough.
        let is_odd = |offer| matches!(offer, "both" | "cookie twice");
        let ways = WHO.iter().flat_map(|who| OFFER.map(|offer| (*who, offer))).filter(move |(who, offer)| {
            !is_odd(*offer) || matches!(*who, "role 0" | "of a session that was revoked")
        });
        let what = || ROUTES.iter().flat_map(|route| METHODS.map(|method| (*route, method)));
        ways.flat_map(move |(who, offer)| {
            what().map(move |(route, method)| Self { who, offer, route, method, claims: about(who) })
        })
    }

    /// Whether a policy with a lease may lease this, when it was allowed.
    fn can_be_leased(&self) -> bool {
        // A token in its leeway has expired, so no lease can rest on it.
        self.method != "POST" && matches!(self.offer, "cookie" | "bearer") && self.who != "within the leeway"
    }

    fn name(&self) -> String {
        format!("{} {}, {} as {}", self.method, self.route, self.who, self.offer)
    }
}

/// Claims of a session for this row alone, so that no row's lease serves another.
#[expect(clippy::indexing_slicing, reason = "the claims of a test are an object")]
fn about(who: &str) -> Value {
    let mut claims = claims(if who == "role 2" { 2 } else { 0 });
    match who {
        "expired" => claims["exp"] = json!(now() - 3_600),
        "within the leeway" => claims["exp"] = json!(now() - 1),
        "of a session that was revoked" => claims["sid"] = json!(REVOKED),
        "of a suspended tenant" => claims["tenantId"] = json!(SUSPENDED_TENANT),
        "of a tenant that is not there" => claims["tenantId"] = json!(uuid::Uuid::now_v7()),
        "of no tenant" => drop(claims.as_object_mut().and_then(|claims| claims.remove("tenantId"))),
        _ => {}
    }
    claims
}

/// One edge and all requests to it.
struct Side {
    edge: Edge,
    backend: Backend,
}

/// The result of one request.
struct Outcome {
    id: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    seen: Option<String>,
}

impl Side {
    #[expect(clippy::expect_used, reason = "a home that cannot be written fails the test")]
    fn start(policy: &str) -> Self {
        let backend = Backend::with(|seen| {
            let head = if seen.request_line().starts_with("HEAD") { "" } else { "seen" };
            format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx-of: backend\r\n\r\n{head}").into_bytes()
        });
        // A busy machine is not an outage: the test compares the results of decisions.
        let edge = Edge::dev()
            .replace(CHECKED, policy)
            .replace("timeout_ms: 200", "timeout_ms: 2000")
            .every_backend(backend.address())
            .start();
        let line = json!({ "sid": REVOKED, "from": 0, "until": now() + 3_600 });
        std::fs::write(edge.home().join("sessions/revoked.jsonl"), format!("{line}\n"))
            .expect("the list is writable");
        pause(IN_FORCE_WITHIN, "the revocation is in force");
        Self { edge, backend }
    }

    fn token(&self, row: &Row) -> String {
        let mint = self.edge.mint();
        let token = mint.sign(&mint.header(), &row.claims);
        match row.who {
            "with an unknown signature" => {
                let (message, _) = token.rsplit_once('.').unwrap_or_default();
                format!("{message}.{}", "A".repeat(86))
            }
            _ => token,
        }
    }

    fn send(&self, row: &Row, token: &str) -> Outcome {
        let id = uuid::Uuid::now_v7().to_string();
        let request = self.edge.request(row.method, row.route).host("api.dev-domain.test");
        let request = request.header("x-request-id", &id);
        let (cookie, bearer) = (format!("madome_access_token={token}"), format!("Bearer {token}"));
        let request = match (row.who, row.offer) {
            ("no session", _) => request,
            (_, "cookie") => request.header("cookie", cookie),
            (_, "bearer") => request.header("authorization", bearer),
            (_, "both") => request.header("cookie", cookie).header("authorization", bearer),
            _ => request.header("cookie", format!("{cookie}; {cookie}")),
        };
        let request = if row.method == "POST" { request.body("{}") } else { request };
        let answer = request.send();
        let last = self.backend.seen().pop().filter(|seen| seen.header("x-request-id").as_ref() == Some(&id));
        let seen = last.map(|seen| received(&seen, token));
        Outcome { status: answer.status, headers: headers(&answer), body: answer.body, seen, id }
    }

    /// The log by request id, once it holds all of `ids`.
    fn log(&self, ids: &[&str]) -> HashMap<String, Value> {
        eventually_some("the log has every request", || {
            let lines = self.edge.access_log(1).into_iter();
            let by_id: HashMap<String, Value> =
                lines.filter_map(|line| Some((line.get("request_id")?.as_str()?.to_owned(), line))).collect();
            ids.iter().all(|id| by_id.contains_key(*id)).then_some(by_id)
        })
    }
}

/// The header lines of an answer, without its own request id and the time.
fn headers(answer: &Answer) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let lines = answer.headers.iter().map(|(name, value)| (text(name), text(value)));
    lines.filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id")).collect()
}

/// What the backend saw, in its order, without the request id and with `TOKEN` for the caller's token.
fn received(seen: &Seen, token: &str) -> String {
    let head = String::from_utf8_lossy(&seen.head).replace(token, "TOKEN");
    let lines = head.lines().filter(|line| !line.starts_with("x-request-id:"));
    format!("{}\n\n{}", lines.collect::<Vec<_>>().join("\n"), String::from_utf8_lossy(&seen.body))
}

/// The same with the claims of the signed identity instead of its text: two edges sign with their own keys, at their
/// own times.
fn told_anywhere(seen: &str) -> String {
    let line = |line: &str| {
        let Some(identity) = line.strip_prefix("x-madome-identity: ") else { return line.to_owned() };
        let claims = identity.split('.').nth(1).unwrap_or_default();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
        let mut claims: serde_json::Map<String, Value> = serde_json::from_slice(&bytes).unwrap_or_default();
        for own in ["iat", "exp", "nbf", "jti"] {
            claims.remove(own);
        }
        format!("x-madome-identity: {}", Value::Object(claims))
    };
    seen.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn leases_change_no_result_for_any_caller_route_or_protocol() {
    let (checked, leased) = (Side::start(CHECKED), Side::start(LEASED));
    until_leases_serve(&leased);
    let mut asked = Vec::new();
    for row in Row::all() {
        let (off, on) = (checked.token(&row), leased.token(&row));
        let twice = [checked.send(&row, &off), checked.send(&row, &off)];
        let first = leased.send(&row, &on);
        let end = Instant::now() + Duration::from_secs(10);
        let mut second = leased.send(&row, &on);
        // A worker that had no time to read the feed checks the request. It is not a fault, so the test repeats the request.
        while row.can_be_leased()
            && first.status == 200
            && row.route != "/open-graph/1"
            && leased.log(&[&second.id]).get(&second.id).is_none_or(|line| line["decision"] != "lease")
            && Instant::now() < end
        {
            second = leased.send(&row, &on);
        }
        asked.push((row, twice, [first, second]));
    }

    let (mut ids_off, mut ids_on) = (Vec::new(), Vec::new());
    for (_, off, on) in &asked {
        ids_off.extend(off.iter().map(|outcome| outcome.id.as_str()));
        ids_on.extend(on.iter().map(|outcome| outcome.id.as_str()));
    }
    let (log_off, log_on) = (checked.log(&ids_off), leased.log(&ids_on));
    let mut faults = Vec::new();
    let mut count = 0;
    for (row, off, on) in &asked {
        let mut check = |what: &str, is: bool, value: &dyn std::fmt::Debug| {
            if !is {
                faults.push(format!("{}: {what}: {value:?}", row.name()));
            }
        };
        let [Some(plain), Some(_), Some(first), Some(second)] =
            [log_off.get(&off[0].id), log_off.get(&off[1].id), log_on.get(&on[0].id), log_on.get(&on[1].id)]
        else {
            check("not in the log", false, &());
            continue;
        };
        for (before, after, which) in [(&off[0], &on[0], "first"), (&off[1], &on[1], "second")] {
            let answers = [before, after]
                .map(|outcome| (outcome.status, outcome.headers.clone(), outcome.body.clone()));
            check(&format!("{which} answer"), answers[0] == answers[1], &answers);
            let seen = [before, after].map(|outcome| outcome.seen.as_deref().map(told_anywhere));
            check(&format!("{which} request"), seen[0] == seen[1], &seen);
        }
        for key in LOGGED {
            let values = (&plain[key], &first[key], &second[key]);
            check(key, plain[key] == first[key] && first[key] == second[key], &values);
        }
        let must = plain["policy"] == "signed-in" && plain["decision"] == "allow" && row.can_be_leased();
        check("the first is checked", first["decision"] == plain["decision"], first);
        check("leased or not", (second["decision"] == "lease") == must, &(must, second));
        if must {
            count += 1;
            check("byte for byte", on[0].seen == on[1].seen, &(&on[0].seen, &on[1].seen));
            check("whose lease", second["lease_of"].is_string(), second);
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    // Five routes, two methods, two ways, two roles.
    assert!(count >= 40, "only {count} of {} rows were leased", asked.len());
}

/// A guard that has just started leases nothing until it has read the feed.
#[expect(clippy::panic, reason = "what does not come in time fails the test")]
fn until_leases_serve(side: &Side) {
    let end = Instant::now() + Duration::from_secs(20);
    let token = side.edge.mint().good(0);
    while side.edge.leased() == 0 {
        if Instant::now() > end {
            panic!("leases do not serve");
        }
        let _ = side.edge.get("/books/1").token(&token).send();
    }
}
