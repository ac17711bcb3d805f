//! What every event has in common. `envelope.schema.json` is the contract: an event is checked by it before it is written,
//! and again when it arrives.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas, ValidationError};
use clock::UnixTime;
use identity::{SubjectId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::moment;

/// The JSON Schema of an event.
pub const SCHEMA: &str = include_str!("envelope.schema.json");

/// The most bytes of an event as JSON. Events name what changed, and a consumer that needs more asks the owner of the data.
/// A queue of [`MAX_WAITING`](crate::bus::MAX_WAITING) such events would still fit a broker's disk.
pub const MAX_BYTES: usize = 64 * 1024;

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The same for an event that arrives twice.
    pub id: Uuid,
    /// What happened to what; also the routing key.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The version of the form of `data`, from 1.
    pub version: u16,
    /// When it happened, to the millisecond.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// The tenant that it belongs to.
    pub tenant_id: TenantId,
    /// The program that says so.
    pub source: Source,
    /// What happened, in the form of its type and version.
    pub data: Map<String, Value>,
    /// How it came to be.
    pub metadata: Metadata,
}

/// The program that an event comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The name of the service.
    pub service: String,
    /// The process, such as its host and a random part.
    pub instance: String,
}

/// How an event came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The same in all events of one request; usually the request's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correlation_id: Option<String>,
    /// The event or the request that caused this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causation_id: Option<String>,
    /// The person who acted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_id: Option<SubjectId>,
}

/// `{module}.{resource}.{action}`, such as `tenants.tenant.suspended`: lower-case letters, digits and `_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventType(String);

/// The most bytes of one part of a type: three of them and two dots fit AMQP's 255 bytes of a routing key.
const MAX_PART_BYTES: usize = 40;

/// A text that is not a type of events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a type of events; write {{module}}.{{resource}}.{{action}}, each of 1 to 40 lower-case letters, digits and `_`, \
     with a letter first"
)]
pub struct InvalidType(String);

impl FromStr for EventType {
    type Err = InvalidType;

    fn from_str(text: &str) -> Result<Self, InvalidType> {
        let is_part = |part: &str| {
            part.len() <= MAX_PART_BYTES
                && part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        match text.split('.').filter(|part| is_part(part)).count() == 3 && text.split('.').count() == 3 {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidType(text.chars().take(128).collect())),
        }
    }
}

impl TryFrom<String> for EventType {
    type Error = InvalidType;

    fn try_from(text: String) -> Result<Self, InvalidType> {
        text.parse()
    }
}

impl From<EventType> for String {
    fn from(EventType(text): EventType) -> Self {
        text
    }
}

impl EventType {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A text that is not an event. It does not repeat the content, which may be personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// Too long.
    #[error(
        "an event has at most {MAX_BYTES} bytes, not {0}; put a reference into it and keep the content with its owner"
    )]
    TooLarge(usize),
    /// Not JSON, or not of the types that the schema leaves open, such as a date that does not exist.
    #[error("an event cannot be read: {0}")]
    Unreadable(String),
    /// JSON that the schema refuses.
    #[error("an event does not follow envelope.schema.json: `{place}` is not as `{rule}` of the schema says")]
    Refused {
        /// Where in the event, as a JSON pointer.
        place: String,
        /// Which part of the schema, as a JSON pointer.
        rule: String,
    },
}

impl Envelope {
    /// A new event of now, with an id of its own and no metadata.
    #[must_use]
    pub fn new(
        kind: EventType,
        tenant_id: TenantId,
        source: Source,
        data: Map<String, Value>,
        now: UnixTime,
    ) -> Self {
        let (id, timestamp) = (moment::id(now), moment::whole(now));
        Self { id, kind, version: 1, timestamp, tenant_id, source, data, metadata: Metadata::default() }
    }

    /// The same event as a consequence of `cause`.
    #[must_use]
    pub fn caused_by(mut self, cause: &Self) -> Self {
        let first = || cause.id.to_string();
        self.metadata.correlation_id = Some(cause.metadata.correlation_id.clone().unwrap_or_else(first));
        self.metadata.causation_id = Some(cause.id.to_string());
        self.metadata.user_id.clone_from(&cause.metadata.user_id);
        self
    }

    /// Returns the event as JSON, checked by the schema.
    ///
    /// # Errors
    /// [`InvalidEvent`].
    pub fn to_json(&self) -> Result<String, InvalidEvent> {
        let value = serde_json::to_value(self).map_err(|error| unreadable(&error))?;
        check(&value)?;
        let text = value.to_string();
        if text.len() > MAX_BYTES { Err(InvalidEvent::TooLarge(text.len())) } else { Ok(text) }
    }

    /// Reads an event and checks it by the schema.
    ///
    /// # Errors
    /// [`InvalidEvent`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidEvent> {
        if bytes.len() > MAX_BYTES {
            return Err(InvalidEvent::TooLarge(bytes.len()));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
        check(&value)?;
        serde_json::from_value(value).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &serde_json::Error) -> InvalidEvent {
    // The error of a wrong type repeats the value.
    InvalidEvent::Unreadable(format!(
        "{:?} error at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    ))
}

fn check(value: &Value) -> Result<(), InvalidEvent> {
    static SCHEMAS: LazyLock<Result<(Schemas, SchemaIndex), String>> =
        LazyLock::new(|| compiled().map_err(|error| error.to_string()));
    let (schemas, event) = SCHEMAS.as_ref().map_err(|error| InvalidEvent::Unreadable(error.clone()))?;
    schemas.validate(value, *event).map_err(|error| {
        let error = innermost(&error);
        let rule = error.schema_url.split_once('#').map_or("", |(_, rule)| rule);
        InvalidEvent::Refused { place: error.instance_location.to_string(), rule: rule.to_owned() }
    })
}

fn compiled() -> Result<(Schemas, SchemaIndex), Box<dyn std::error::Error>> {
    // A name under which the library finds the text; nothing is loaded from there.
    let name = "https://events.invalid/envelope.schema.json";
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(name, serde_json::from_str(SCHEMA)?)?;
    let event = compiler.compile(name, &mut schemas)?;
    Ok((schemas, event))
}

/// The error that says which value is wrong; those around it say only that something inside is.
fn innermost<'e, 's, 'v>(error: &'e ValidationError<'s, 'v>) -> &'e ValidationError<'s, 'v> {
    error.causes.first().map_or(error, innermost)
}

#[cfg(test)]
mod tests;
