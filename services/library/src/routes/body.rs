//! The request bodies, with refusals worded as by the legacy backend.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::query::invalid;
use crate::book::{
    LATER_KINDS, MAX_LANGUAGE, MAX_TAG_NAME, MAX_TAGS, MAX_TITLE, OLDER_KINDS, TAG_KINDS, Tag,
};
use crate::books::NewBook;
use crate::error::Error;

/// A book of the seed file, in the form of `POST /books` on the older surface.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct SeedBody(Map<String, Value>);

impl SeedBody {
    /// Returns the id as written, for messages.
    pub(crate) fn id(&self) -> String {
        self.0.get("id").map_or_else(|| "without id".to_owned(), Value::to_string)
    }

    pub(crate) fn check(&self) -> Result<NewBook, Error> {
        older_book(&self.0)
    }
}

/// Reads `POST /books` of the older surface.
pub(super) fn older(headers: &HeaderMap, bytes: &[u8]) -> Result<NewBook, Error> {
    older_book(&object(headers, bytes)?)
}

/// Reads `POST /books` and `PATCH /books` of the later surface: `{id, title, kind, tags}`. Language and number of
/// pages may be there too.
pub(super) fn later(headers: &HeaderMap, bytes: &[u8]) -> Result<NewBook, Error> {
    later_book(&object(headers, bytes)?)
}

fn later_book(body: &Map<String, Value>) -> Result<NewBook, Error> {
    Ok(NewBook {
        id: number(body, "id", i32::MAX)?,
        title: text(body, "title", MAX_TITLE)?,
        kind: kind(body, &LATER_KINDS, "-")?,
        language: body.get("language").map(|_| text(body, "language", MAX_LANGUAGE)).transpose()?,
        page: body.get("page").map(|_| number(body, "page", i16::MAX)).transpose()?,
        tags: tags(body)?,
        created_at: body.get("created_at").map(|_| moment(body, "created_at")).transpose()?,
        released: false,
    })
}

/// Reads a book of a batch, which may be released with it: `released`.
fn batch_book(body: &Map<String, Value>) -> Result<NewBook, Error> {
    let released = match body.get("released") {
        None => false,
        Some(Value::Bool(released)) => *released,
        Some(_) => return Err(invalid("\"released\" must be a boolean")),
    };
    Ok(NewBook { released, ..later_book(body)? })
}

/// The longest body with one book: 200 tags of 200 characters, of four bytes at most each, and the rest.
pub(super) const MAX_BOOK_BYTES: usize = 256 * 1024;

/// The most books of one batch. With thirty tags each they take some 3,000 statements, a few seconds of a busy database,
/// and a request may take ten.
pub(super) const MAX_BATCH: usize = 50;

/// Reads `PUT /_/books`: `{books: [{id, title, kind, tags, …}]}`. A refusal names the book by its place, from 0.
pub(super) fn batch(headers: &HeaderMap, bytes: &[u8]) -> Result<Vec<NewBook>, Error> {
    let body = object(headers, bytes)?;
    let Value::Array(all) = required(&body, "books")? else {
        return Err(invalid("\"books\" must be an array"));
    };
    if all.is_empty() || all.len() > MAX_BATCH {
        return Err(invalid(format!("\"books\" must contain 1 to {MAX_BATCH} items")));
    }
    let read = |(place, book): (usize, &Value)| {
        let Value::Object(book) = book else {
            return Err(invalid(format!("\"books[{place}]\" must be of type object")));
        };
        batch_book(book).map_err(|error| match &error {
            Error::Invalid(what) => invalid(format!("\"books[{place}]\": {what}")),
            Error::Unauthenticated
            | Error::Forbidden
            | Error::NoSuchPath
            | Error::NoSuchMethod
            | Error::NotFound(_)
            | Error::Taken
            | Error::NotJson
            | Error::People(_)
            | Error::Outbox(_)
            | Error::Dislikes(_)
            | Error::Store(_) => error,
        })
    };
    all.iter().enumerate().map(read).collect()
}

fn older_book(body: &Map<String, Value>) -> Result<NewBook, Error> {
    for name in ["id", "title", "kind", "language", "page", "tags", "created_at"] {
        required(body, name)?;
    }
    Ok(NewBook {
        id: number(body, "id", i32::MAX)?,
        title: text(body, "title", MAX_TITLE)?,
        kind: kind(body, &OLDER_KINDS, "_")?,
        language: Some(text(body, "language", MAX_LANGUAGE)?),
        page: Some(number(body, "page", i16::MAX)?),
        tags: tags(body)?,
        created_at: Some(moment(body, "created_at")?),
        released: false,
    })
}

/// Reads a JSON object. The legacy framework reads JSON only with its content type, and leaves other bodies empty.
fn object(headers: &HeaderMap, bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Ok(Map::new());
    }
    let value = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(bytes) };
    match value {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(invalid("\"value\" must be of type object")),
        Err(_) => Err(Error::NotJson),
    }
}

fn required<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Error> {
    body.get(name).ok_or_else(|| invalid(format!("\"{name}\" is required")))
}

