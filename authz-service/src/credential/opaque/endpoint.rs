//! Queries an introspection endpoint (RFC 7662 §2.1): the token goes out in the body of a POST, to the one
//! address that the edge file names.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clock::UnixTime;
use edge_config::edge::{ClaimRules, Introspection, IntrospectionClient};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use crate::credential::fault::TokenFault;
use crate::credential::opaque::answer::{Described, Description};
use crate::credential::opaque::circuit::Circuit;
use crate::credential::opaque::connection::Connection;
use crate::credential::opaque::secret::{ClientSecret, trimmed};
use crate::failure::Failure;
use crate::outbound::cause;
use crate::source::trouble::Trouble;

/// An answer names what a token of the same issuer would: 12 KiB of roles at most, and little more.
const MAX_ANSWER_BYTES: usize = 65_536;

/// What the edge proves itself with.
#[derive(Debug)]
pub struct Proof {
    /// The connection, which presents a certificate where there is one.
    pub connection: Arc<Connection>,
    /// The secret; absent where the certificate is enough.
    pub secret: Option<Arc<ClientSecret>>,
}

/// One endpoint.
pub struct Endpoint {
    rules: Introspection,
    proof: Proof,
    circuit: Circuit,
    trouble: ArcSwap<Option<Trouble>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.rules.url).finish_non_exhaustive()
    }
}

/// Why a query brought no answer.
enum Lack {
    /// The endpoint, or the way to it, fails: another query would, too.
    Endpoint(String),
    /// This answer is not one.
    Answer(String),
}

impl Endpoint {
    /// The endpoint by `rules`, where the edge proves itself with `proof`. Does not connect yet.
    #[must_use]
    pub fn new(rules: &Introspection, proof: Proof) -> Self {
        let (circuit, trouble) = (Circuit::default(), ArcSwap::from_pointee(None));
        Self { rules: rules.clone(), proof, circuit, trouble }
    }

    /// Its state in a few words.
    #[must_use]
    pub fn detail(&self) -> String {
        let of_secret = self.proof.secret.as_ref().and_then(|secret| secret.trouble());
        if let Some(what) = of_secret.or_else(|| self.proof.connection.trouble()) {
            return what;
        }
        match self.trouble.load().as_ref() {
            None => self.rules.url.clone(),
            Some(trouble) => format!("no answer since {}: {}", trouble.since().seconds(), trouble.what()),
        }
    }

    /// What the endpoint says of `token`, by the names in `claims`, within `patience`.
    ///
    /// # Errors
    /// [`Failure::IntrospectionUnavailable`] when it says nothing.
    pub async fn describe(
        &self,
        token: &str,
        claims: &Arc<ClaimRules>,
        patience: Duration,
        now: UnixTime,
    ) -> Result<Result<Arc<Description>, TokenFault>, Failure> {
        let body = self.ask(token, patience, now).await?;
        match Description::read(&body, claims) {
            Ok(Described::Active(description)) => Ok(Ok(Arc::new(description))),
            Ok(Described::Unusable(fault)) => Ok(Err(fault)),
            Ok(Described::Inactive) => Ok(Err(TokenFault::Inactive)),
            Err(what) => Err(self.lacks(&what, now)),
        }
    }

    /// The body of the endpoint's answer about `token`, within `patience`.
    ///
    /// # Errors
    /// [`Failure::IntrospectionUnavailable`].
    pub async fn ask(&self, token: &str, patience: Duration, now: UnixTime) -> Result<Vec<u8>, Failure> {
        let Some(client) = self.proof.connection.current(now) else {
            return Err(Failure::IntrospectionUnavailable);
        };
        let secret = match &self.proof.secret {
            None => None,
            Some(secret) => Some(secret.current(now).ok_or(Failure::IntrospectionUnavailable)?),
        };
        let secret = secret.as_deref().map(trimmed).unwrap_or_default();
        if !self.circuit.admits(Instant::now()) {
            return Err(Failure::IntrospectionUnavailable);
        }
        match self.post(&client, token, secret, patience).await {
            Ok(body) => {
                self.circuit.answered();
                if self.trouble.load().is_some() {
                    self.trouble.store(Arc::new(None));
                }
                Ok(body)
            }
            Err(Lack::Endpoint(what)) => {
                self.circuit.failed(Instant::now());
                Err(self.lacks(&what, now))
            }
            Err(Lack::Answer(what)) => Err(self.lacks(&what, now)),
        }
    }

    async fn post(
        &self,
        client: &reqwest::Client,
        token: &str,
        secret: &[u8],
        patience: Duration,
    ) -> Result<Vec<u8>, Lack> {
        let mut form = format!("token={}", form_encoded(token.as_bytes()));
        if let Some(hint) = &self.rules.token_type_hint {
            form.push_str(&format!("&token_type_hint={}", form_encoded(hint.as_bytes())));
        }
        let authorization = match &self.rules.client {
            // RFC 6749 §2.3.1: both are form-encoded before they are joined.
            IntrospectionClient::Basic { client_id, secret: _ } => {
                let pair = format!("{}:{}", form_encoded(client_id.as_bytes()), form_encoded(secret));
                Some(format!("Basic {}", STANDARD.encode(pair)).into_bytes())
            }
            IntrospectionClient::Bearer { secret: _ } => Some([b"Bearer ", secret].concat()),
            IntrospectionClient::Post { client_id, secret: _ } => {
                let (id, secret) = (form_encoded(client_id.as_bytes()), form_encoded(secret));
                form.push_str(&format!("&client_id={id}&client_secret={secret}"));
                None
            }
            // RFC 8705 §2: the id finds the client, and the certificate proves it.
            IntrospectionClient::Certificate { client_id } => {
                form.push_str(&format!("&client_id={}", form_encoded(client_id.as_bytes())));
                None
            }
        };
        let mut request = client
            .post(&self.rules.url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .timeout(patience)
            .body(form);
        if let Some(value) = authorization {
            let mut value =
                HeaderValue::from_bytes(&value).map_err(|error| Lack::Endpoint(error.to_string()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            let slow = if error.is_timeout() { " (no answer in time)" } else { "" };
            Lack::Endpoint(format!("{}{slow}", cause(&error)))
        };
        let mut response = request.send().await.map_err(failed)?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => {
                return Err(Lack::Endpoint("it refuses the edge's own id, secret or certificate".to_owned()));
            }
            status @ (429 | 500..) => return Err(Lack::Endpoint(format!("status {status}"))),
            status => return Err(Lack::Answer(format!("status {status}"))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Lack::Answer(format!("the answer has more than {MAX_ANSWER_BYTES} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Notes and logs why there is no answer. `what` never holds a token or the secret.
    fn lacks(&self, what: &str, now: UnixTime) -> Failure {
        if Trouble::note(&self.trouble, what.to_owned(), now) {
            tracing::warn!(url = self.rules.url, what, "an introspection endpoint did not describe a token");
        }
        Failure::IntrospectionUnavailable
    }
}

/// `text` as a value of `application/x-www-form-urlencoded`.
fn form_encoded(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                encoded.push(char::from(*byte))
            }
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_form_can_hold_anything() {
        for (text, expected) in
            [("aZ0-._*", "aZ0-._*"), ("a b&c=d", "a+b%26c%3Dd"), ("%+/é", "%25%2B%2F%C3%A9")]
        {
            assert_eq!(form_encoded(text.as_bytes()), expected);
        }
    }
}
