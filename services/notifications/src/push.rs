//! Firebase Cloud Messaging, HTTP v1
//! (<https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send>).
//!
//! FCM has no idempotency key. A message carries its id as collapse key, as tag and as `apns-collapse-id` instead: a second
//! copy replaces the first on the device, so a person sees one.

pub mod account;

use std::time::Duration;

use provider_call::{Answer, Answered, Unusable, call};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::message::Push;
use crate::push::account::{Access, NoAccess};

/// What is known of a push message that was to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// FCM accepted it, under this name.
    Accepted(String),
    /// No message can reach the device under its token again: it is not registered any more, or is no token.
    Gone,
    /// FCM did not take it, and may later: `after` the wait that it asked for.
    Later {
        /// What happened.
        error: String,
        /// The wait.
        after: Option<Duration>,
    },
    /// FCM, or the server of its tokens, cannot be reached; nothing was sent.
    Unavailable(String),
    /// FCM will never take it.
    Refused(String),
    /// The request was sent and its answer lost.
    Unknown(String),
}

/// Sends push messages of one project.
#[derive(Debug)]
pub struct Fcm {
    client: Client,
    url: Url,
    access: Access,
}

impl Fcm {
    /// Sends at `url` (`https://fcm.googleapis.com`) with the access of a service account.
    ///
    /// # Errors
    /// [`Unusable`], which names the fix.
    pub fn new(url: &str, access: Access) -> Result<Self, Unusable> {
        let path = format!("/v1/projects/{}/messages:send", access.project());
        let url = provider_call::join(&provider_call::address(url)?, &path)?;
        Ok(Self { client: provider_call::client()?, url, access })
    }

    /// Sends `push` under the id `id`.
    pub async fn send(&self, id: Uuid, push: &Push) -> Pushed {
        let token = match self.access.token(&self.client).await {
            Ok(token) => token,
            Err(NoAccess::Unavailable(error)) => return Pushed::Unavailable(error),
            Err(NoAccess::Refused(error)) => return Pushed::Later { error, after: None },
        };
        let request = self
            .client
            .post(self.url.clone())
            .header(AUTHORIZATION, format!("Bearer {}", token.as_str()))
            .json(&message(id, push))
            .build();
        let request = match request {
            Ok(request) => request,
            Err(error) => return Pushed::Refused(error.without_url().to_string()),
        };
        match call(&self.client, request).await {
            Answer::Answered(answered) => {
                if answered.status == 401 {
                    self.access.forget(&token).await;
                }
                settled(&answered)
            }
            Answer::NotSent(error) => Pushed::Unavailable(error),
            Answer::Unknown(error) => Pushed::Unknown(error),
        }
    }
}

fn message(id: Uuid, push: &Push) -> Value {
    // 32 bytes: the longest topic of web push; the others allow 64.
    let id = id.as_simple().to_string();
    let mut data = push.data.clone();
    data.insert("notificationId".to_owned(), id.clone());
    json!({ "message": {
        "token": push.device,
        "notification": { "title": push.title, "body": push.body },
        "data": data,
        "android": { "collapse_key": id, "notification": { "tag": id } },
        "apns": { "headers": { "apns-collapse-id": id } },
        "webpush": { "headers": { "Topic": id }, "notification": { "tag": id } },
    } })
}

fn settled(answered: &Answered) -> Pushed {
    let body: Option<Value> = serde_json::from_slice(&answered.body).ok();
    let error = || answered.shown();
    match answered.status {
        200..=299 => {
            let name = body.as_ref().and_then(|body| body.get("name")?.as_str());
            Pushed::Accepted(name.unwrap_or_default().to_owned())
        }
        404 if body.as_ref().is_some_and(|body| has_code(body, "UNREGISTERED")) => Pushed::Gone,
        // The device belongs to another project.
        403 if body.as_ref().is_some_and(|body| has_code(body, "SENDER_ID_MISMATCH")) => {
            Pushed::Refused(error())
        }
        // The fault is in no other part of the message than the token: it never was one, or not for long.
        400 if body.as_ref().is_some_and(is_about_token) => Pushed::Gone,
        // This message is wrong, or too long.
        400 | 413 => Pushed::Refused(error()),
        // The rest says nothing about this message or device: too many, a fault of theirs, an access token that was
        // withdrawn (401), an account without the permission (403), a project that does not exist (404).
        _ => Pushed::Later { error: error(), after: answered.retry_after },
    }
}

/// Whether the token of the device is the one field that the error finds wrong.
fn is_about_token(body: &Value) -> bool {
    let details = body.pointer("/error/details").and_then(Value::as_array);
    let violations =
        details.into_iter().flatten().filter_map(|detail| detail.get("fieldViolations")?.as_array());
    let mut fields =
        violations.flatten().map(|violation| violation.get("field").and_then(Value::as_str)).peekable();
    fields.peek().is_some() && fields.all(|field| field == Some("message.token"))
}

/// Whether one of the error's details has this code of FCM.
fn has_code(body: &Value, code: &str) -> bool {
    let details = body.pointer("/error/details").and_then(Value::as_array);
    let has = |detail: &Value| detail.get("errorCode").and_then(Value::as_str) == Some(code);
    details.is_some_and(|details| details.iter().any(has))
}
