//! Strangers want what proved callers need: questions to the legacy, places in memories, room in records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::kit::check::{Answer, Check};
use crate::kit::{Authz, Home, pause_async};
use crate::legacy::{Legacy, checked};

/// How long an answer of the legacy takes: so long that strangers fill whatever they can fill.
const PACE_MILLIS: u64 = 20;

fn check(authz: &Authz, token: &str) -> Check {
    authz
        .check("me")
        .extension("route", "old")
        .extension("policy", "old")
        .cookie_line(format!("old_token={token}"))
}

/// Strangers that ask with one made-up session after the other until this is dropped.
struct Flood {
    over: Arc<AtomicBool>,
    strangers: Vec<tokio::task::JoinHandle<usize>>,
}

impl Flood {
    /// As many as `addresses`, each from its own.
    fn from(authz: &Authz, addresses: Vec<String>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let start = |(number, address): (usize, String)| {
            let (over, mut client) = (Arc::clone(&over), authz.client.clone());
            let wire = {
                let base = check(authz, "made-up").client(&address).wire();
                move |count: usize| {
                    let mut wire = base.clone();
                    let headers = wire
                        .attributes
                        .as_mut()
                        .and_then(|all| all.request.as_mut()?.http.as_mut()?.header_map.as_mut())
                        .unwrap();
                    for header in headers.headers.iter_mut().filter(|header| header.key == "cookie") {
                        header.raw_value = format!("old_token=made-up-{number}-{count}").into_bytes();
                    }
                    wire
                }
            };
            tokio::spawn(async move {
                let mut asked = 0;
                while !over.load(Ordering::Relaxed) {
                    let answer =
                        crate::kit::check::read(client.check(wire(asked)).await.unwrap().into_inner());
                    assert!(answer.status == 401 || answer.status == 503, "{answer:?}");
                    asked += 1;
                }
                asked
            })
        };
        let strangers = addresses.into_iter().enumerate().map(start).collect();
        Self { over, strangers }
    }

    async fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        let mut asked = 0;
        for stranger in self.strangers {
            asked += stranger.await.unwrap();
        }
        asked
    }
}

async fn ask(authz: &Authz, token: &str, address: &str) -> Answer {
    authz.ask(check(authz, token).client(address)).await
}

/// Sessions that were a yes keep their places, from whichever address, and so do new
/// sessions from every address but those of the flood.
async fn survives(addresses: Vec<String>, same: &str) {
    let (legacy, address) = Legacy::start().await;
    // A short memory: the honest session has to be asked about again and again.
    let authz = Authz::start_with(Home::new(), checked(address, 30, 2_000)).await;
    ask(&authz, "good", "198.51.100.1").await.expect(200, "allowed");
    legacy.takes(PACE_MILLIS);
    let flood = Flood::from(&authz, addresses);
    for number in 0..40 {
        ask(&authz, "good", same).await.expect(200, "allowed");
        let token = format!("good-{number}");
        ask(&authz, &token, &format!("203.0.113.{number}")).await.expect(200, "allowed");
        pause_async(std::time::Duration::from_millis(20), "the pace of the honest session").await;
    }
    let asked = flood.end().await;
    assert!(asked > 100, "the flood was none: {asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_fifty_strangers_with_made_up_sessions_cost_no_honest_request() {
    survives(vec!["192.0.2.7".to_owned(); 150], "192.0.2.7").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_strangers_from_all_networks_of_one_provider() {
    let addresses = (0..150).map(|number| format!("2001:db8:{number:x}:{number:x}::1")).collect();
    survives(addresses, "2001:db8:77:77::9").await;
}

/// More refused strangers than are remembered: each decision about a proved caller is still found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refused_strangers_rotates_out_no_record_of_a_proved_caller() {
    use authz_service::observe::recent::ANONYMOUS;

    let authz = Authz::start().await;
    let (denied, allowed) = ("01932c07-0000-7000-8000-00000000000a", "01932c07-0000-7000-8000-00000000000b");
    let token = authz.token();
    let check = |route: &str, id: &str| authz.check(route).header("x-request-id", id).session(&token);
    authz.ask(check("create", denied)).await.expect(403, "role_too_low");
    authz.ask(check("me", allowed)).await.expect(200, "allowed");
    let wire = authz.check("me").header("x-request-id", "01932c07-0000-7000-8000-00000000000c").wire();
    let flood: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, wire) = (authz.client.clone(), wire.clone());
            tokio::spawn(async move {
                for _ in 0..ANONYMOUS / 4 + 10 {
                    client.check(wire.clone()).await.unwrap();
                }
            })
        })
        .collect();
    for stranger in flood {
        stranger.await.unwrap();
    }
    for (id, reason) in [(denied, "role_too_low"), (allowed, "allowed")] {
        let (status, record) = authz.get(&format!("/decisions/{id}")).await;
        assert!(status == 200 && record.contains(reason), "{id}: {record}");
    }
    let (_, record) = authz.get("/decisions/01932c07-0000-7000-8000-00000000000c").await;
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let shown = record["earlier"].as_array().unwrap().len() + 1;
    assert_eq!(shown + usize::try_from(record["not_shown"].as_u64().unwrap()).unwrap(), ANONYMOUS);
    let audit = || std::fs::read_to_string(authz.home.at("audit.jsonl")).unwrap_or_default();
    crate::kit::eventually("the audit has it", async || audit().contains("role_too_low")).await;
}
