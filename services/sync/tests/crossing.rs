//! Every operation is tried with the plain header of one tenant beside the identity of another, and by a service that
//! acts for one tenant. Deliveries belong to the program that makes them, and to no tenant.

use std::sync::Arc;

use clock::ManualClock;
use identity::Role;
use kit::base::Base;
use kit::testing::{Crossing, START, TestHome, person};
use sync_service::settings::Settings;

const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";

#[tokio::test]
async fn no_operation_is_crossed() {
    let (home, clock) = (TestHome::new(), ManualClock::at(START));
    std::fs::copy(home.key("users.pem"), home.key("sync.pem")).unwrap();
    let root = home.path().join("pictures");
    std::fs::create_dir(&root).unwrap();
    let settings = Settings {
        address: ([127, 0, 0, 1], 0).into(),
        base: Base { home: home.home(), database_url: None, edge: "dev".to_owned() },
        root: root.clone(),
        edge_url: "http://127.0.0.1:9".to_owned(),
        issuer: "https://api.dev-domain.test/auth".to_owned(),
    };
    let router = sync_service::router(settings, Arc::new(clock.clone())).await.unwrap();
    let edge = home.edge(&clock);
    let files = || {
        let entries = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
        let inside = |path: std::path::PathBuf| std::fs::read_dir(path).map_or(0, Iterator::count);
        entries.map(inside).sum::<usize>()
    };
    let crossing = Crossing {
        documents: sync_service::routes::documents(),
        router: &router,
        edge: &edge,
        service: "sync",
        caller: "crawler",
        person: person(DEMO, DEMO, Role::BOT),
        parameters: &[("job", "one"), ("number", "0")],
        examples: &[],
        unauthenticated: "Unauthorized",
        secrets: &["crawler", "batch"],
    };
    assert_eq!(crossing.try_every_operation().await, 5);
    assert_eq!(files(), 0, "nothing was written");
}
