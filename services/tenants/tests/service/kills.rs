//! The process is killed in the middle of each step of an offboarding, and the next process ends it.

use kit::testing::{PrivatePostgres, Running, TestHome};
use serde_json::Value;

use crate::app::{ACME, Services};
use crate::process::BINARY;

/// The process, with requests of a manager.
struct Killable {
    home: TestHome,
    url: Option<String>,
    edge: String,
    running: Option<Running>,
}

impl Killable {
    fn start(&mut self) {
        let (home, edge) = (self.home.path().to_str().unwrap(), self.edge.as_str());
        let mut environment = vec![
            ("TENANTS_ADDRESS", "127.0.0.1:0"),
            ("TENANTS_GRPC_ADDRESS", "127.0.0.1:0"),
            ("TENANTS_PARTICIPANTS", "users,files"),
            ("CUTOVER_HOME", home),
            ("SERVICE_EDGE_URL", edge),
        ];
        environment.extend(self.url.as_deref().map(|url| ("DATABASE_URL", url)));
        self.running = Some(BINARY.start(&environment));
    }

    /// SIGKILL.
    fn kill(&mut self) {
        drop(self.running.take());
    }

    async fn manage(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        use identity::assertion::Signer;
        let signer =
            Signer::from_file("dev", &self.home.key("identity.pem")).unwrap().in_form(kit::caller::form());
        let caller = identity::Caller::Service("admin".parse().unwrap());
        let identity = signer.sign(&caller, "tenants", clock::Clock::now(&clock::SystemClock)).unwrap();
        let url = format!("http://{}/_/tenants{path}", self.running.as_ref().unwrap().address());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method.parse().unwrap(), url).header("x-madome-identity", identity);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

/// Lets the lease of the killed process end: it is longer than a test should wait.
async fn end_lease(killed: &Killable) {
    use sea_orm::ConnectionTrait as _;
    let file = killed.home.home().database("tenants");
    let database = kit::store::open(killed.url.as_deref(), &file).await.unwrap();
    database.execute_unprepared("UPDATE offboardings SET free_at = 0").await.unwrap();
    database.close().await.unwrap();
}

/// Kills the process while the call with the number `at` is under way. `is_refused` makes the second service refuse.
async fn killed_at(at: usize, url: Option<String>, is_refused: bool) -> Vec<String> {
    let services = Services::default();
    if is_refused {
        services.refuse("PUT /_/files/", 409);
    }
    let wire = services.serve().await;
    let home = TestHome::new();
    let mut process = Killable { home, url, edge: format!("http://{}", wire.address()), running: None };
    process.start();
    let id = uuid::Uuid::now_v7().to_string();
    process.manage("POST", "", Some(serde_json::json!({ "id": id, "name": "Acme" }))).await;
    services.hold_after(Some(at));
    process.manage("DELETE", &format!("/{id}"), None).await;
    services.held().await;
    process.kill();
    services.hold_after(None);
    end_lease(&process).await;
    process.start();
    let wanted = if is_refused { "active" } else { "deleted" };
    harness::eventually_async("the next process ends the offboarding", async || {
        process.manage("GET", &format!("/{id}"), None).await["standing"] == wanted
    })
    .await;
    // Each change is in the history once.
    let history = process.manage("GET", &format!("/{id}/history"), None).await;
    let kinds: Vec<&str> = history.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    let last = if is_refused { "tenants.tenant.offboarding_undone" } else { "tenants.tenant.deleted" };
    assert_eq!(kinds, ["tenants.tenant.created", "tenants.tenant.offboarding_started", last]);
    services.seen().iter().map(|line| line.replace(&id, ACME)).collect()
}

/// The calls of an offboarding that nothing interrupts.
fn whole(is_refused: bool) -> Vec<String> {
    let lines = if is_refused {
        [
            "PUT /_/users/tenants/ACME/removal",
            "PUT /_/files/tenants/ACME/removal",
            "DELETE /_/files/tenants/ACME/removal",
            "DELETE /_/users/tenants/ACME/removal",
        ]
    } else {
        [
            "PUT /_/users/tenants/ACME/removal",
            "PUT /_/files/tenants/ACME/removal",
            "DELETE /_/users/tenants/ACME",
            "DELETE /_/files/tenants/ACME",
        ]
    };
    lines.map(|line| line.replace("ACME", ACME)).to_vec()
}

async fn a_kill_at_every_step_is_made_good(url: Option<String>) {
    for is_refused in [false, true] {
        let whole = whole(is_refused);
        for at in 0..whole.len() {
            // The interrupted call is repeated, and no other.
            let mut expected = whole.clone();
            expected.insert(at, whole[at].clone());
            assert_eq!(killed_at(at, url.clone(), is_refused).await, expected, "killed at {at}");
        }
    }
}

#[tokio::test]
async fn a_kill_at_every_step_is_made_good_on_sqlite() {
    a_kill_at_every_step_is_made_good(None).await;
}

#[tokio::test]
async fn a_kill_at_every_step_is_made_good_on_postgresql() {
    let postgres = PrivatePostgres::start();
    a_kill_at_every_step_is_made_good(Some(postgres.url())).await;
}
