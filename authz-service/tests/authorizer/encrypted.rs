//! A Redis that speaks TLS: trusted when the machine or the address trusts its certificate, and only then.

use std::time::Duration;

use harness::Redis;
use harness::authority::{Authority, Pair};

use crate::binary::{Running, any, program};
use crate::kit::{Home, SESSION, SUBJECT, eventually, pause_async};

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

/// The files of a Redis that lets known clients in, and of one such client.
struct Files {
    home: Home,
    server: Pair,
}

impl Files {
    fn new() -> Self {
        let home = Home::new();
        let server = Self::issue(&home, "");
        Self { home, server }
    }

    /// Everything anew, by one authority; the names of the files begin with `prefix`.
    fn issue(home: &Home, prefix: &str) -> Pair {
        let authority = Authority::new();
        authority.write(&home.at(&format!("{prefix}ca.pem")));
        authority.issue(home.path(), &format!("{prefix}client"), "cutover.test");
        authority.issue(home.path(), &format!("{prefix}server"), "127.0.0.1")
    }

    fn redis(&self) -> Redis {
        Redis::start_for_known_clients(&self.server.certificate, &self.server.key, &self.home.at("ca.pem"))
    }

    fn url(&self, redis: &Redis, parameters: &str) -> String {
        let home = self.home.path().display().to_string();
        format!("{}?{}", redis.url().replace("redis://", "rediss://"), parameters.replace("HOME", &home))
    }
}

const KNOWN: &str = "ca=HOME/ca.pem&certificate=HOME/client.pem&key=HOME/client.key";

async fn asked(running: &Running, path: &str) -> String {
    reqwest::get(format!("http://{}{path}", running.admin)).await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_for_known_clients_is_used_with_a_certificate_that_is_read_again() {
    let files = Files::new();
    let mut redis = files.redis();
    let url = files.url(&redis, KNOWN);
    let mut command = program(&files.home, any(), any());
    command.env("REDIS_URL", &url);
    let running = Running::start(command);
    eventually("ready", async || asked(&running, "/stats").await.contains("\"push\":\"subscribed\"")).await;
    let revoke = |what: &str, id: &str| {
        let mut command = std::process::Command::new(harness::program("cutover"));
        command.args(["revoke", what, id]).env_clear().env("CUTOVER_HOME", files.home.path());
        command.env("REDIS_URL", &url).output().unwrap()
    };
    let done = revoke("session", SESSION);
    assert!(done.status.success(), "{done:?}");
    eventually("the end is known", async || asked(&running, "/readyz").await.contains("1 sessions")).await;

    // Another authority for both sides. The files are replaced under the same names, and no program starts again.
    let server = Files::issue(&files.home, "new-");
    for name in ["ca.pem", "client.key", "client.pem"] {
        std::fs::rename(files.home.at(&format!("new-{name}")), files.home.at(name)).unwrap();
    }
    redis.restart_for_known_clients(&server.certificate, &server.key, &files.home.at("ca.pem"));
    eventually("a new end is known", async || {
        let done = revoke("subject", SUBJECT);
        done.status.success() && asked(&running, "/readyz").await.contains("1 persons and tenants")
    })
    .await;
}

/// The wrong authority, no certificate, and a certificate by another authority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_for_known_clients_is_not_used_without_their_certificates() {
    let files = Files::new();
    let redis = files.redis();
    let _other = Files::issue(&files.home, "other-");
    for parameters in [
        KNOWN.replace("HOME/ca.pem", "HOME/other-ca.pem"),
        "ca=HOME/ca.pem".to_owned(),
        KNOWN.replace("client", "other-client"),
    ] {
        let mut command = program(&files.home, any(), any());
        command.env("REDIS_URL", files.url(&redis, &parameters));
        let running = Running::start(command);
        pause_async(Duration::from_secs(2), "it has tried to subscribe more than once").await;
        assert!(!asked(&running, "/stats").await.contains("\"push\":\"subscribed\""), "{parameters}");
        let answer = reqwest::get(format!("http://{}/readyz", running.admin)).await.unwrap();
        assert_eq!(answer.status(), 503, "{parameters}");
    }
    // A file that is not there ends the start, with a message that names it and no password.
    let mut command = program(&files.home, any(), any());
    let url = files.url(&redis, "ca=HOME/absent.pem").replace("rediss://", "rediss://:hunter2@");
    let ended = command.env("REDIS_URL", url).output().unwrap();
    let said = [String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr)].concat();
    assert!(!ended.status.success() && said.contains("absent.pem") && said.contains("REDIS_URL"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
