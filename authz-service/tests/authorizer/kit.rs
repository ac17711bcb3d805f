//! An edge, its keys, an authorizer that serves it, and a client that asks like Envoy.

pub(crate) mod check;
pub(crate) mod leases;
pub(crate) mod mint;
pub(crate) mod tenants;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authz_service::server::{self, Listeners, Patience};
use authz_service::startup::{self, needs::Needs};
use clock::{Clock, ManualClock, UnixTime};
use edge_config::Edge;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use self::mint::{Ed25519, Es256};

pub(crate) use harness::{eventually_async as eventually, pause_async, within_async};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const TENANT: &str = "00000000-0000-7000-8000-000000000001";
pub(crate) const SUSPENDED: &str = "00000000-0000-7000-8000-000000000002";
pub(crate) const UNLISTED: &str = "00000000-0000-7000-8000-000000000003";
pub(crate) const SUBJECT: &str = "0192d3c0-0000-7000-8000-0000000000aa";
pub(crate) const SESSION: &str = "0192d3c0-0000-7000-8000-0000000000bb";
pub(crate) const COOKIE: &str = "access_token";
pub(crate) const ISSUER: &str = "https://api.test/auth";
pub(crate) const AUDIENCE: &str = "https://api.test";

const EDGE: &str = r#"
edge: test
root_domain: example.test
listeners:
  public: { address: "127.0.0.1:8080", exposure: public }
  service: { address: "127.0.0.1:8081", exposure: internal }
admin: "127.0.0.1:9901"
authorizer: { address: "127.0.0.1:9191", timeout_ms: 200 }
hosts:
  api: { listener: public, names: [api.example.test] }
  service: { listener: service, names: ["*"] }
backends:
  legacy: { address: "127.0.0.1:3000" }
  users: { address: "127.0.0.1:3022" }
identity: { subject: x-auth-subject, session: x-auth-session, role: x-auth-role, scopes: x-auth-scopes, tenant: x-tenant-id, signed: x-auth-identity, gateway: x-auth-gateway, public: x-auth-public }
sessions:
  cookie: access_token
  bearer: true
  issuer: https://api.test/auth
  audience: https://api.test
  keys: { file: "${HOME_DIR}/session.jwks.json" }
  leeway_seconds: 60
  revocations: "${HOME_DIR}/revoked.jsonl"
services:
  auth: { keys: "${HOME_DIR}/auth.jwks.json" }
  sync: { keys: "${HOME_DIR}/sync.jwks.json" }
tenants: { file: "${HOME_DIR}/tenants.yaml" }
policies:
  public: { kind: public }
  signed-in: { kind: session }
  bot: { kind: session, role: 2 }
  reader: { kind: session, scopes: [books.read, books.list] }
  lookup: { kind: internal, services: [auth] }
  any-service: { kind: internal }
answers:
  users:
    unauthenticated: { status: 401, body: Unauthoirzed }
    forbidden: { status: 403, body: Permission Denied }
    not_found: { status: 404, body: Not found }
    unavailable: { status: 503, body: Service unavailable }
  library:
    content_type: application/json; charset=utf-8
    unauthenticated: { status: 401, body: '{"name":"Unauthorized","message":"Unauthorized"}' }
    forbidden: { status: 403, body: '{"name":"Permission denied","message":"Permission denied"}' }
    not_found: { status: 404, body: '{"name":"Not found resource","message":"Not found"}' }
    unavailable: { status: 503, body: '{"name":"Service unavailable","message":"Service unavailable"}' }
routes:
  - { name: me, host: api, exact: /users/@me, policy: signed-in, to: users, answers: users }
  - { name: create, host: api, exact: /users, methods: [POST], policy: bot, to: users, answers: users }
  - { name: books, host: api, prefix: /books, policy: signed-in, to: legacy, answers: library }
  - { name: shelf, host: api, prefix: /shelf, policy: reader, to: legacy, answers: library }
  - { name: open, host: api, prefix: /open, policy: public, to: legacy, answers: users }
  - { name: lookup, host: service, prefix: /_/users, policy: lookup, to: users, answers: users }
  - { name: events, host: service, prefix: /_/events, policy: any-service, to: users, answers: library }
"#;

/// A directory with keys, tenants and an edge file.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    pub(crate) session: Es256,
    pub(crate) identity: Ed25519,
    pub(crate) auth: Ed25519,
    pub(crate) sync: Ed25519,
    /// `REDIS_URL`.
    pub(crate) redis: Option<String>,
    /// Whether allows may be used again.
    pub(crate) leases: bool,
}

