//! Streams of sessions that the edge does not know itself: those of the legacy backend, and opaque tokens. They end within two
//! seconds with what the edge knows of them: the session, the person, the tenant.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use harness::tokens::{DEMO_TENANT, now};
use harness::{Backend, Edge, Part, pause};
use serde_json::{Value, json};
use uuid::Uuid;

use super::live::{Live, serve};

/// The promise.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

const ROUTES: &str = "routes:
  - { name: old, host: api, prefix: /live/old, policy: old, stream: true, to: legacy, answers: library }
  - { name: opaque, host: api, prefix: /live/opaque, policy: signed-in, stream: true, to: legacy, answers: library }
";

fn json_answer(page: &Value) -> Vec<u8> {
    let page = page.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
    format!("{head}{}\r\n\r\n{page}", page.len()).into_bytes()
}

/// The legacy backend's check, and an issuer's introspection: a session and a token are of the person whose id they begin with.
fn knowing() -> Backend {
    Backend::with(|seen| {
        if seen.request_line().starts_with("POST /introspect ") {
            let body = String::from_utf8_lossy(&seen.body).into_owned();
            let token = body.strip_prefix("token=").unwrap_or_default();
            let person = token.split('.').next().unwrap_or_default();
            return json_answer(&json!({
                "active": true, "sub": person, "aud": ["acme-api"], "org": DEMO_TENANT, "sid": format!("of-{person}"),
                "exp": now() + 600,
            }));
        }
        let cookie = seen.header("cookie").unwrap_or_default();
        let person = cookie.strip_prefix("old_session=").unwrap_or_default();
        json_answer(&json!({ "user_id": person.split('.').next().unwrap_or_default() }))
    })
}

fn edge(live: std::net::SocketAddr, knowing: &Backend) -> Edge {
    let own = "  issuer: https://api.dev-domain.test/auth\n  audience: https://api.dev-domain.test\n  keys: { file: \"${CUTOVER_HOME:-.run}/keys/session.jwks.json\" }\n";
    let opaque = format!(
        "  issuers:\n    - {{ issuer: \"https://api.dev-domain.test/auth\", audience: \"https://api.dev-domain.test\", keys: {{ file: \"${{CUTOVER_HOME:-.run}}/keys/session.jwks.json\" }} }}\n    \
         - {{ issuer: \"https://login.acme.test\", audience: acme-api, claims: {{ tenant: org, session: sid }}, required: [tenant], introspection: {{ url: \"http://{}/introspect\", client_id: edge, secret_file: \"${{CUTOVER_HOME:-.run}}/introspection.secret\" }} }}\n",
        knowing.address()
    );
    let old = format!(
        "legacy_sessions:\n  cookie: old_session\n  tenant: {DEMO_TENANT}\n  verify: {{ check: {{ backend: users, path: /auth/token, timeout_ms: 1500 }} }}\n\npolicies:\n  old: {{ kind: session, accept: [legacy-session] }}\n"
    );
    Edge::dev()
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .replace(own, &opaque)
        .replace("  leeway_seconds: 60\n", "")
        .replace("policies:\n", &old)
        .replace("routes:\n", ROUTES)
        .stand_in("LEGACY_ADDRESS", live)
        .stand_in("USERS_ADDRESS", knowing.address())
        .without(Part::Auth)
        .without(Part::Users)
        .prepare(|home| {
            let secret = home.join("introspection.secret");
            std::fs::write(&secret, "secret\n").expect("the home is writable");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&secret, mode).expect("the file is ours");
        })
        .start()
}

/// The streams of a person: by a legacy session and by an opaque token.
fn streams(edge: &Edge, person: &str) -> [Live; 2] {
    let begin = |path: &str, header: String| Live::begin(edge, path, &header).expect("the stream begins");
    [
        begin("/live/old/events", format!("cookie: old_session={person}.x\r\n")),
        begin("/live/opaque/events", format!("authorization: Bearer {person}.x\r\n")),
    ]
}

#[test]
fn they_end_with_their_person_and_with_their_tenant_and_no_others_do() {
    let (server, knowing) = (serve(), knowing());
    let edge = edge(server.address(), &knowing);
    let (leaver, signing_out, other) =
        (Uuid::now_v7().to_string(), Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let mut leaves = streams(&edge, &leaver);
    let mut signs_out = streams(&edge, &signing_out);
    let mut stays = streams(&edge, &other);
    pause(ENDED_WITHIN, "nothing ends, and all streams are open for longer than any poll takes");
    for all in [&mut leaves, &mut signs_out, &mut stays] {
        assert!(all.iter_mut().all(Live::is_open));
    }
    let until = now() + 3_600;
    let lines = [
        json!({ "sub": leaver, "before": now() + 1, "until": until }),
        // A legacy session without an id has none that can be ended.
        json!({ "sid": format!("of-{signing_out}"), "from": 0, "until": until }),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let list = edge.home().join("sessions/revoked.jsonl");
    std::fs::write(list, text).expect("the list is writable");
    pause(ENDED_WITHIN, "the promise");
    assert_eq!(leaves.each_mut().map(Live::is_open), [false, false], "all of a person's");
    assert_eq!(signs_out.each_mut().map(Live::is_open), [true, false], "the session of the opaque token");
    assert_eq!(stays.each_mut().map(Live::is_open), [true, true]);

    let directory = edge.home().join("tenants.yaml");
    let tenants = std::fs::read_to_string(&directory).expect("the directory is there");
    let suspended = tenants.replacen("status: active", "status: suspended", 1);
    std::fs::write(&directory, suspended).expect("it is writable");
    pause(ENDED_WITHIN, "the promise");
    assert_eq!(stays.each_mut().map(Live::is_open), [false, false], "all of the tenant's");
}
