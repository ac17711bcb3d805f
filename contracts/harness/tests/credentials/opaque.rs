//! Opaque bearer tokens through Envoy: an issuer of the test's own describes them (RFC 7662).
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::tokens::{DEMO_TENANT, Mint, now};
use harness::wire::Answer;
use harness::{Backend, Edge, eventually};
use serde_json::{Value, json};

const TOKEN: &str = "ory_at_6vJb.2lQ_opaque";
const SECRET: &str = "the-secret-of-the-edge";

/// An issuer that knows one token, until the test has it forget it.
struct Issuer {
    server: Backend,
    active: Arc<AtomicBool>,
    /// From then on it closes every connection without an answer.
    gone: Arc<AtomicBool>,
}

impl Issuer {
    fn start() -> Self {
        let active = Arc::new(AtomicBool::new(true));
        let gone = Arc::new(AtomicBool::new(false));
        let (known, ended) = (Arc::clone(&active), Arc::clone(&gone));
        let server = Backend::with(move |seen| {
            if ended.load(Ordering::Relaxed) {
                return Vec::new();
            }
            let body = String::from_utf8_lossy(&seen.body).into_owned();
            let is_known = body == format!("token={TOKEN}") && known.load(Ordering::Relaxed);
            let page = if is_known {
                json!({
                    "active": true, "sub": "auth0|ada", "aud": ["acme-api"], "org": DEMO_TENANT, "sid": "s-1",
                    "scope": "orders.read", "exp": now() + 600, "client_id": "app",
                })
            } else {
                json!({ "active": false })
            }
            .to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
            format!("{head}{}\r\n\r\n{page}", page.len()).into_bytes()
        });
        Self { server, active, gone }
    }

    fn settings(&self) -> String {
        format!(
            "    - {{ issuer: \"https://login.acme.test\", audience: acme-api, claims: {{ tenant: org, session: sid }}, required: [tenant], introspection: {{ url: \"http://{}/introspect\", client_id: edge, secret_file: \"${{CUTOVER_HOME:-.run}}/introspection.secret\", cache_ms: 500 }} }}\n",
            self.server.address()
        )
    }
}

