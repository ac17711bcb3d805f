//! An edge with every service on its later surface, and the exchanges so far.

use std::process::Command;

use harness::wire::{Answer, Request};
use harness::{Edge, Port, Process, SESSION_COOKIE, eventually, program, repository};
use identity::assertion::Signer;
use serde_json::{Value, json};

use crate::pictures;

const KEYS: &str = "  users: { keys: \"${CUTOVER_HOME:-.run}/keys/users.jwks.json\" }\n";
const MORE_KEYS: &str = "  tenants: { keys: \"${CUTOVER_HOME:-.run}/keys/tenants.jwks.json\" }
  admin: { keys: \"${CUTOVER_HOME:-.run}/keys/admin.jwks.json\", permissions: [tenants.write] }
  sync: { keys: \"${CUTOVER_HOME:-.run}/keys/sync.jwks.json\", permissions: [books.write] }
";
const POLICIES: &str =
    "service_tokens: { issuer: \"https://api.dev-domain.test/auth\", keys: \"${CUTOVER_HOME:-.run}/keys/service-token.jwks.json\" }

policies:
  tenant-management: { kind: internal, services: [admin], permissions: [tenants.write] }
  removal: { kind: internal, services: [tenants] }
  book-writing: { kind: internal, services: [sync], permissions: [books.write] }
";
/// The routes of the shipped edges `tenants` and `sync` between services.
const ROUTES: &str = "routes:
  - { name: tenants, host: service, prefix: /_/tenants, policy: tenant-management, to: tenants, answers: auth }
  - { name: users-removal, host: service, prefix: /_/users/tenants, methods: [PUT, DELETE], policy: removal, to: users, answers: users }
  - { name: books-writing, host: service, exact: /_/books, methods: [PUT], policy: book-writing, to: library, answers: library }
  - { name: service-token, host: service, exact: /_/auth/service-token, methods: [POST], policy: public, to: auth, answers: auth }
";

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
    _tenants: (Port, Port, Process),
    _image: (Port, Process),
}

impl Run {
    /// Starts all of it, on PostgreSQL with a `database`.
    pub(crate) fn start(database: Option<&str>) -> Self {
        let (tenants, grpc, image) = (Port::lease(), Port::lease(), Port::lease());
        let backend = format!("backends:\n  tenants: {{ address: \"{}\" }}\n", tenants.address());
        let mut edge = Edge::shipped("dev")
            // A busy machine can miss the deadline of a decision, which is a 503.
            .replace("timeout_ms: 200", "timeout_ms: 5000")
            .replace(KEYS, &format!("{KEYS}{MORE_KEYS}"))
            .replace("policies:\n", POLICIES)
            .replace("backends:\n", &backend)
            .replace("routes:\n", ROUTES)
            .stand_in("IMAGE_ADDRESS", image.address())
            .variable("LIBRARY_SURFACE", "later")
            .variable("USERS_ACTIVITY_SURFACE", "later");
        if let Some(url) = database {
            edge = edge.variable("DATABASE_URL", url);
        }
        let edge = edge.start();
        let picture_service = pictures::start(&edge, &image);
        let mut command = Command::new(program("tenants"));
        command.current_dir(repository()).env("CUTOVER_HOME", edge.home()).env_remove("DATABASE_URL");
        command.env_remove("REDIS_URL").env_remove("AMQP_URL");
        command.env("TENANTS_ADDRESS", tenants.address().to_string());
        command.env("TENANTS_GRPC_ADDRESS", grpc.address().to_string());
        command.env("SERVICE_EDGE_URL", format!("http://{}", edge.address("EDGE_SERVICE_ADDRESS")));
        command.envs(database.map(|url| ("DATABASE_URL", url)));
        let process = Process::start("tenants", &mut command, &edge.home().join("logs/tenants.log"));
        let ready = Request::new(tenants.address(), "GET", "/readyz");
        eventually("the tenants service is ready", || {
            ready.try_send().is_ok_and(|answer| answer.status == 200)
        });
        Self { edge, shown: Vec::new(), _tenants: (tenants, grpc, process), _image: (image, picture_service) }
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
