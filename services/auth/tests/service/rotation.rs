//! The rotation of the key that signs sessions, with two replicas on one home and one database.

use axum::Router;
use kit::testing::{PrivatePostgres, TestHome};
use serde_json::{Value, json};

use crate::app::{Pair, TestApp};

const EMAIL: &str = "demo@example.com";

/// The service before and after its restart with the new key. Both run.
struct Replicas {
    app: TestApp,
    other: Router,
}

impl Replicas {
    /// Has the other replica answer from now on.
    fn swap(&mut self) {
        std::mem::swap(&mut self.app.router, &mut self.other);
    }
}

fn key_id(pair: &Pair) -> String {
    jsonwebtoken::decode_header(&pair.access).unwrap().kid.unwrap()
}

fn public_keys(home: &TestHome) -> Vec<Value> {
    let set: Value = serde_json::from_slice(&std::fs::read(home.key("session.jwks.json")).unwrap()).unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// Replaces the file of public keys, as `mv` does.
fn publish(app: &TestApp, content: &str) {
    let (new, file) = (app.home.key("session.jwks.json.new"), app.home.key("session.jwks.json"));
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, file).unwrap();
}

async fn a_rotation_signs_no_one_out(mut app: TestApp) {
    let next = TestHome::new();
    let (old_keys, new_keys) = (public_keys(&app.home), public_keys(&next));
    let before = app.login(EMAIL).await;

    // 1. The new public key is published beside the old one. 2. The new private key is put in place, and the replicas are
    // restarted one after the other.
    let both = [old_keys.clone(), new_keys.clone()].concat();
    publish(&app, &json!({ "keys": both }).to_string());
    std::fs::rename(next.key("session.pem"), app.home.key("session.pem")).unwrap();
    let other = app.router.clone();
    app.restart().await;
    let mut replicas = Replicas { app, other };
    let after = replicas.app.login(EMAIL).await;
    assert_ne!(key_id(&before), key_id(&after));

    // The replica that was not restarted accepts what the new one signed, and the other way round.
    replicas.swap();
    assert_eq!(replicas.app.check(&after, "").await.status, 200);
    let refreshed = replicas.app.refresh(&after).await.pair();
    assert_eq!(key_id(&refreshed), key_id(&before), "it still signs with the old key");
    replicas.swap();
    for pair in [&before, &refreshed] {
        assert_eq!(replicas.app.check(pair, "").await.status, 200);
    }
    let newest = replicas.app.refresh(&refreshed).await.pair();
    assert_eq!(key_id(&newest), key_id(&after));

    // A file that is not valid, or lacks the signing key, changes nothing.
    for content in ["{", r#"{"keys":[]}"#, &json!({ "keys": old_keys }).to_string()] {
        publish(&replicas.app, content);
        assert_eq!(replicas.app.check(&newest, "").await.status, 200, "{content}");
        assert_eq!(replicas.app.check(&before, "").await.status, 200, "{content}");
    }
    // 3. The old public key is withdrawn: what it signed is refused, without a restart.
    publish(&replicas.app, &json!({ "keys": new_keys }).to_string());
    assert_eq!(replicas.app.check(&newest, "").await.status, 200);
    assert_eq!(replicas.app.check(&before, "").await.status, 401);
    assert_eq!(replicas.app.refresh(&before).await.status, 401);
}

#[tokio::test]
async fn a_rotation_of_the_session_key_signs_no_one_out_on_sqlite() {
    a_rotation_signs_no_one_out(TestApp::new().await).await;
}

#[tokio::test]
async fn a_rotation_of_the_session_key_signs_no_one_out_on_postgresql() {
    let postgres = PrivatePostgres::start();
    a_rotation_signs_no_one_out(TestApp::on(Some(postgres.url())).await).await;
}
