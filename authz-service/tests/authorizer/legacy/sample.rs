//! Signs in and out at the legacy sample.

use std::net::SocketAddr;

use harness::LegacySample;
use serde_json::{Value, json};

/// The legacy sample, and a client of it.
pub(crate) struct Sample {
    legacy: LegacySample,
    client: reqwest::Client,
}

impl Sample {
    pub(crate) fn start() -> Self {
        Self { legacy: LegacySample::start(), client: reqwest::Client::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.legacy.address()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Signs in as a person does; gives the name of the cookie and the access token in it.
    pub(crate) async fn sign_in(&self) -> (String, String) {
        let email = "demo@example.com";
        let post = |path: &str, body: Value| self.client.post(self.url(path)).body(body.to_string()).send();
        assert_eq!(post("/auth/code", json!({ "email": email })).await.unwrap().status(), 201);
        let mail = std::fs::read(self.legacy.home().join(format!("mail/{email}/0001.json"))).unwrap();
        let mail: Value = serde_json::from_slice(&mail).unwrap();
        let code = &mail["variables"]["authcode"];
        let answer = post("/auth/token", json!({ "email": email, "code": code })).await.unwrap();
        assert_eq!(answer.status(), 201);
        let cookies = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
        let mut pairs = cookies.filter_map(|line| line.split(';').next()?.split_once('='));
        let (name, token) = pairs.find(|(name, _)| name.ends_with("access_token")).unwrap();
        (name.to_owned(), token.to_owned())
    }

    pub(crate) async fn sign_out(&self, cookie: &str) {
        let answer =
            self.client.delete(self.url("/auth/token")).header("cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }
}
