//! What is told to a person, and its limits.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most bytes of a push message's texts and data: FCM takes 4,096 bytes of payload, and its frame needs some.
const MAX_PUSH_BYTES: usize = 3_500;

/// The most bytes of a device's registration token. Today's have about 160, and Firebase names 4 KiB as the limit; the users
/// service stores tokens up to it.
const MAX_DEVICE_BYTES: usize = 4_096;

/// The most characters of a subject: RFC 5322 wants lines of at most 998 bytes, and mail programs show far fewer.
const MAX_SUBJECT_CHARS: usize = 200;

/// The most bytes of a letter's text. A login code and a summary of a week need less than a tenth.
const MAX_TEXT_BYTES: usize = 32 * 1024;

/// The kind of rows of the outbox that are push messages.
pub const PUSH: &str = "push";

/// The kind of rows that are letters.
pub const MAIL: &str = "mail";

/// A message. Exactly one of `push` and `mail`. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Message {
    /// The tenant of the person.
    pub tenant_id: String,
    /// A push message to one device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// A letter to one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
}

/// A push message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Push {
    /// The registration token of the device.
    pub device: String,
    /// The title.
    pub title: String,
    /// The text.
    pub body: String,
    /// What the application reads.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}

/// A letter.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// The text, without markup.
    pub text: String,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("tenant_id", &self.tenant_id).finish_non_exhaustive()
    }
}

/// What a checked message is.
#[derive(Clone, Copy)]
pub enum Content<'m> {
    /// A push message.
    Push(&'m Push),
    /// A letter.
    Mail(&'m Mail),
}

impl Message {
    /// Checks the limits, and returns what it is. The error says what to change, without the content.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&self) -> Result<Content<'_>, String> {
        if self.tenant_id.parse::<identity::TenantId>().is_err() {
            return Err("`tenantId` is not a tenant's id".to_owned());
        }
        match (&self.push, &self.mail) {
            (Some(push), None) => push.check().map(|()| Content::Push(push)),
            (None, Some(mail)) => mail.check().map(|()| Content::Mail(mail)),
            _ => Err("write exactly one of `push` and `mail`".to_owned()),
        }
    }
}

impl Push {
    fn check(&self) -> Result<(), String> {
        let is_token = !self.device.is_empty() && self.device.bytes().all(|b| b.is_ascii_graphic());
        if !is_token || self.device.len() > MAX_DEVICE_BYTES {
            return Err(format!("`push.device` has 1 to {MAX_DEVICE_BYTES} visible ASCII characters"));
        }
        let data: usize = self.data.iter().map(|(name, value)| name.len() + value.len()).sum();
        let length = self.title.len() + self.body.len() + data;
        if length > MAX_PUSH_BYTES || self.title.is_empty() {
            return Err(format!("`push` has a title, and with body and data at most {MAX_PUSH_BYTES} bytes"));
        }
        let data = self.data.iter().flat_map(|(name, value)| [name, value]);
        match [&self.title, &self.body].into_iter().chain(data).any(|text| text.contains('\0')) {
            // PostgreSQL has no text with one.
            true => Err("`push` has no NUL in title, body and data".to_owned()),
            false => Ok(()),
        }
    }
}

