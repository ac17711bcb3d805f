//! Requests to be signed.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::{SystemTime, UNIX_EPOCH};

use harness::Edge;
use harness::wire::{Answer, Request};
use signed_request::{Message, Signature, SigningKey, sign};

pub(crate) const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const COMPONENTS: [&str; 5] = ["@method", "@path", "@query", "@authority", "content-digest"];
pub(crate) const HOST: &str = "api.dev-domain.test";

#[expect(clippy::disallowed_methods, reason = "the edge reads the same clock")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT_NONCE: AtomicU64 = AtomicU64::new(0);
    let count = NEXT_NONCE.fetch_add(1, Ordering::Relaxed);
    #[expect(clippy::disallowed_methods, reason = "only uniqueness is wanted of it")]
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("{}-{at}-{count}", std::process::id())
}

/// A request to be signed.
#[derive(Clone)]
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) scheme: &'a str,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
    /// Absent for a policy that asks for none.
    pub(crate) nonce: Option<String>,
    pub(crate) names_algorithm: bool,
    pub(crate) tag: Option<&'a str>,
    pub(crate) key: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) components: Vec<&'a str>,
}

impl<'a> Signed<'a> {
    pub(crate) fn new(method: &'a str, target: &'a str) -> Self {
        Self {
            method,
            target,
            scheme: "http",
            body: None,
            headers: Vec::new(),
            created: now(),
            expires: None,
            nonce: Some(unique()),
            names_algorithm: true,
            tag: None,
            key: "partner",
            secret: SECRET,
            components: COMPONENTS.to_vec(),
        }
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let message = Message {
            method: self.method,
            target: self.target,
            scheme: self.scheme,
            host: HOST,
            headers: self.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
            body: self.body.as_deref().unwrap_or_default(),
        };
        let signature = Signature {
            key_id: self.key,
            nonce: self.nonce.as_deref(),
            names_algorithm: self.names_algorithm,
            tag: self.tag,
            created: self.created,
            expires: self.expires,
            components: &self.components,
        };
        sign(&message, &signature, &SigningKey::read(self.secret).unwrap()).unwrap()
    }

    /// The request without a signature.
    pub(crate) fn bare(&self, edge: &Edge) -> Request {
        let mut request = edge.request(self.method, self.target).host(HOST);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    pub(crate) fn request(&self, edge: &Edge) -> Request {
        with(self.bare(edge), &self.lines())
    }

    pub(crate) fn send(&self, edge: &Edge) -> Answer {
        self.request(edge).send()
    }
}

pub(crate) fn with(request: Request, lines: &[(&'static str, String)]) -> Request {
    lines.iter().fold(request, |request, (name, value)| request.header(name, value))
}
