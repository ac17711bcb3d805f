//! The providers of push messages and letters: they answer as FCM and SES do, and keep what they get.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Backend, Seen};
use serde_json::{Value, json};

/// Devices whose name begins so are not registered any more.
pub(crate) const GONE: &str = "gone-";

/// All providers on one port.
pub(crate) struct Providers(Backend);

fn answer(status: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn json_of(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap_or_default()
}

fn respond(seen: &Seen) -> Vec<u8> {
    let line = seen.request_line();
    if line.contains("/token") {
        let granted = json!({ "access_token": "access", "expires_in": 3599, "token_type": "Bearer" });
        return answer("200 OK", &granted);
    }
    if line.contains("/v2/email/") {
        return answer("200 OK", &json!({ "MessageId": "message" }));
    }
    let message = json_of(seen);
    if message["message"]["token"].as_str().is_some_and(|device| device.starts_with(GONE)) {
        let details = json!([{ "errorCode": "UNREGISTERED" }]);
        return answer("404 Not Found", &json!({ "error": { "code": 404, "details": details } }));
    }
    answer("200 OK", &json!({ "name": "projects/a-project/messages/1" }))
}

impl Providers {
    pub(crate) fn start() -> Self {
        Self(Backend::with(respond))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// The JSON file of a service account of these providers.
    pub(crate) fn account(&self) -> String {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("a key is DER");
        let body = STANDARD.encode(der.as_ref());
        json!({
            "type": "service_account", "project_id": "a-project", "private_key_id": "key-1",
            "private_key": format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
            "client_email": "sender@a-project.iam.gserviceaccount.com", "client_id": "1",
            "token_uri": format!("{}/token", self.url()),
        })
        .to_string()
    }

    fn sent(&self, path: &str) -> Vec<Value> {
        self.0.seen().iter().filter(|seen| seen.request_line().contains(path)).map(json_of).collect()
    }

    /// The push messages so far, as FCM gets them.
    pub(crate) fn pushed(&self) -> Vec<Value> {
        self.sent("messages:send").into_iter().map(|mut body| body["message"].take()).collect()
    }

    /// The subjects of the letters so far.
    pub(crate) fn letters(&self) -> Vec<String> {
        let subject = |body: &Value| body["Content"]["Simple"]["Subject"]["Data"].as_str().map(str::to_owned);
        self.sent("/v2/email/").iter().filter_map(subject).collect()
    }
}
