//! The edge's listener for services, in front of routers: verifies who calls, and signs the identity that is passed on.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use clock::{Clock as _, ManualClock};
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use identity::assertion::{Signer, Verifier};
use tower::ServiceExt as _;

use super::{TestHome, Wire};
use crate::caller::{IDENTITY, form};

/// A listener for services on a free port. It ends when it is dropped.
#[derive(Debug)]
pub struct ServiceListener(Wire);

struct Inner {
    verifier: Verifier,
    signer: Signer,
    clock: ManualClock,
    backends: Vec<(&'static str, &'static str, Router)>,
}

impl ServiceListener {
    /// Serves `backends`, each with the beginning of its paths, its name and its routes, to the services with keys in
    /// `home`.
    pub async fn start(
        home: &TestHome,
        clock: &ManualClock,
        backends: Vec<(&'static str, &'static str, Router)>,
    ) -> Self {
        let mut verifier = Verifier::new("dev");
        for service in super::SERVICES {
            let keys = home.home().key(&format!("{service}.jwks.json"));
            verifier = verifier.trust_service_file(&service.parse().unwrap(), &keys).unwrap();
        }
        let signer = Signer::from_file("dev", &home.home().key("identity.pem")).unwrap().in_form(form());
        let inner = Arc::new(Inner { verifier, signer, clock: clock.clone(), backends });
        let answer = move |request: Request| {
            let inner = Arc::clone(&inner);
            async move { inner.answer(request).await }
        };
        Self(Wire::start(Router::new().fallback(answer)).await)
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

impl Inner {
    async fn answer(&self, mut request: Request) -> Response {
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let assertion = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let Some(Ok(caller)) = assertion.map(|text| self.verifier.verify(text, self.clock.now())) else {
            return StatusCode::UNAUTHORIZED.into_response();
        };
        let path = request.uri().path();
        let Some((_, name, router)) = self.backends.iter().find(|(prefix, ..)| path.starts_with(prefix))
        else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let identity = self.signer.sign(&caller, *name, self.clock.now()).unwrap();
        request.headers_mut().insert(IDENTITY, HeaderValue::from_str(&identity).unwrap());
        router.clone().oneshot(super::as_the_edge(request)).await.unwrap()
    }
}
