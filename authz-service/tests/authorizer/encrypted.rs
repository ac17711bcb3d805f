//! A Redis that speaks TLS: trusted when the machine trusts its certificate, and only then.

use std::time::Duration;

use harness::Redis;

use crate::binary::{Running, any, program};
use crate::kit::{Home, SESSION, eventually, pause_async};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_behind_tls_is_used_when_its_certificate_is_trusted() {
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    home.write("redis.pem", &made.cert.pem());
    home.write("redis.key", &made.signing_key.serialize_pem());
    let certificate = home.at("redis.pem");
    let redis = Redis::start_encrypted(&certificate, &home.at("redis.key"));
    let plain = redis.url();
    let encrypted = plain.replace("redis://", "rediss://");
    let push = async |running: &Running| {
        let answer = reqwest::get(format!("http://{}/stats", running.admin)).await.unwrap();
        answer.text().await.unwrap()
    };

    // Where the system keeps the certificates that it trusts; a directory of them is SSL_CERT_DIR.
    let mut trusting = program(&home, any(), any());
    trusting.env("REDIS_URL", &encrypted).env("SSL_CERT_FILE", &certificate);
    let trusting = Running::start(trusting);
    eventually("subscribed", async || push(&trusting).await.contains("\"push\":\"subscribed\"")).await;
    let ready = format!("http://{}/readyz", trusting.admin);
    eventually("ready", async || reqwest::get(&ready).await.is_ok_and(|answer| answer.status() == 200)).await;

    // The command of a service that ends a session, over the same connection.
    let mut revoke = std::process::Command::new(harness::program("cutover"));
    revoke.args(["revoke", "session", SESSION]).env_clear().env("CUTOVER_HOME", home.path());
    let done = revoke.env("REDIS_URL", &encrypted).env("SSL_CERT_FILE", &certificate).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    eventually("the end is known", async || {
        let answer = reqwest::get(&ready).await.unwrap();
        answer.text().await.unwrap().contains("1 sessions")
    })
    .await;

    // An untrusted certificate, and no encryption at all.
    for url in [&encrypted, &plain] {
        let mut doubting = program(&home, any(), any());
        doubting.env("REDIS_URL", url);
        let doubting = Running::start(doubting);
        pause_async(Duration::from_secs(2), "it has tried to subscribe more than once").await;
        assert!(!push(&doubting).await.contains("\"push\":\"subscribed\""), "{url}");
        let answer = reqwest::get(format!("http://{}/readyz", doubting.admin)).await.unwrap();
        assert_eq!(answer.status(), 503, "{url}");
    }
}
