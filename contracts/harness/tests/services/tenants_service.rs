//! The tenants service behind an edge: a change of a tenant reaches every authorizer by push, and the edge goes on with what it
//! knows while the service is gone.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use harness::tokens::DEMO_TENANT;
use harness::wire::{Answer, Request};
use harness::{Edge, Port, Process, Redis, eventually, program, repository};
use serde_json::{Value, json};

const OTHER: &str = "00000000-0000-7000-8000-0000000000f1";

/// How the tenants service is started.
#[derive(Clone)]
struct Service {
    address: SocketAddr,
    grpc: SocketAddr,
    edge_url: String,
    redis: String,
}

impl Service {
    fn start(&self, home: &Path) -> Process {
        let mut command = Command::new(program("tenants"));
        command.current_dir(repository()).env_remove("DATABASE_URL").env_remove("AMQP_URL");
        command.env("CUTOVER_HOME", home).env("REDIS_URL", &self.redis);
        command.env("TENANTS_ADDRESS", self.address.to_string());
        command.env("TENANTS_GRPC_ADDRESS", self.grpc.to_string());
        command.env("SERVICE_EDGE_URL", &self.edge_url);
        let process = Process::start("tenants", &mut command, &home.join("logs/tenants.log"));
        let ready = Request::new(self.address, "GET", "/readyz");
        eventually("the tenants service is ready", || {
            ready.try_send().is_ok_and(|answer| answer.status == 200)
        });
        process
    }
}

fn notifications(home: &Path, address: SocketAddr) -> Process {
    let mut command = Command::new(program("notifications"));
    command.current_dir(repository()).env("CUTOVER_HOME", home);
    for store in ["REDIS_URL", "AMQP_URL", "DATABASE_URL"] {
        command.env_remove(store);
    }
    command.env("NOTIFICATIONS_ADDRESS", address.to_string());
    let process = Process::start("notifications", &mut command, &home.join("logs/notifications.log"));
    let ready = Request::new(address, "GET", "/readyz");
    eventually("the service is ready", || ready.try_send().is_ok_and(|answer| answer.status == 200));
    process
}

/// An edge with two authorizers that look tenants up at the service, and learn changes through Redis.
struct Behind {
    edge: Edge,
    service: Service,
    process: Option<Process>,
    /// Where the notifications service listens. It has no provider, so messages wait.
    messages: SocketAddr,
    _notifications: Process,
    _redis: Redis,
    _ports: [Port; 3],
}

impl Behind {
    fn start() -> Self {
        let redis = Redis::start();
        let ports = [(); 3].map(|()| Port::lease());
        let [address, grpc, messages] = ports.each_ref().map(Port::address);
        let started: Arc<Mutex<Option<Process>>> = Arc::default();
        let keep = Arc::clone(&started);
        // Where the edge listens for services is not known yet; only a removal needs it, and a later start gives it.
        let mut service =
            Service { address, grpc, edge_url: "http://127.0.0.1:1".to_owned(), redis: redis.url() };
        let first = service.clone();
        let edge = Edge::shipped("dev")
            .two_authorizers()
            .variable("REDIS_URL", &redis.url())
            .replace(
                "tenants: { file: \"${CUTOVER_HOME:-.run}/tenants.yaml\" }",
                &format!("tenants: {{ grpc: \"http://{grpc}\", redis: true, negative_seconds: 1 }}"),
            )
            .replace("backends:\n", &format!("backends:\n  tenants: {{ address: \"{address}\" }}\n  notifications: {{ address: \"{messages}\" }}\n"))
            .replace(
                "keys/auth.jwks.json\" }",
                "keys/auth.jwks.json\" }\n  tenants: { keys: \"${CUTOVER_HOME:-.run}/keys/tenants.jwks.json\" }\n  admin: { keys: \"${CUTOVER_HOME:-.run}/keys/admin.jwks.json\", permissions: [tenants.write] }",
            )
            .replace(
                "policies:\n",
                "policies:\n  tenant-management: { kind: internal, permissions: [tenants.write] }\n  removals: { kind: internal, services: [tenants] }\n",
            )
            .replace(
                "routes:\n",
                "routes:\n  - { name: tenants, host: service, prefix: /_/tenants, policy: tenant-management, to: tenants, answers: auth }\n  - { name: removals, host: service, prefix: /_/users/tenants, policy: removals, to: users, answers: users }\n  - { name: auth-removals, host: service, prefix: /_/auth/tenants, policy: removals, to: auth, answers: auth }\n  - { name: notifications-removals, host: service, prefix: /_/notifications/tenants, policy: removals, to: notifications, answers: auth }\n  - { name: messages, host: service, prefix: /_/notifications, policy: tenant-management, to: notifications, answers: auth }\n",
            )
            // An authorizer is ready once the service has answered it, so the service starts first.
            .prepare(move |home| {
                *keep.lock().expect("one thread") = Some(first.start(home));
            })
            .start();
        service.edge_url = format!("http://{}", edge.address("EDGE_SERVICE_ADDRESS"));
        let process = started.lock().expect("one thread").take();
        let notifications = notifications(edge.home(), messages);
        let mut behind = Self {
            edge,
            service,
            process,
            messages,
            _notifications: notifications,
            _redis: redis,
            _ports: ports,
        };
        behind.kill();
        behind.restart();
        behind
    }

