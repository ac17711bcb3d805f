//! `SendEmail` of SES v2 (<https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use provider_call::{Answer, Answered, Unusable, call};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Request, Url};
use serde_json::{Value, json};

use crate::keys::Keys;
use crate::signature::{Signed, sign};

/// The path of the operation.
const PATH: &str = "/v2/email/outbound-emails";

/// The content type, which is signed.
const JSON: &str = "application/json";

/// Errors with status 400 that are about the account or its sender, and so not about a letter.
const OF_THE_ACCOUNT: [&str; 9] = [
    "AccountSuspendedException",
    "SendingPausedException",
    "MailFromDomainNotVerifiedException",
    "LimitExceededException",
    "ThrottlingException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "RequestExpired",
];

/// A letter. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The address of the one recipient.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text, without markup.
    pub text: String,
    /// The sender's own id of the letter, which appears among its tags in the events of SES: letters, digits, `-` and `_`.
    pub id: String,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is known of a letter that was to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// SES accepted it, under this id.
    Accepted(String),
    /// SES did not take it, and may later: `after` the wait that it asked for.
    Later {
        /// What happened.
        error: String,
        /// The wait.
        after: Option<Duration>,
    },
    /// SES cannot be reached; nothing was sent.
    Unavailable(String),
    /// SES will never take it.
    Refused(String),
    /// The request was sent and its answer lost.
    Unknown(String),
}

/// Sends letters of one sender.
#[derive(Clone, Debug)]
pub struct Ses {
    client: Client,
    url: Url,
    region: String,
    from: String,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

impl Ses {
    /// Sends as `from` in `region`, at `url` or else at the region's own address.
    ///
    /// # Errors
    /// [`Unusable`], which names the fix.
    pub fn new(
        region: &str,
        url: Option<&str>,
        from: &str,
        keys: Keys,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Unusable> {
        let own = || format!("https://email.{region}.amazonaws.com");
        let url = provider_call::address(&url.map_or_else(own, str::to_owned))?;
        let client = provider_call::client()?;
        Ok(Self { client, url, region: region.to_owned(), from: from.to_owned(), keys, clock })
    }

    /// Sends `letter`.
    pub async fn send(&self, letter: &Letter) -> Sent {
        let request = match self.request(letter) {
            Ok(request) => request,
            Err(error) => return Sent::Refused(error),
        };
        match call(&self.client, request).await {
            Answer::Answered(answered) => settled(&answered),
            Answer::NotSent(error) => Sent::Unavailable(error),
            Answer::Unknown(error) => Sent::Unknown(error),
        }
    }

    fn request(&self, letter: &Letter) -> Result<Request, String> {
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        let body = json!({
            "FromEmailAddress": self.from,
            "Destination": { "ToAddresses": [letter.to] },
            "Content": { "Simple": { "Subject": text(&letter.subject), "Body": { "Text": text(&letter.text) } } },
            "EmailTags": [{ "Name": "message", "Value": letter.id }],
        });
        let body = body.to_string().into_bytes();
        let url = self.url.join(PATH).map_err(|error| error.to_string())?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let signed = Signed {
            host: &host,
            path: PATH,
            content_type: Some(JSON),
            body: &body,
            region: &self.region,
            service: "ses",
        };
        let headers = sign(&signed, &self.keys, self.clock.now());
        self.client
            .request(Method::POST, url)
            .header(CONTENT_TYPE, JSON)
            .header("x-amz-date", headers.date)
            .header(AUTHORIZATION, headers.authorization)
            .body(body)
            .build()
            .map_err(|error| error.without_url().to_string())
    }
}

fn settled(answered: &Answered) -> Sent {
    let error = || answered.shown();
    match answered.status {
        200..=299 => {
            let body: Option<Value> = serde_json::from_slice(&answered.body).ok();
            let id = body.as_ref().and_then(|body| body.get("MessageId")?.as_str());
            Sent::Accepted(id.unwrap_or_default().to_owned())
        }
        400 if answered.error_type.as_deref().is_some_and(|kind| OF_THE_ACCOUNT.contains(&kind)) => {
            Sent::Later { error: error(), after: answered.retry_after }
        }
        // This letter is wrong, or too long.
        400 | 413 => Sent::Refused(error()),
        // The rest says nothing about this letter: too many, a fault of theirs, credentials that are being replaced, a clock
        // that is set, a sender that does not exist yet.
        _ => Sent::Later { error: error(), after: answered.retry_after },
    }
}
