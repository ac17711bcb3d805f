//! One request to a provider outside (mail, push messages), of bounded time and size, and what is known of it afterwards.
//!
//! The difference that matters is whether the provider may have acted: a message that was perhaps sent must not simply be sent
//! again ([`Answer::Unknown`]).

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, StatusCode, Url};

/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How long the whole request may take. A provider's own answer to "too slow" comes after ten.
pub const WITHIN: Duration = Duration::from_secs(15);

/// The most bytes of an answer that are read. Answers name a message or an error, in a few hundred.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The longest part of an answer that reaches an error.
const MAX_SHOWN_CHARS: usize = 300;

/// A provider's client cannot be made, or its address cannot be used.
#[derive(Debug)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// What is known after a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The provider answered.
    Answered(Answered),
    /// The request did not reach the provider: nothing happened there.
    NotSent(String),
    /// The request was sent and no answer came: the provider may have acted.
    Unknown(String),
}

/// A provider's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status code.
    pub status: u16,
    /// The wait that it asks for. A date counts as none, because providers send seconds.
    pub retry_after: Option<Duration>,
    /// The kind of an error of AWS, which writes it into a header; other providers write it into the body.
    pub error_type: Option<String>,
    /// The body, cut off at 64 KiB.
    pub body: Vec<u8>,
}

impl Answered {
    /// Whether the request succeeded.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Status and beginning of the body, for an error.
    #[must_use]
    pub fn shown(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
        format!("{} {body}", self.status)
    }
}

/// Makes the client of a provider: no redirects, because they would carry credentials elsewhere, and no proxy from the
/// environment.
///
/// # Errors
/// [`Unusable`], when the machine has no usable TLS.
pub fn client() -> Result<Client, Unusable> {
    Client::builder()
        .timeout(WITHIN)
        .connect_timeout(CONNECT_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| Unusable(format!("no client for HTTPS: {error}")))
}

/// Reads the address of a provider: `https`, or `http` at this machine alone, because the requests carry credentials.
///
/// # Errors
/// [`Unusable`], which names the fix.
pub fn address(text: &str) -> Result<Url, Unusable> {
    let unusable =
        || Unusable("write an https address; http only for 127.0.0.1, [::1] or localhost".to_owned());
    let url: Url = text.parse().map_err(|_| unusable())?;
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    match (url.scheme(), is_here) {
        ("https", _) | ("http", true) if is_plain => Ok(url),
        _ => Err(unusable()),
    }
}

/// Returns `path` at the provider `base`.
///
/// # Errors
/// [`Unusable`], when the two make no address.
pub fn join(base: &Url, path: &str) -> Result<Url, Unusable> {
    base.join(path).map_err(|_| Unusable(format!("{path:?} is not a path at {base}")))
}

/// Sends `request` and reads the answer.
pub async fn call(client: &Client, request: Request) -> Answer {
    let mut response = match client.execute(request).await {
        Ok(response) => response,
        Err(error) if error.is_connect() || error.is_builder() => return Answer::NotSent(innermost(&error)),
        Err(error) => return Answer::Unknown(innermost(&error)),
    };
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let error_type = error_type(response.headers());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_ANSWER_BYTES.saturating_sub(body.len());
                body.extend(chunk.iter().take(room));
                if room <= chunk.len() {
                    break;
                }
            }
            Ok(None) => break,
            // A refusal counts also without its text. A success without its text is not known to be one.
            Err(_) if !status.is_success() => break,
            Err(error) => return Answer::Unknown(innermost(&error)),
        }
    }
    Answer::Answered(Answered { status: StatusCode::as_u16(&status), retry_after, error_type, body })
}

/// A place of the kind's description can stand behind a colon.
fn error_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-amzn-errortype")?.to_str().ok()?;
    text.split(':').next().map(|kind| kind.trim().to_owned())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost reason of `error`: the outer ones only say what was tried, with the whole address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    // Bounded, because a cycle of causes would never end.
    for _ in 0..8 {
        let Some(inner) = cause.source() else { break };
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_credentials_on_this_machine_or_encrypted() {
        for text in
            ["https://fcm.googleapis.com", "http://127.0.0.1:3000", "http://[::1]:1", "http://localhost/x"]
        {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in
            ["http://example.com", "ftp://localhost", "x", "", "https://u:p@example.com", "https://h/?a=b"]
        {
            assert!(address(text).unwrap_err().to_string().contains("https"), "{text}");
        }
    }

    #[test]
    fn an_error_shows_a_bounded_part_of_an_answer_without_control_characters() {
        let body = format!("a\n\u{1b}[31m{}", "x".repeat(1_000)).into_bytes();
        let shown = Answered { status: 400, retry_after: None, error_type: None, body }.shown();
        assert!(shown.starts_with("400 a[31mx") && shown.len() < 310, "{shown}");
    }
}