/// The edge `dev` with `issuer` beside its own one.
fn edge_with(backend: &Backend, issuer: &Issuer) -> Edge {
    let own = "  issuer: https://api.dev-domain.test/auth\n  audience: https://api.dev-domain.test\n  keys: { file: \"${CUTOVER_HOME:-.run}/keys/session.jwks.json\" }\n";
    let list = format!(
        "  issuers:\n    - {{ issuer: \"https://api.dev-domain.test/auth\", audience: \"https://api.dev-domain.test\", keys: {{ file: \"${{CUTOVER_HOME:-.run}}/keys/session.jwks.json\" }} }}\n{}",
        issuer.settings()
    );
    let edge = Edge::dev()
        .replace(own, &list)
        .replace("  leeway_seconds: 60\n", "")
        .with_open_route()
        .every_backend(backend.address())
        .start();
    let secret = edge.home().join("introspection.secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    edge
}

fn ask(edge: &Edge, token: &str) -> Answer {
    edge.get("/users/@me").header("authorization", format!("Bearer {token}")).send()
}

#[test]
fn an_opaque_token_passes_as_its_issuer_describes_it_and_ends_with_its_revocation() {
    let (backend, issuer) = (Backend::plain(), Issuer::start());
    let edge = edge_with(&backend, &issuer);
    eventually("the token passes", || ask(&edge, TOKEN).status == 200);
    let seen = backend.last();
    for (name, value) in [
        ("x-madome-auth-sub", "auth0|ada"),
        ("x-madome-auth-sid", "s-1"),
        ("x-madome-auth-scope", "orders.read"),
        ("x-tenant-id", DEMO_TENANT),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
    // The credential reaches the backend as it came, and the endpoint sees nothing else of the request.
    assert_eq!(seen.header("authorization").as_deref(), Some(format!("Bearer {TOKEN}").as_str()));
    let query = issuer.server.last();
    assert!(query.request_line().starts_with("POST /introspect "), "{}", query.request_line());
    assert_eq!(query.header("authorization").as_deref(), Some("Basic ZWRnZTp0aGUtc2VjcmV0LW9mLXRoZS1lZGdl"));
    assert_eq!(query.header("x-request-id"), None);
    assert_eq!(ask(&edge, "made-up").status, 401);
    assert_eq!(
        edge.get("/users/@me").token(&Mint::of(edge.home()).good(0)).send().status,
        200,
        "signed tokens pass"
    );
    issuer.active.store(false, Ordering::Relaxed);
    eventually("the revoked token is refused", || ask(&edge, TOKEN).status == 401);
    for log in ["access.json", "authz.log", "envoy.log"] {
        let text = std::fs::read_to_string(edge.home().join("logs").join(log)).unwrap_or_default();
        assert!(!text.contains(TOKEN) && !text.contains(SECRET), "{log} holds a secret");
    }
}

#[test]
fn an_endpoint_that_is_gone_costs_opaque_tokens_alone_through_envoy() {
    let (backend, issuer) = (Backend::plain(), Issuer::start());
    let edge = edge_with(&backend, &issuer);
    eventually("the token passes", || ask(&edge, TOKEN).status == 200);
    issuer.gone.store(true, Ordering::Relaxed);
    eventually("its answer is used no longer", || ask(&edge, TOKEN).status == 503);
    for _ in 0..20 {
        assert_eq!(ask(&edge, TOKEN).status, 503, "never 401");
        assert_eq!(
            edge.get("/users/@me").token(&Mint::of(edge.home()).good(0)).send().status,
            200,
            "signed tokens pass"
        );
    }
}

/// An explanation sends no token to another machine unless it is asked to.
#[test]
fn explain_says_that_only_the_endpoint_knows_an_opaque_token() {
    let (backend, issuer) = (Backend::plain(), Issuer::start());
    let edge = edge_with(&backend, &issuer);
    let file = edge.home().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let (edge_file, file) = (edge.file().display().to_string(), file.display().to_string());
    let explain = |more: &[&str]| {
        let mut program = edge.cutover_program();
        program.args(["explain", &edge_file, "GET http://api.dev-domain.test/users/@me", "--json"]);
        let output = program.args(["--token-file", &file]).args(more).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, report, said) = explain(&[]);
    assert!(code == Some(1) && said.contains("--fetch"), "{code:?} {said}");
    assert_eq!(report["decision"], "not known", "{report}");
    assert!(report["not_known"].to_string().contains("https://login.acme.test"), "{report}");
    assert!(report["token"].to_string().contains("only the introspection endpoint"), "{report}");
    assert!(issuer.server.seen().is_empty(), "no query without --fetch");

    let (code, report, said) = explain(&["--fetch"]);
    assert!(code == Some(0), "{said}");
    assert_eq!((&report["decision"], &report["subject"]), (&json!("allow"), &json!("auth0|ada")), "{report}");
    let outcome = |check: &str| {
        let all = report["token"].as_array().unwrap();
        all.iter().find(|one| one["check"] == check).map(|one| one["outcome"].clone()).unwrap_or_default()
    };
    for (check, expected) in [
        ("size", "passed"),
        ("active", "passed"),
        ("issuer", "absent"),
        ("audience", "passed"),
        ("exp", "passed"),
        ("tenant", "passed"),
        ("roles", "absent"),
    ] {
        assert_eq!(outcome(check), expected, "{check}: {report}");
    }
    assert!(!report.to_string().contains(TOKEN));
    issuer.active.store(false, Ordering::Relaxed);
    let (_, report, _) = explain(&["--fetch"]);
    assert_eq!(
        (&report["reason"], &report["token"][1]["outcome"]),
        (&json!("token_inactive"), &json!("token_inactive"))
    );
}
