//! An edge with every service that has a database, all on the same kind of store, and the file host.

use std::net::SocketAddr;
use std::process::Command;

use clock::{Clock as _, SystemClock};
use harness::wire::Request;
use harness::{Edge, Port, Process, eventually, program, repository};
use identity::assertion::Signer;
use identity::{Caller, Service};

use super::FILES;
use super::files;
use super::inputs::Hostile;

const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";
const KEYS: &str = "  users: { keys: \"${CUTOVER_HOME:-.run}/keys/users.jwks.json\" }\n";
const TENANTS: &str = "  tenants: { keys: \"${CUTOVER_HOME:-.run}/keys/tenants.jwks.json\" }\n";

/// Whose identity a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// A person with the role of a bot, who has every right.
    Person,
    /// A service of the platform.
    Service(&'static str),
}

/// What the services show to clients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Surface {
    /// What the shipped development edge has: the legacy backend's.
    Older,
    /// What the OpenAPI documents describe.
    Later,
}

pub(crate) struct Stage {
    pub(crate) edge: Edge,
    signer: Signer,
    beside: Vec<(&'static str, Port, Process)>,
}

impl Surface {
    const fn name(self) -> &'static str {
        match self {
            Self::Older => "older",
            Self::Later => "later",
        }
    }
}

impl Stage {
    /// Starts all of it, on PostgreSQL with a `database`.
    pub(crate) fn start(surface: Surface, database: Option<&str>) -> Self {
        let often = "rate: 100000, seconds: 1, burst: 100000";
        // The limits of the edge would answer most requests otherwise. A busy machine can miss the deadline of a decision, which
        // is a 503.
        let mut edge = Edge::shipped("dev")
            .replace("timeout_ms: 200", "timeout_ms: 5000")
            .replace("rate: 30, seconds: 60, burst: 60", often)
            .replace("rate: 60, seconds: 60, burst: 120", often)
            .replace("rate: 300, seconds: 60, burst: 600", often)
            .replace(KEYS, &format!("{KEYS}{TENANTS}"))
            .variable("LIBRARY_SURFACE", surface.name())
            .variable("USERS_ACTIVITY_SURFACE", surface.name());
        if let Some(url) = database {
            edge = edge.variable("DATABASE_URL", url);
        }
        let edge = edge.start();
        let form = identity::Form { tenant: "tenantId".to_owned(), ..identity::Form::default() };
        let key = edge.home().join("keys/identity.pem");
        let signer = Signer::from_file("dev", &key).expect("a key").in_form(form);
        // The edge's own image service makes pictures up. This one has a directory, which takes uploads.
        let pictures = edge.home().join("pictures");
        files::prepare(&pictures);
        let beside = [("tenants", "TENANTS"), ("notifications", "NOTIFICATIONS"), (FILES, "IMAGE")];
        let beside = beside.map(|(name, prefix)| {
            let (port, grpc) = (Port::lease(), Port::lease());
            let mut command = Command::new(program(name));
            command.current_dir(repository()).env("CUTOVER_HOME", edge.home()).env_remove("DATABASE_URL");
            for store in ["REDIS_URL", "AMQP_URL"] {
                command.env_remove(store);
            }
            command.env(format!("{prefix}_ADDRESS"), port.address().to_string());
            command.env("TENANTS_GRPC_ADDRESS", grpc.address().to_string());
            command.env("IMAGE_ROOT", &pictures).env_remove("IMAGE_STUB");
            command.envs(database.map(|url| ("DATABASE_URL", url)));
            let process =
                Process::start(name, &mut command, &edge.home().join(format!("logs/{name}-beside.log")));
            let ready = Request::new(port.address(), "GET", "/readyz");
            eventually("the service is ready", || ready.try_send().is_ok_and(|answer| answer.status == 200));
            (name, port, process)
        });
        Self { edge, signer, beside: beside.into() }
    }

    /// The address of `service`.
    fn address(&self, service: &str) -> SocketAddr {
        let beside = self.beside.iter().find(|(name, ..)| *name == service);
        beside.map_or_else(
            || {
                self.edge.address(match service {
                    "auth" => "AUTH_ADDRESS",
                    "users" => "USERS_ADDRESS",
                    _ => "LIBRARY_ADDRESS",
                })
            },
            |(_, port, _)| port.address(),
        )
    }

    /// The identity that `service` gets from the edge. It is valid for a minute.
    pub(crate) fn identity(&self, service: &str, caller: As) -> String {
        let signed = match caller {
            As::Person => Caller::Person(identity::Person {
                subject: DEMO.parse().expect("an id"),
                tenant: Some(harness::tokens::DEMO_TENANT.parse().expect("an id")),
                roles: Vec::new(),
                session: Some("00000000-0000-7000-8000-00000000005e".parse().expect("an id")),
                role: Some(identity::Role::BOT),
                scopes: Vec::new(),
            }),
            As::Service(name) => {
                Caller::Service(Service { name: name.parse().expect("a name"), tenant: None })
            }
        };
        self.signer.sign(&signed, service, SystemClock.now()).expect("a signature")
    }

    /// A token of the same person for the edge.
    pub(crate) fn token(&self) -> String {
        self.edge.mint().with(|claims| {
            claims.insert("sub".to_owned(), DEMO.into());
            claims.insert("role".to_owned(), 2.into());
        })
    }

    /// `input` for `service` itself, as the edge would pass it on.
    pub(crate) fn direct(&self, service: &str, caller: As, identity: &str, input: &Hostile) -> Request {
        let request = Request::new(self.address(service), &input.method, &input.target);
        let request = request.header("x-madome-identity", identity);
        let of_tenant = |request: Request| request.header("x-tenant-id", harness::tokens::DEMO_TENANT);
        with(if caller == As::Person { of_tenant(request) } else { request }, input)
    }

    /// `input` for the edge.
    pub(crate) fn through_the_edge(&self, service: &str, token: &str, input: &Hostile) -> Request {
        let host = if service == FILES { "file.dev-domain.test" } else { "localhost" };
        with(self.edge.request(&input.method, &input.target).host(host).token(token), input)
    }

    /// The log of `service`, for a message.
    pub(crate) fn log(&self, service: &str) -> String {
        let name = if self.beside.iter().any(|(name, ..)| *name == service) {
            format!("logs/{service}-beside.log")
        } else {
            format!("logs/{service}.log")
        };
        let text = std::fs::read_to_string(self.edge.home().join(name)).unwrap_or_default();
        let failures = text.lines().filter(|line| line.contains("\"ERROR\""));
        failures.take(5).collect::<Vec<_>>().join("\n")
    }
}

fn with(request: Request, input: &Hostile) -> Request {
    let request = input.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    match &input.body {
        Some(body) => request.body(body),
        None => request,
    }
}
