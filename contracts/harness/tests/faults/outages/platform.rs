//! An edge whose services are on PostgreSQL and RabbitMQ, each with a database of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use harness::wire::{Answer, Request};
use harness::{Edge, Port, Process, RabbitMq, eventually_logged, program, repository};
use identity::assertion::Signer;
use kit::testing::PrivatePostgres;
use serde_json::Value;

use super::providers::Providers;

/// `envoy/edges/tenants.yaml` with everything behind it. `tenants` and `notifications` run twice: once behind the edge, and once
/// beside it as a further worker, which a test may kill without a request that fails.
pub(crate) struct Platform {
    pub(crate) edge: Edge,
    pub(crate) postgres: PrivatePostgres,
    pub(crate) broker: Mutex<RabbitMq>,
    pub(crate) providers: Providers,
    admin: Signer,
    start: Start,
    workers: Mutex<Vec<Process>>,
    _behind: Vec<Process>,
    _ports: [Port; 3],
}

/// What the services are started with.
#[derive(Clone)]
struct Start {
    postgres: u16,
    broker: String,
    providers: String,
}

impl Start {
    /// Starts `name` and waits until it is ready. `variables` name its addresses.
    fn start(&self, name: &str, variables: &[(&str, SocketAddr)], log: &str, home: &Path) -> Process {
        let mut command = Command::new(program(name));
        command.current_dir(repository()).env_remove("REDIS_URL");
        command.env("CUTOVER_HOME", home).env("EDGE_NAME", "tenants");
        command.env("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{}/{name}", self.postgres));
        command.env("AMQP_URL", &self.broker).env("SERVICE_EDGE_URL", "http://127.0.0.1:1");
        command.env("FCM_ACCOUNT", home.join("fcm.json")).env("FCM_URL", &self.providers);
        command.env("SES_FROM", "noreply@example.com").env("SES_REGION", "eu-central-1");
        command.env("SES_KEY", home.join("ses")).env("SES_URL", &self.providers);
        for (variable, address) in variables {
            command.env(variable, address.to_string());
        }
        let process = Process::start(name, &mut command, &home.join("logs").join(log));
        eventually_logged(&format!("{log} is ready"), || process.log(), || process.log().contains("ready"));
        process
    }
}

impl Platform {
    pub(crate) fn start() -> Self {
        let (postgres, broker, providers) = (PrivatePostgres::start(), RabbitMq::start(), Providers::start());
        for service in ["tenants", "notifications"] {
            postgres.sql(&format!("CREATE DATABASE {service}"));
        }
        let ports = [Port::lease(), Port::lease(), Port::lease()];
        let [tenants, grpc, notifications] = [0, 1, 2].map(|number: usize| ports[number].address());
        let start = Start { postgres: postgres.port(), broker: broker.url(), providers: providers.url() };
        let (behind, account, first) = (Arc::new(Mutex::new(Vec::new())), providers.account(), start.clone());
        let keep = Arc::clone(&behind);
        let edge = Edge::shipped("tenants")
            .variable("DATABASE_URL", &postgres.url())
            .variable("AMQP_URL", &broker.url())
            // Deadlines have tests of their own: here a busy machine must not look like an outage.
            .replace("timeout_ms: 200", "timeout_ms: 5000")
            .variable("EDGE_NAME", "tenants")
            .variable("TENANTS_ADDRESS", &tenants.to_string())
            .variable("TENANTS_GRPC_ADDRESS", &grpc.to_string())
            .variable("NOTIFICATIONS_ADDRESS", &notifications.to_string())
            .without(harness::Part::Legacy)
            // An authorizer is ready once the tenants service has answered it, so that starts first.
            .prepare(move |home| {
                secret_file::write(&home.join("fcm.json"), account.as_bytes()).expect("the home is writable");
                secret_file::write(&home.join("ses"), b"AKIDEXAMPLE\nsecret\n")
                    .expect("the home is writable");
                let addresses = [("TENANTS_ADDRESS", tenants), ("TENANTS_GRPC_ADDRESS", grpc)];
                let address = [("NOTIFICATIONS_ADDRESS", notifications)];
                *keep.lock().expect("one thread") = vec![
                    first.start("tenants", &addresses, "tenants.log", home),
                    first.start("notifications", &address, "notifications.log", home),
                ];
            })
            .start();
        let admin = Signer::from_file("admin", &edge.home().join("keys/admin.pem")).expect("a key");
        let behind = std::mem::take(&mut *behind.lock().expect("one thread"));
        let platform = Self {
            edge,
            postgres,
            broker: Mutex::new(broker),
            providers,
            admin,
            start,
            workers: Mutex::default(),
            _behind: behind,
            _ports: ports,
        };
        platform.start_workers();
        platform
    }

    /// Starts a further process of `tenants` and one of `notifications`.
    pub(crate) fn start_workers(&self) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let addresses =
            [("TENANTS_ADDRESS", any), ("TENANTS_GRPC_ADDRESS", any), ("NOTIFICATIONS_ADDRESS", any)];
        for (name, log) in [("tenants", "tenants-2.log"), ("notifications", "notifications-2.log")] {
            let worker = self.start.start(name, &addresses, log, self.edge.home());
            self.workers.lock().expect("no thread panicked").push(worker);
        }
    }

    /// SIGKILL for the further processes. The leases of the rows that they had claimed end now: a test has no minute for them.
    pub(crate) fn kill_workers(&self) {
        self.workers.lock().expect("no thread panicked").clear();
        for database in ["tenants", "notifications"] {
            let leases = "UPDATE outbox_events SET next_attempt_at = created_at WHERE processed_at IS NULL AND failed_at IS NULL";
            self.postgres.sql_in(database, leases);
        }
    }

    /// A call on the service listener as the operator's key `admin`. An error is a request that was not answered.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Answer> {
        let caller = identity::Caller::Service("admin".parse().expect("a name"));
        let now = clock::UnixTime::from_seconds(harness::tokens::now());
        let assertion = self.admin.sign(&caller, "tenants", now).expect("it signs");
        Request::new(self.edge.address("EDGE_SERVICE_ADDRESS"), method, path)
            .header("authorization", format!("Bearer {assertion}"))
            .header("content-type", "application/json")
            .body(body.to_string())
            .try_send()
    }

    /// The rows that `query` returns in the database of `service`, each as its columns.
    pub(crate) fn rows(&self, service: &str, query: &str) -> Vec<Vec<String>> {
        let database = if service == "users" { "postgres" } else { service };
        let rows = self.postgres.sql_in(database, query);
        rows.lines().map(|row| row.split('|').map(str::to_owned).collect()).collect()
    }
}
