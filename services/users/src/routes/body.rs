//! The request bodies, with refusals worded as by the legacy backend.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use identity::Role;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::account::{Change, Profile};
use crate::error::Error;

/// Names and handles have at most this many characters (not bytes).
const MAX_NAME_CHARACTERS: usize = 20;

/// The highest role for a new account: the API creates no bots.
const MAX_NEW_ROLE: u32 = 1;

/// What a person changes of their account. Fields that are absent stay as they are.
#[derive(Deserialize, ToSchema)]
#[schema(as = AccountChange)]
pub(super) struct ChangeBody {
    /// Stored in NFC, without white space at its ends; no invisible characters.
    #[schema(min_length = 1, max_length = 20, example = "Demo")]
    name: Option<String>,
    /// As the name.
    #[schema(min_length = 1, max_length = 20, example = "demo")]
    handle: Option<String>,
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewAccount)]
pub(super) struct NewBody {
    /// Stored in NFC, without white space at its ends; no invisible characters.
    #[schema(min_length = 1, max_length = 20, example = "New")]
    name: String,
    /// As the name.
    #[schema(min_length = 1, max_length = 20, example = "new")]
    handle: String,
    #[schema(format = Email, example = "new@example.com")]
    email: String,
    /// 0 or 1: the API creates no bots.
    #[serde(default)]
    #[schema(maximum = 1)]
    role: u32,
}

pub(super) use older::Payload as OlderNewBody;

mod older {
    use serde::Deserialize;

    /// `POST /users` on the older surface. The parser's messages contain the name of this type, and clients know the one
    /// of the legacy backend.
    #[derive(Deserialize)]
    pub(in crate::routes) struct Payload {
        pub(super) name: String,
        pub(super) email: String,
        #[serde(default)]
        pub(super) role: u8,
    }
}

impl ChangeBody {
    pub(super) fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Error> {
        json(headers, bytes)
    }

    pub(super) fn check(self) -> Result<Change, Error> {
        let Self { name, handle } = self;
        let name = name.map(|name| shown("name", &name)).transpose()?;
        let handle = handle.map(|handle| shown("handle", &handle)).transpose()?;
        Ok(Change { name, handle })
    }
}

impl NewBody {
    pub(super) fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Error> {
        json(headers, bytes)
    }

    pub(super) fn check(self) -> Result<(Profile, Role), Error> {
        let Self { name, handle, email, role } = self;
        let (name, handle) = (shown("name", &name)?, shown("handle", &handle)?);
        let email = address(email)?;
        Ok((Profile { name, handle, email }, new_role(role)?))
    }
}

impl OlderNewBody {
    pub(super) fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Error> {
        json(headers, bytes)
    }

    /// Returns name, e-mail address and role, checked in the legacy backend's order.
    pub(super) fn check(self) -> Result<(String, String, Role), Error> {
        let Self { name, email, role } = self;
        Ok((shown("name", &name)?, address(email)?, new_role(role.into())?))
    }
}

fn address(email: String) -> Result<String, Error> {
    if kit::email::is_address(&email) {
        return Ok(email);
    }
    Err(Error::Invalid(format!("email: \"{}\" is not email", printable(&email))))
}

fn new_role(role: u32) -> Result<Role, Error> {
    let too_high = || Error::Invalid(format!("role: {role} more than {MAX_NEW_ROLE}"));
    if role > MAX_NEW_ROLE {
        return Err(too_high());
    }
    u8::try_from(role).map(Role).map_err(|_| too_high())
}

/// Returns `text` with invisible characters escaped.
fn printable(text: &str) -> String {
    if kit::shown::normal(text).is_ok() { text.to_owned() } else { text.escape_debug().to_string() }
}

/// Parses a JSON body. The content type must start with `application/json`; a charset after it is fine.
pub(super) fn json<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Error> {
    const JSON: &[u8] = b"application/json";
    let given = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    if !given.get(..JSON.len()).is_some_and(|start| start.eq_ignore_ascii_case(JSON)) {
        let given = String::from_utf8_lossy(given);
        return Err(Error::Invalid(format!("Not supported content-type: {given}")));
    }
    serde_json::from_slice(bytes).map_err(|e| Error::Invalid(format!("Json deserialize: {e}")))
}

/// Returns the normal form of a name or handle, which is stored and unique.
pub(crate) fn shown(field: &str, value: &str) -> Result<String, Error> {
    let normal = kit::shown::normal(value)
        // Invisible characters are not returned unescaped.
        .map_err(|unseen| Error::Invalid(format!("{field}: \"{}\" {unseen}", value.escape_debug())))?;
    match normal.chars().count() {
        0 => Err(Error::Invalid(format!("{field}: length of \"{normal}\" less than 1"))),
        1..=MAX_NAME_CHARACTERS => Ok(normal),
        _ => Err(Error::Invalid(format!("{field}: length of \"{normal}\" more than {MAX_NAME_CHARACTERS}"))),
    }
}
