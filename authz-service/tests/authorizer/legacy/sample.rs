//! The legacy sample as a process of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use harness::{Port, Process};
use serde_json::{Value, json};

/// The legacy sample as it is run, by itself.
pub(crate) struct Sample {
    _process: Process,
    pub(crate) address: SocketAddr,
    home: tempfile::TempDir,
    client: reqwest::Client,
}

impl Sample {
    pub(crate) async fn start() -> Self {
        let (home, port) = (tempfile::tempdir().unwrap(), Port::lease());
        let gunicorn = harness::venv().join("bin/gunicorn");
        assert!(gunicorn.exists(), "{} is not there: `make setup` installs it", gunicorn.display());
        let mut command = Command::new(gunicorn);
        command.args(["--config", "contracts/legacy/gunicorn.conf.py", "legacy.app:application"]);
        command.current_dir(harness::repository()).env_remove("AUTH_URL");
        command
            .env("PYTHONPATH", "contracts")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CUTOVER_HOME", home.path());
        let address = port.address();
        command.env("LEGACY_ADDRESS", address.to_string());
        let process = Process::start("legacy", &mut command, &home.path().join("legacy.log"));
        let client = reqwest::Client::new();
        let sample = Self { _process: process, address, home, client };
        for _ in 0..3_000 {
            if std::net::TcpStream::connect(address).is_ok() {
                return sample;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "the legacy sample does not start: {}",
            std::fs::read_to_string(sample.home.path().join("legacy.log")).unwrap()
        );
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Signs in as a person does; gives the access token.
    pub(crate) async fn sign_in(&self) -> String {
        let email = "demo@example.com";
        let post = |path: &str, body: Value| self.client.post(self.url(path)).body(body.to_string()).send();
        assert_eq!(post("/auth/code", json!({ "email": email })).await.unwrap().status(), 201);
        let mail = std::fs::read(self.home.path().join(format!("mail/{email}/0001.json"))).unwrap();
        let mail: Value = serde_json::from_slice(&mail).unwrap();
        let code = &mail["variables"]["authcode"];
        let answer = post("/auth/token", json!({ "email": email, "code": code })).await.unwrap();
        assert_eq!(answer.status(), 201);
        let cookies = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
        let access = cookies.filter_map(|line| line.strip_prefix("madome_access_token=")).next().unwrap();
        access.split(';').next().unwrap().to_owned()
    }

    pub(crate) async fn sign_out(&self, token: &str) {
        let cookie = format!("madome_access_token={token}");
        let answer =
            self.client.delete(self.url("/auth/token")).header("cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }
}
