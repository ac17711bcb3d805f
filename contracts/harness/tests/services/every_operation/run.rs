//! An edge with every service on its later surface, and the exchanges so far.

use std::net::SocketAddr;
use std::process::Command;

use harness::wire::{Answer, Request};
use harness::{Backend, Edge, Port, Process, SESSION_COOKIE, eventually, program, repository};
use identity::assertion::Signer;
use serde_json::{Value, json};

use crate::whole_set::pictures;

const KEYS: &str = "  users: { keys: \"${CUTOVER_HOME:-.run}/keys/users.jwks.json\" }\n";
const MORE_KEYS: &str = "  tenants: { keys: \"${CUTOVER_HOME:-.run}/keys/tenants.jwks.json\" }
  admin: { keys: \"${CUTOVER_HOME:-.run}/keys/admin.jwks.json\", permissions: [tenants.write, messages.send, messages.repair] }
  sync: { keys: \"${CUTOVER_HOME:-.run}/keys/sync.jwks.json\", permissions: [books.write] }
";
const POLICIES: &str =
    "service_tokens: { issuer: \"https://api.dev-domain.test/auth\", keys: \"${CUTOVER_HOME:-.run}/keys/service-token.jwks.json\" }

policies:
  tenant-management: { kind: internal, services: [admin], permissions: [tenants.write] }
  removal: { kind: internal, services: [tenants] }
  book-writing: { kind: internal, services: [sync], permissions: [books.write] }
  messages: { kind: internal, services: [admin], permissions: [messages.send] }
  repair: { kind: internal, services: [admin], permissions: [messages.repair] }
";
/// The routes of the shipped edges `tenants` and `sync` between services.
const ROUTES: &str = "routes:
  - { name: tenants, host: service, prefix: /_/tenants, policy: tenant-management, to: tenants, answers: auth }
  - { name: users-removal, host: service, prefix: /_/users/tenants, methods: [PUT, DELETE], policy: removal, to: users, answers: users }
  - { name: auth-removal, host: service, prefix: /_/auth/tenants, methods: [PUT, DELETE], policy: removal, to: auth, answers: auth }
  - { name: notifications-removal, host: service, prefix: /_/notifications/tenants, methods: [PUT, DELETE], policy: removal, to: notifications, answers: auth }
  - { name: books-writing, host: service, exact: /_/books, methods: [PUT], policy: book-writing, to: library, answers: library }
  - { name: messages, host: service, exact: /_/notifications/messages, methods: [POST], policy: messages, to: notifications, answers: auth }
  - { name: notifications, host: service, prefix: /_/notifications, policy: repair, to: notifications, answers: auth }
  - { name: service-token, host: service, exact: /_/auth/service-token, methods: [POST], policy: public, to: auth, answers: auth }
";

/// How a provider of letters refuses one for good.
const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\nx-amzn-errortype: MessageRejected\r\ncontent-length: 16\r\n\r\n{\"message\":\"no\"}";

/// The host of pictures.
const FILES: &str = "file.dev-domain.test";

/// Who sends a request.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    /// A client without a session.
    Anyone,
    /// A person with this `Cookie`.
    Person(&'a str),
    /// A person with the role of a bot, with this `Cookie`.
    Bot(&'a str),
    /// A service, with an assertion that it signs.
    Service(&'static str),
}

/// What the page shows of an exchange.
pub(crate) struct Shown {
    pub(crate) operation: &'static str,
    pub(crate) caller: String,
    pub(crate) status: u16,
}

/// One good request.
pub(crate) struct Good<'a> {
    /// The operation, as the document writes it.
    pub(crate) operation: &'static str,
    pub(crate) by: By<'a>,
    /// Path and query.
    pub(crate) target: &'a str,
    /// The body; empty for none.
    pub(crate) body: &'a str,
    pub(crate) status: u16,
}

pub(crate) struct Run {
    pub(crate) edge: Edge,
    pub(crate) shown: Vec<Shown>,
    _beside: [Process; 3],
    _ports: [Port; 4],
    _letters: Backend,
}

impl Run {
    /// Starts all of it, on PostgreSQL with a `database`.
    pub(crate) fn start(database: Option<&str>) -> Self {
        let ports = [(); 4].map(|()| Port::lease());
        let [image, tenants, grpc, notifications] = ports.each_ref().map(Port::address);
        let backends = format!(
            "backends:\n  tenants: {{ address: \"{tenants}\" }}\n  notifications: {{ address: \"{notifications}\" }}\n"
        );
        let mut edge = Edge::shipped("dev")
            // A busy machine can miss the deadline of a decision, which is a 503.
            .replace("timeout_ms: 200", "timeout_ms: 5000")
            .replace(KEYS, &format!("{KEYS}{MORE_KEYS}"))
            .replace("policies:\n", POLICIES)
            .replace("backends:\n", &backends)
            .replace("routes:\n", ROUTES)
            .stand_in("IMAGE_ADDRESS", image)
            .variable("LIBRARY_SURFACE", "later")
            .variable("USERS_ACTIVITY_SURFACE", "later");
        if let Some(url) = database {
            edge = edge.variable("DATABASE_URL", url);
        }
        let edge = edge.start();
        let pictures = pictures::start(&edge, &ports[0]);
        let service_edge = format!("http://{}", edge.address("EDGE_SERVICE_ADDRESS"));
        let tenants = beside(
            &edge,
            database,
            "tenants",
            tenants,
            &[
                ("TENANTS_ADDRESS", &tenants.to_string()),
                ("TENANTS_GRPC_ADDRESS", &grpc.to_string()),
                ("SERVICE_EDGE_URL", &service_edge),
            ],
        );
        let letters = Backend::answering(REFUSED);
        let key = edge.home().join("keys/ses");
        secret_file::write(&key, b"AKIDEXAMPLE\nsecret\n").expect("the home is writable");
        let notifications = beside(
            &edge,
            database,
            "notifications",
            notifications,
            &[
                ("NOTIFICATIONS_ADDRESS", &notifications.to_string()),
                ("SES_FROM", "noreply@example.com"),
                ("SES_KEY", &key.display().to_string()),
                ("SES_REGION", "eu-central-1"),
                ("SES_URL", &format!("http://{}", letters.address())),
            ],
        );
        let beside = [pictures, tenants, notifications];
        Self { edge, shown: Vec::new(), _beside: beside, _ports: ports, _letters: letters }
    }

    /// Sends a good request with a body of JSON, and keeps it for the page.
    pub(crate) fn send(&mut self, good: &Good<'_>) -> Answer {
        let kind = if good.body.is_empty() { "" } else { "application/json" };
        self.send_as(good, kind)
    }

    /// Sends a good request whose body is of this `kind`.
    pub(crate) fn send_as(&mut self, good: &Good<'_>, kind: &str) -> Answer {
        let Good { operation, by, target, body, status } = good;
        let (method, template) = operation.split_once(' ').expect("a method and a path");
        assert!(is_of(template, target), "{target} is not {template}");
        let request = if template.starts_with("/_/") {
            Request::new(self.edge.address("EDGE_SERVICE_ADDRESS"), method, target)
        } else {
            self.edge.request(method, target)
        };
        let request = if template.starts_with("/image/") { request.host(FILES) } else { request };
        let (request, caller) = match *by {
            By::Anyone => (request, "anyone".to_owned()),
            By::Person(cookies) => (request.header("cookie", cookies), "a person".to_owned()),
            By::Bot(cookies) => (request.header("cookie", cookies), "a bot".to_owned()),
            By::Service(name) => {
                let assertion = self.assertion(name, "dev");
                (request.header("authorization", format!("Bearer {assertion}")), format!("service `{name}`"))
            }
        };
        let request = if kind.is_empty() { request } else { request.header("content-type", kind).body(body) };
        let answer = request.send();
        assert_eq!(answer.status, *status, "{operation}: {method} {target}: {answer:?}");
        if !self.shown.iter().any(|one| one.operation == *operation) {
            self.shown.push(Shown { operation, caller, status: *status });
        }
        answer
    }

    /// What the service `name` signs for `audience`.
    pub(crate) fn assertion(&self, name: &str, audience: &str) -> String {
        let caller = identity::Caller::Service(name.parse().expect("a name"));
        let pem = self.edge.home().join("keys").join(format!("{name}.pem"));
        let signer = Signer::from_file(name, &pem).expect("a key");
        let now = clock::UnixTime::from_seconds(harness::tokens::now());
        signer.sign(&caller, audience, now).expect("it signs")
    }

    /// Signs in with a code from the mail, and returns the `Cookie` of the session.
    pub(crate) fn sign_in(&mut self, email: &str) -> String {
        let body = json!({ "email": email });
        self.public("POST /auth/code", &body, 201);
        let code = self.edge.login_code(email);
        let answer = self.public("POST /auth/token", &json!({ "email": email, "code": code }), 201);
        cookies(&answer)
    }

    fn public(&mut self, operation: &'static str, body: &Value, status: u16) -> Answer {
        let target = operation.split_once(' ').map(|(_, path)| path).expect("a path");
        self.send(&Good { operation, by: By::Anyone, target, body: &body.to_string(), status })
    }
}

/// Starts a service that the edge's own test set-up does not know, and waits until it is ready.
fn beside(
    edge: &Edge,
    database: Option<&str>,
    name: &'static str,
    address: SocketAddr,
    settings: &[(&str, &str)],
) -> Process {
    let mut command = Command::new(program(name));
    command.current_dir(repository()).env("CUTOVER_HOME", edge.home()).envs(settings.iter().copied());
    for store in ["REDIS_URL", "AMQP_URL", "DATABASE_URL"] {
        command.env_remove(store);
    }
    command.envs(database.map(|url| ("DATABASE_URL", url)));
    let process = Process::start(name, &mut command, &edge.home().join(format!("logs/{name}.log")));
    let ready = Request::new(address, "GET", "/readyz");
    eventually("the service is ready", || ready.try_send().is_ok_and(|answer| answer.status == 200));
    process
}

/// Both cookies of an answer that begins a session.
pub(crate) fn cookies(answer: &Answer) -> String {
    let pair = |name: &str| format!("{name}={}", answer.cookie(name).expect("a session"));
    format!("{}; {}", pair(SESSION_COOKIE), pair("madome_refresh_token"))
}

/// Whether the path of `target` is of `template`, whose names in braces stand for any segment.
pub(crate) fn is_of(template: &str, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let (names, values) = (template.split('/'), path.split('/'));
    names.clone().count() == values.clone().count()
        && names.zip(values).all(|(name, value)| name == value || name.starts_with('{') && !value.is_empty())
}
