//! FCM, its server of access tokens, and SES, as they answer in the wild; they record what they get.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde_json::{Value, json};

/// What a provider got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The answers that come next, before the usual ones.
type Next = Arc<Mutex<VecDeque<(u16, &'static [(&'static str, &'static str)], String)>>>;

/// All providers on one port.
#[derive(Clone, Debug)]
pub(crate) struct Providers {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    next: Next,
    holds_pushes: tokio::sync::watch::Sender<bool>,
}

impl Providers {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let providers =
            Self { address, seen: Arc::default(), next: Arc::default(), holds_pushes: Default::default() };
        let routes = Router::new().fallback(answer).with_state(providers.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        providers
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came to paths that end with `end`.
    pub(crate) fn seen(&self, end: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.ends_with(end)).cloned().collect()
    }

    /// The next request to FCM or SES gets this answer.
    pub(crate) fn answer_next(
        &self,
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: &Value,
    ) {
        self.next.lock().unwrap().push_back((status, headers, body.to_string()));
    }

    /// From now on FCM answers nothing, or answers again.
    pub(crate) fn hold_pushes(&self, hold: bool) {
        self.holds_pushes.send_replace(hold);
    }

    /// The JSON file of a service account of these providers.
    pub(crate) fn account(&self) -> String {
        let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        json!({
            "type": "service_account", "project_id": "a-project", "private_key_id": "key-1",
            "private_key": format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
            "client_email": "sender@a-project.iam.gserviceaccount.com", "client_id": "1",
            "token_uri": format!("{}/token", self.url()),
        })
        .to_string()
    }
}

async fn answer(State(providers): State<Providers>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = String::from_utf8(body.to_vec()).unwrap();
    let path = uri.path().to_owned();
    let number = {
        let mut seen = providers.seen.lock().unwrap();
        seen.push(Seen { path: path.clone(), headers: headers.collect(), body });
        seen.len()
    };
    if path == "/token" {
        let granted =
            json!({ "access_token": format!("access-{number}"), "expires_in": 3599, "token_type": "Bearer" });
        return granted.to_string().into_response();
    }
    if path.ends_with("messages:send") {
        providers.holds_pushes.subscribe().wait_for(|holds| !holds).await.unwrap();
    }
    let next = providers.next.lock().unwrap().pop_front();
    if let Some((status, headers, body)) = next {
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        return response;
    }
    match path.as_str() {
        "/v1/projects/a-project/messages:send" => {
            json!({ "name": format!("projects/a-project/messages/{number}") }).to_string().into_response()
        }
        "/v2/email/outbound-emails" => {
            json!({ "MessageId": format!("message-{number}") }).to_string().into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
