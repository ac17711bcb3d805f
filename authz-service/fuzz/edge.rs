//! One fixed edge for every target.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use authz_service::envoy::service::Checks;
use authz_service::startup::{self, needs::Needs};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clock::{Clock, ManualClock, UnixTime};
use edge_config::Edge;
use serde_json::json;

pub(crate) const NOW: u64 = 1_800_000_000;

const EDGE: &str = r#"
edge: fuzz
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
  cookie: t
  bearer: true
  issuer: https://api.test/auth
  audience: https://api.test
  keys: { file: "${HOME_DIR}/session.jwks.json" }
api_keys: { header: x-api-key, file: "${HOME_DIR}/api-keys.jsonl" }
signatures: { keys: "${HOME_DIR}/signing-keys.yaml" }
services: { auth: { keys: "${HOME_DIR}/session.jwks.json" } }
tenants: { file: "${HOME_DIR}/tenants.yaml" }
policies:
  signed-in: { kind: session }
  either: { kind: session, accept: [session, api-key], tenant: { path_segment: 2 } }
  lookup: { kind: internal }
  sync: { kind: signed, keys: [k], addresses: [192.0.2.0/24] }
limits:
  address: { per: address, rate: 1000000, seconds: 1 }
answers:
  users:
    unauthenticated: { status: 401, body: Unauthorized }
    forbidden: { status: 403, body: Permission denied }
    not_found: { status: 404, body: Not found }
    unavailable: { status: 503, body: Service unavailable }
routes:
  - { name: me, host: api, exact: /users/@me, policy: signed-in, to: users, answers: users }
  - { name: any, host: api, prefix: /any, policy: either, to: users, answers: users, limits: [address] }
  - { name: sync, host: api, prefix: /sync, policy: sync, to: users, answers: users }
  - { name: lookup, host: service, prefix: /_/users, policy: lookup, to: users, answers: users }
"#;

static HOME: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let home = tempfile::tempdir().expect("a directory");
    let pair = session_key();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": x });
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key has a form");
    let begin = "-----BEGIN PRIVATE KEY-----";
    let pem = format!("{begin}\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let tenants = "tenants: [{ id: 00000000-0000-7000-8000-000000000001, name: T, status: active }]";
    let signing = "keys: { k: { service: auth, alg: ed25519, public_keys: session.jwks.json } }";
    for (name, content) in [
        ("session.jwks.json", json!({ "keys": [jwk] }).to_string()),
        ("identity.pem", pem),
        ("tenants.yaml", tenants.to_owned()),
        ("api-keys.jsonl", String::new()),
        ("signing-keys.yaml", signing.to_owned()),
    ] {
        let file = home.path().join(name);
        std::fs::write(&file, content).expect("the directory is writable");
        // A private key is for its owner alone.
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("the file is this process's own");
    }
    home
});

static FIXED: LazyLock<Edge> = LazyLock::new(|| {
    let home = HOME.path().display().to_string();
    let environment = |name: &str| (name == "HOME_DIR").then(|| home.clone());
    edge_config::parse(Path::new("fuzz.yaml"), EDGE, &environment).unwrap_or_else(|faults| panic!("{faults}"))
});

/// The edge.
pub(crate) fn edge() -> &'static Edge {
    &FIXED
}

/// The key of sessions: the same in every run, so that what a run finds can be found again.
pub(crate) fn session_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed is a key")
}

/// An authorizer for the edge, and what must live as long as it.
#[allow(dead_code, reason = "not every target asks one")]
pub(crate) fn checks() -> (Checks, Box<dyn std::any::Any + Send>) {
    let needs = Needs {
        identity_key: HOME.path().join("identity.pem"),
        token_cache: 100,
        identity_cache: 100,
        revocations: 100,
        introspection: authz_service::credential::opaque::Queries::Made,
        leases: true,
        dropped_log_lines: startup::dropped_log_lines().expect("a metric's name"),
        redis: None,
    };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixTime::from_seconds(NOW)));
    let assembled = startup::assemble(edge(), &needs, &clock).expect("a valid edge");
    let (checks, _admin, _urls, _push, watchers) = assembled.into_parts();
    (checks, Box::new(watchers))
}
