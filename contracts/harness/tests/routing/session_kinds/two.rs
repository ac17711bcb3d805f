//! The dev edge over two stand-ins, and the credentials of both.

use harness::tokens::{DEMO_TENANT, base64url, claims, now};
use harness::wire::{Answer, Request};
use harness::{Backend, Edge, EdgeBuilder, Part, Seen};
use serde_json::json;

pub(crate) const PERSON: &str = "00000000-0000-7000-8000-0000000000d0";
pub(crate) const KIND: &str = "x-cutover-kind";

const SESSIONS: &str = "sessions:\n  cookie: madome_access_token\n";
const TENANTS: &str = "tenants: { file:";
const SIGNED_IN: &str = "signed-in: { kind: session }";
const PUBLIC: &str = "  public: { kind: public }\n";
const CHECK: &str = "methods: [GET], policy: signed-in, to: auth, answers: auth";
const REFRESH: &str = "methods: [PATCH], policy: public, to: auth, answers: auth";
const LOGOUT: &str = "methods: [DELETE], policy: public, to: auth, answers: auth";

/// The legacy backend and the new auth, each of which says its own name. The legacy backend also answers the authorizer's
/// question about its sessions.
pub(crate) struct Two {
    pub(crate) legacy: Backend,
    pub(crate) auth: Backend,
}

impl Two {
    pub(crate) fn new() -> Self {
        let says =
            |name: &'static str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
        let legacy = Backend::with(move |seen| {
            if through_the_edge(seen) {
                return says("legacy").into_bytes();
            }
            // A session is good when its signature is, which this backend spells out.
            let is_good = seen
                .header("cookie")
                .is_some_and(|cookie| cookie.ends_with(&format!(".{}", base64url(b"good"))));
            let body = json!({ "user_id": PERSON }).to_string();
            if is_good {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
            } else {
                b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_vec()
            }
        });
        Self { legacy, auth: Backend::answering(says("auth")) }
    }

    /// The dev edge with both kinds of sessions: check by kind, refresh and logout by kind and with shares for the others.
    pub(crate) fn edge(&self) -> EdgeBuilder {
        let legacy = format!(
            "legacy_sessions:\n  cookie: madome_access_token\n  refresh_cookie: madome_refresh_token\n  tenant: {DEMO_TENANT}\n  verify: {{ check: {{ backend: legacy, path: /auth/token, cache_ms: 0, timeout_ms: 5000 }} }}\n\n{TENANTS}"
        );
        let kinds =
            "to: { legacy-session: legacy, session: auth, legacy: 100, auth: 0, sticky: { cookie: device } }";
        Edge::dev()
            .replace("timeout_ms: 200", "timeout_ms: 10000")
            .replace(SESSIONS, &format!("{SESSIONS}  refresh_cookie: madome_refresh_token\n"))
            .replace(TENANTS, &legacy)
            .replace(SIGNED_IN, "signed-in: { kind: session, accept: [session, legacy-session] }")
            .replace(PUBLIC, &format!("{PUBLIC}  renewal: {{ kind: public, ended: refuse }}\n"))
            .replace(CHECK, &CHECK.replace("to: auth", "to: { legacy-session: legacy, session: auth }"))
            .replace(
                REFRESH,
                &REFRESH.replace("to: auth", kinds).replace("policy: public", "policy: renewal"),
            )
            .replace(LOGOUT, &LOGOUT.replace("to: auth", kinds))
            .stand_in("LEGACY_ADDRESS", self.legacy.address())
            .stand_in("AUTH_ADDRESS", self.auth.address())
            .without(Part::Users)
    }

    /// What both backends saw through the edge.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let both = self.legacy.seen().into_iter().chain(self.auth.seen());
        both.filter(through_the_edge).collect()
    }
}

pub(crate) fn through_the_edge(seen: &Seen) -> bool {
    seen.header("x-madome-gw").is_some()
}

/// A token as the legacy backend writes it. Only one with the signature `good` is.
pub(crate) fn legacy_token(session: &str, signature: &str) -> String {
    let payload = json!({ "id": session, "user_id": PERSON, "exp": now() + 3_600, "iat": now(), "_a": true });
    let header = base64url(br#"{"typ":"JWT","alg":"HS256"}"#);
    format!("{header}.{}.{}", base64url(payload.to_string().as_bytes()), base64url(signature.as_bytes()))
}

pub(crate) fn id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// A refresh token as the new auth writes it.
pub(crate) fn refresh_token(edge: &Edge) -> String {
    let mut claims = claims(0);
    claims["aud"] = json!("https://api.dev-domain.test/auth");
    edge.mint().typed("rt+jwt", &claims)
}

pub(crate) fn who(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

pub(crate) fn access(request: Request, token: &str) -> Request {
    request.header("cookie", format!("madome_access_token={token}"))
}