impl Mail {
    fn check(&self) -> Result<(), String> {
        if !kit::email::is_address(&self.to) {
            return Err("`mail.to` is not an e-mail address".to_owned());
        }
        let chars = self.subject.chars().count();
        if chars == 0 || chars > MAX_SUBJECT_CHARS || self.subject.chars().any(char::is_control) {
            return Err(format!("`mail.subject` is one line of 1 to {MAX_SUBJECT_CHARS} characters"));
        }
        match self.text.is_empty() || self.text.len() > MAX_TEXT_BYTES || self.text.contains('\0') {
            true => Err(format!("`mail.text` has 1 to {MAX_TEXT_BYTES} bytes and no NUL")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_events_describes_the_messages_that_are_taken() {
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        let name = "https://events.invalid/notification.schema.json";
        compiler.add_resource(name, serde_json::from_str(events::NOTIFICATION_SCHEMA).unwrap()).unwrap();
        let schema = compiler.compile(name, &mut schemas).unwrap();
        for (data, is_taken) in [
            (r#"{"push":{"device":"d","title":"T","body":"","data":{"a":"b"}}}"#, true),
            (r#"{"mail":{"to":"a@example.com","subject":"S","text":"T"}}"#, true),
            (r#"{"push":{"device":"d","title":"","body":""}}"#, false),
            (r#"{"push":{"device":"d d","title":"T","body":""}}"#, false),
            (r#"{"push":{"device":"d","title":"T"}}"#, false),
            (r#"{"push":{"device":"d","title":"T","body":"","data":{"a":1}}}"#, false),
            (r#"{"push":{"device":"d","title":"T","body":"","more":1}}"#, false),
            (r#"{"push":{"device":"d","title":"A\nB","body":"C\nD","data":{"a":"b\nc"}}}"#, true),
            (r#"{"push":{"device":"d","title":"T\u0000","body":""}}"#, false),
            (r#"{"push":{"device":"d","title":"T","body":"\u0000"}}"#, false),
            (r#"{"push":{"device":"d","title":"T","body":"","data":{"a":"\u0000"}}}"#, false),
            (r#"{"push":{"device":"d","title":"T","body":"","data":{"\u0000":"a"}}}"#, false),
            (r#"{"push":{"device":"d\u0000","title":"T","body":""}}"#, false),
            (r#"{"mail":{"to":"a@example.com","subject":"","text":"T"}}"#, false),
            (r#"{"mail":{"to":"a@example.com","subject":"S\u0000","text":"T"}}"#, false),
            (r#"{"mail":{"to":"a@example.com","subject":"S\nT","text":"T"}}"#, false),
            (r#"{"mail":{"to":"a@example.com","subject":"S","text":"T\u0000"}}"#, false),
            (r#"{"mail":{"to":"a\u0000@example.com","subject":"S","text":"T"}}"#, false),
            (r#"{"mail":{"to":"a@example.com","subject":"S","text":"T\nU"}}"#, true),
            (r"{}", false),
        ] {
            let value: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(schemas.validate(&value, schema).is_ok(), is_taken, "{data}");
            let mut message = value;
            message["tenantId"] = "t".into();
            let taken =
                serde_json::from_value::<Message>(message).is_ok_and(|message| message.check().is_ok());
            assert_eq!(taken, is_taken, "{data}");
        }
    }

    #[test]
    fn a_message_is_checked_and_the_reason_does_not_repeat_it() {
        let read = |text: &str| serde_json::from_str::<Message>(text).map_err(|error| error.to_string());
        let checked = |text: &str| read(text).and_then(|message| message.check().map(drop));
        let push = |fields: &str| format!(r#"{{"tenantId":"t","push":{{{fields}}}}}"#);
        let mail = |fields: &str| format!(r#"{{"tenantId":"t","mail":{{{fields}}}}}"#);
        assert_eq!(checked(&push(r#""device":"d","title":"T","body":"B","data":{"a":"b"}"#)), Ok(()));
        assert_eq!(checked(&mail(r#""to":"a@example.com","subject":"S","text":"T""#)), Ok(()));
        let long = "x".repeat(MAX_PUSH_BYTES);
        for wrong in [
            push(r#""device":"","title":"T","body":"""#),
            push(r#""device":"hunter2 ","title":"T","body":"""#),
            push(&format!(r#""device":"d","title":"T","body":"{long}""#)),
            mail(r#""to":"hunter2","subject":"S","text":"T""#),
            mail(r#""to":"a@example.com","subject":"S\nBcc: hunter2","text":"T""#),
            mail(r#""to":"a@example.com","subject":"","text":"T""#),
            mail(r#""to":"a@example.com","subject":"S","text":"""#),
            r#"{"tenantId":"t"}"#.to_owned(),
            r#"{"tenantId":"","mail":{"to":"a@example.com","subject":"S","text":"T"}}"#.to_owned(),
        ] {
            let error = checked(&wrong).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let message = read(&mail(r#""to":"a@example.com","subject":"S","text":"hunter2""#)).unwrap();
        assert!(!format!("{message:?}").contains("hunter2"));
    }
}