fn number<T>(body: &Map<String, Value>, name: &str, max: T) -> Result<T, Error>
where
    T: TryFrom<i64> + Into<i64> + Copy,
{
    let Value::Number(given) = required(body, name)? else {
        return Err(invalid(format!("\"{name}\" must be a number")));
    };
    // JSON has one type of number: 1.0 is 1, and 1e30 is an integer too.
    let number = given.as_i64().or_else(|| given.as_f64().filter(|number| number.fract() == 0.0).map(whole));
    let number = number.ok_or_else(|| invalid(format!("\"{name}\" must be an integer")))?;
    if number < 1 {
        return Err(invalid(format!("\"{name}\" must be greater than or equal to 1")));
    }
    T::try_from(number)
        .map_err(|_| invalid(format!("\"{name}\" must be less than or equal to {}", max.into())))
}

/// Converts a number without a fraction; one that does not fit becomes the nearest that does.
#[expect(clippy::cast_possible_truncation, reason = "the conversion saturates")]
fn whole(number: f64) -> i64 {
    number as i64
}

fn text(body: &Map<String, Value>, name: &str, max: usize) -> Result<String, Error> {
    let Value::String(text) = required(body, name)? else {
        return Err(invalid(format!("\"{name}\" must be a string")));
    };
    if text.is_empty() {
        return Err(invalid(format!("\"{name}\" is not allowed to be empty")));
    }
    if text.chars().count() > max {
        return Err(invalid(format!(
            "\"{name}\" length must be less than or equal to {max} characters long"
        )));
    }
    // PostgreSQL cannot store it.
    if text.contains('\0') {
        return Err(invalid(format!("\"{name}\" contains an invalid character")));
    }
    Ok(text.clone())
}

fn kind(body: &Map<String, Value>, known: &[&'static str], dash: &str) -> Result<&'static str, Error> {
    let given = required(body, "kind")?.as_str().unwrap_or_default();
    let found = known.iter().find(|kind| kind.replace('_', dash) == given);
    found.copied().ok_or_else(|| {
        // As the legacy backend lists them.
        let all: Vec<String> = known.iter().map(|kind| kind.replace('_', dash)).collect();
        invalid(format!("\"kind\" must be one of [{}]", all.join(", ")))
    })
}

fn tags(body: &Map<String, Value>) -> Result<Vec<Tag>, Error> {
    let Value::Array(all) = required(body, "tags")? else {
        return Err(invalid("\"tags\" must be an array"));
    };
    if all.is_empty() {
        return Err(invalid("\"tags\" must contain at least 1 items"));
    }
    if all.len() > MAX_TAGS {
        return Err(invalid(format!("\"tags\" must contain less than or equal to {MAX_TAGS} items")));
    }
    let tags: Option<Vec<Tag>> = all.iter().map(tag).collect();
    tags.ok_or_else(|| invalid("\"tags\" does not match any of the allowed types"))
}

/// Reads `[kind, name]` or `{kind, name}`.
fn tag(value: &Value) -> Option<Tag> {
    let (kind, name) = match value {
        Value::Array(pair) => match pair.as_slice() {
            [kind, name] => (kind, name),
            _ => return None,
        },
        Value::Object(tag) if tag.len() == 2 => (tag.get("kind")?, tag.get("name")?),
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    let (kind, name) = (kind.as_str()?, name.as_str()?);
    let whole = TAG_KINDS.contains(&kind)
        && (1..=MAX_TAG_NAME).contains(&name.chars().count())
        && !name.contains('\0');
    whole.then(|| Tag { kind: kind.to_owned(), name: name.to_owned() })
}

/// Reads a time: ISO 8601, RFC 2822, or milliseconds since 1970. Finer parts than milliseconds are dropped.
fn moment(body: &Map<String, Value>, name: &str) -> Result<OffsetDateTime, Error> {
    let given = required(body, name)?;
    let found = given.as_i64().map_or_else(
        || given.as_str().and_then(written),
        |millis| OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok(),
    );
    found
        .and_then(|moment| moment.checked_to_offset(UtcOffset::UTC))
        .filter(|moment| moment.year() >= 1)
        .and_then(|moment| moment.replace_millisecond(moment.millisecond()).ok())
        .ok_or_else(|| invalid(format!("\"{name}\" must be a valid date")))
}

/// Reads ISO 8601 or RFC 2822. Of ISO 8601, seconds, offset and time of day may be missing; a time without an offset is UTC.
fn written(text: &str) -> Option<OffsetDateTime> {
    const MINUTES: &[BorrowedFormatItem<'_>] = format_description!(
        "[year]-[month]-[day]T[hour]:[minute][offset_hour sign:mandatory]:[offset_minute]"
    );
    const LOCAL: &[BorrowedFormatItem<'_>] = format_description!(
        "[year]-[month]-[day]T[hour]:[minute][optional [:[second][optional [.[subsecond]]]]]"
    );
    let local = || PrimitiveDateTime::parse(text.strip_suffix('Z').unwrap_or(text), LOCAL).ok();
    let day = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc2822))
        .or_else(|_| OffsetDateTime::parse(text, MINUTES))
        .ok()
        .or_else(|| local().map(PrimitiveDateTime::assume_utc))
        .or_else(|| day().map(|day| day.midnight().assume_utc()))
}