    /// The letters that wait, of all tenants.
    fn waiting(&self) -> Option<String> {
        let metrics = Request::new(self.messages, "GET", "/metrics").send().text();
        let is_waiting = |line: &&str| {
            line.starts_with("notifications_outbox_rows")
                && line.contains("kind=\"mail\"")
                && line.contains("state=\"waiting\"")
        };
        let waiting = metrics.lines().find(is_waiting);
        waiting.and_then(|line| line.split_whitespace().last()).map(str::to_owned)
    }

    /// SIGKILL.
    fn kill(&mut self) {
        drop(self.process.take());
    }

    fn restart(&mut self) {
        self.process = Some(self.service.start(self.edge.home()));
    }

    fn key(&self, name: &str) -> PathBuf {
        self.edge.home().join("keys").join(name)
    }

    /// A call on the service listener, as the service `name` with the private key `key`.
    fn call(&self, name: &str, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let caller = identity::Caller::Service(name.parse().expect("a name"));
        let signer = identity::assertion::Signer::from_file(name, &self.key(key)).expect("a key");
        let now = clock::UnixTime::from_seconds(harness::tokens::now());
        let assertion = signer.sign(&caller, "dev", now).expect("it signs");
        let request = Request::new(self.edge.address("EDGE_SERVICE_ADDRESS"), method, path)
            .header("authorization", format!("Bearer {assertion}"));
        let request = if body.is_null() {
            request
        } else {
            request.header("content-type", "application/json").body(body.to_string())
        };
        request.send()
    }

