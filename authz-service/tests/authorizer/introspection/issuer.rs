//! An issuer of opaque tokens, whose endpoint answers as a test says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::edge::OPAQUE;
use crate::kit::{AUDIENCE, NOW, TENANT};

/// An endpoint that describes tokens as a test says.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) address: SocketAddr,
    pub(super) state: Arc<Served>,
}

pub(super) struct Served {
    pub(super) tokens: Mutex<HashMap<String, Value>>,
    /// What the endpoint answers instead: a status and a body.
    pub(super) instead: Mutex<Option<(u16, String)>>,
    pub(super) queries: AtomicUsize,
    pub(super) last: Mutex<(HeaderMap, String)>,
    /// No answer goes out while a test holds it.
    pub(super) gate: RwLock<()>,
}

async fn describe(State(served): State<Arc<Served>>, headers: HeaderMap, form: String) -> Response {
    served.queries.fetch_add(1, Ordering::SeqCst);
    *served.last.lock() = (headers, form.clone());
    drop(served.gate.read().await);
    if let Some((status, body)) = served.instead.lock().clone() {
        if status == 307 {
            return Redirect::temporary(&body).into_response();
        }
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let url = reqwest::Url::parse(&format!("http://x/?{form}")).unwrap();
    let token = url.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
    let known = served.tokens.lock().get(&token).cloned();
    known.unwrap_or_else(|| json!({ "active": false })).to_string().into_response()
}

impl Issuer {
    pub(super) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(super) async fn start_at(address: SocketAddr) -> Self {
        let state = Arc::new(Served {
            tokens: Mutex::default(),
            instead: Mutex::default(),
            queries: AtomicUsize::default(),
            last: Mutex::default(),
            gate: RwLock::default(),
        });
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/introspect", post(describe)).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, state }
    }

    pub(super) fn describes(&self, token: &str, changes: &Value) {
        let mut all = json!({
            "active": true, "iss": OPAQUE, "sub": "auth0|ada", "aud": [AUDIENCE, "other"], "client_id": "app",
            "org": TENANT, "sid": "s-1", "groups": ["admin", "auditor"], "level": 2, "scope": "books.read books.list",
            "iat": NOW - 10, "exp": NOW + 600, "token_type": "Bearer",
        });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.state.tokens.lock().insert(token.to_owned(), all);
    }

    pub(super) fn queries(&self) -> usize {
        self.state.queries.load(Ordering::SeqCst)
    }

    pub(super) fn instead(&self, answer: Option<(u16, &str)>) {
        *self.state.instead.lock() = answer.map(|(status, body)| (status, body.to_owned()));
    }
}