impl Home {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let home = Self {
            session: Es256::generate("session-1"),
            identity: Ed25519::generate(&at("identity.pem")),
            auth: Ed25519::generate(&at("auth.pem")),
            sync: Ed25519::generate(&at("sync.pem")),
            redis: None,
            leases: true,
            directory,
        };
        home.write("session.jwks.json", &home.session.jwks());
        home.write("identity.jwks.json", &home.identity.jwks());
        home.write("auth.jwks.json", &home.auth.jwks());
        home.write("sync.jwks.json", &home.sync.jwks());
        home.list_tenant("active");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file as a careful writer does: beside it, then renamed over it.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let next = self.at(&format!(".{name}.next"));
        std::fs::write(&next, content).unwrap();
        std::fs::rename(&next, self.at(name)).unwrap();
    }

    pub(crate) fn list_tenant(&self, status: &str) {
        self.write(
            "tenants.yaml",
            &format!(
                "tenants:\n  - {{ id: {TENANT}, name: Demo, status: {status} }}\n  - {{ id: {SUSPENDED}, name: Former, status: suspended }}\n"
            ),
        );
    }

    pub(crate) fn revoke(&self, session: &str, from: u64, until: u64) {
        use std::io::Write as _;
        let path = self.at("revoked.jsonl");
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{{\"sid\":\"{session}\",\"from\":{from},\"until\":{until}}}").unwrap();
    }

    /// The edge file's text, after `edit`.
    pub(crate) fn edge_text(&self, edit: impl Fn(String) -> String) -> String {
        edit(EDGE.replace("${HOME_DIR}", self.path().to_str().unwrap()))
    }

    pub(crate) fn edge(&self, edit: impl Fn(String) -> String) -> Edge {
        edge_config::parse(Path::new("test.yaml"), &self.edge_text(edit), &|_| None)
            .unwrap_or_else(|faults| panic!("{faults}"))
    }

    pub(crate) fn needs(&self) -> Needs {
        Needs {
            identity_key: self.at("identity.pem"),
            token_cache: 1_000,
            identity_cache: 1_000,
            revocations: 1_000,
            introspection: authz_service::credential::opaque::Queries::Made,
            leases: self.leases,
            dropped_log_lines: startup::dropped_log_lines().unwrap(),
            redis: self.redis.clone().map(authz_service::settings::RedisUrl),
        }
    }
}

/// An authorizer that serves, and a client to it.
pub(crate) struct Authz {
    pub(crate) home: Home,
    pub(crate) clock: ManualClock,
    pub(crate) revision: String,
    pub(crate) client: AuthorizationClient<Channel>,
    pub(crate) admin: SocketAddr,
    pub(crate) checks: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    _audit: authz_service::observe::audit::Sinks,
    serving: JoinHandle<Result<(), server::ServeError>>,
}

impl Authz {
    pub(crate) async fn start() -> Self {
        Self::start_with(Home::new(), |edge| edge).await
    }

    pub(crate) async fn start_with(home: Home, edit: impl Fn(String) -> String) -> Self {
        let clock = ManualClock::at(UnixTime::from_seconds(NOW));
        Self::start_at(home, edit, clock.clone(), Arc::new(clock)).await
    }

    /// Starts with `ticking` as the service's clock; `clock` is what the test moves.
    pub(crate) async fn start_at(
        home: Home,
        edit: impl Fn(String) -> String,
        clock: ManualClock,
        ticking: Arc<dyn Clock>,
    ) -> Self {
        let edge = home.edge(edit);
        let assembled = startup::assemble(&edge, &home.needs(), &ticking).unwrap();
        let audit = assembled.open_audit(&home.at("audit.jsonl"), None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = Listeners::bind(any, any, None).await.unwrap();
        let checks = listeners.checks.local_addr().unwrap();
        let admin = listeners.admin.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let end_of = async {
            let _ = ended.await;
        };
        let patience = Patience { notice: Duration::ZERO, drain: Duration::from_secs(5) };
        let serving = tokio::spawn(server::serve(assembled, listeners, patience, end_of));
        let client = AuthorizationClient::connect(format!("http://{checks}")).await.unwrap();
        let revision = edge.revision.0.clone();
        Self { home, clock, revision, client, admin, checks, end: Some(end), _audit: audit, serving }
    }

    /// Asks for the end and waits for it.
    pub(crate) async fn stop(mut self) -> Result<(), server::ServeError> {
        let _ = self.end.take().unwrap().send(());
        drop(self.client);
        self.serving.await.unwrap()
    }

    /// A GET on the admin interface: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.admin)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// A token as the auth service issues it.
    pub(crate) fn token(&self) -> String {
        self.home.session.token(&mint::claims())
    }
}