    fn manage(&self, method: &str, path: &str, body: &Value) -> Answer {
        let answer = self.call("admin", "admin.pem", method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
        answer
    }

    fn create(&self, id: &str) {
        self.manage("POST", "/_/tenants", &json!({ "id": id, "name": "Some" }));
    }

    /// What both authorizers let a person of the tenant do: requests go to one or the other.
    fn statuses(&self, tenant: &str) -> Vec<u16> {
        let token = self.edge.mint().with(|claims| {
            claims.insert("tenantId".to_owned(), json!(tenant));
        });
        (0..6).map(|_| self.edge.get("/books").token(&token).send().status).collect()
    }

    fn until(&self, what: &str, tenant: &str, status: u16) {
        eventually(what, || self.statuses(tenant).iter().all(|seen| *seen == status));
    }
}

#[test]
fn a_tenant_is_created_suspended_reinstated_and_deleted_for_every_authorizer() {
    let behind = Behind::start();
    assert_eq!(behind.statuses(DEMO_TENANT), [403; 6], "no such tenant yet");
    behind.create(DEMO_TENANT);
    behind.until("the new tenant is let in", DEMO_TENANT, 200);
    let one = format!("/_/tenants/{DEMO_TENANT}");
    // A state is valid for two minutes in memory, and this waits for one: what arrives in time was pushed.
    behind.manage("POST", &format!("{one}/suspend"), &json!({ "reason": "Unpaid" }));
    behind.until("the suspension arrives", DEMO_TENANT, 403);
    behind.manage("POST", &format!("{one}/reinstate"), &Value::Null);
    behind.until("the reinstatement arrives", DEMO_TENANT, 200);

    // No other service, and no person, reaches the tenants.
    assert_eq!(behind.call("auth", "auth.pem", "GET", &one, &Value::Null).status, 403);
    assert_eq!(behind.edge.get(&one).token(&behind.edge.mint().good(2)).send().status, 404);

    let account = format!("/_/users/{}", "demo@example.com");
    assert_eq!(behind.call("auth", "auth.pem", "GET", &account, &Value::Null).status, 200);
    for tenant in [DEMO_TENANT, OTHER] {
        let mail = json!({ "to": "a@example.com", "subject": "A", "text": "B" });
        let message = json!({ "idempotencyKey": tenant, "message": { "tenantId": tenant, "mail": mail } });
        behind.manage("POST", "/_/notifications/messages", &message);
    }
    assert_eq!(behind.waiting().as_deref(), Some("2"));
    behind.manage("DELETE", &one, &Value::Null);
    behind.until("its requests are refused", DEMO_TENANT, 403);
    eventually("the tenant is deleted", || {
        behind.manage("GET", &one, &Value::Null).json()["standing"] == "deleted"
    });
    assert_eq!(behind.statuses(DEMO_TENANT), [403; 6]);
    // Each service with data of tenants was called through the edge, and did it.
    let removal = behind.manage("GET", &format!("{one}/offboarding"), &Value::Null).json();
    assert_eq!(removal["participants"], json!(["users", "auth", "notifications"]));
    assert_eq!(removal["phase"], "done");
    assert_eq!(behind.waiting().as_deref(), Some("1"), "the message of the other tenant");
    for service in ["users", "auth", "notifications"] {
        let path = format!("/_/{service}/tenants/{OTHER}");
        assert_eq!(behind.call("auth", "auth.pem", "DELETE", &path, &Value::Null).status, 403, "{service}");
        assert_eq!(
            behind.edge.request("DELETE", &path).token(&behind.edge.mint().good(2)).send().status,
            404
        );
    }
    // Its people are gone from the users service, and those of another tenant are not.
    assert_eq!(behind.call("auth", "auth.pem", "GET", &account, &Value::Null).status, 404);
    let other = "/_/users/suspended@example.com";
    assert_eq!(behind.call("auth", "auth.pem", "GET", other, &Value::Null).status, 200);
}

#[test]
fn a_service_that_is_gone_changes_nothing_for_known_tenants_and_fails_unknown_ones() {
    let mut behind = Behind::start();
    behind.create(DEMO_TENANT);
    behind.create(OTHER);
    behind.until("the tenant is let in", DEMO_TENANT, 200);
    behind.kill();
    assert_eq!(behind.statuses(DEMO_TENANT), [200; 6], "what is known stays in use");
    // Redis has the state that was announced, so this tenant is known, too.
    assert_eq!(behind.statuses(OTHER), [200; 6]);
    let stranger = "00000000-0000-7000-8000-0000000000f2";
    assert_eq!(behind.statuses(stranger), [503; 6], "no answer is not an allow");
    let suspension =
        behind.call("admin", "admin.pem", "POST", &format!("/_/tenants/{DEMO_TENANT}/suspend"), &Value::Null);
    assert_eq!(suspension.status, 503);
    behind.restart();
    eventually("the edge reaches the service again", || {
        let answer = behind.call("admin", "admin.pem", "GET", "/_/tenants", &Value::Null);
        answer.status == 200
    });
    behind.manage("POST", &format!("/_/tenants/{DEMO_TENANT}/suspend"), &Value::Null);
    behind.until("the suspension arrives", DEMO_TENANT, 403);
    assert_eq!(behind.statuses(stranger), [403; 6], "now it is known that there is none");
}
