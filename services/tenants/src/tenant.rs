//! A tenant, and who changes one.

use std::fmt;

use identity::ServiceName;
use kit::{PlatformService, TenantId};
use time::OffsetDateTime;

use crate::standing::Standing;

/// The most characters of a name. Company names of every register are shorter.
pub const MAX_NAME_CHARACTERS: usize = 100;

/// The most characters of a reason: a sentence or two, which an operator reads in the history.
pub const MAX_REASON_CHARACTERS: usize = 500;

/// A tenant's name, in the normal form of texts that people see ([`kit::shown`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// The text is not a valid name, or not a valid reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {why}")]
pub struct InvalidText {
    what: &'static str,
    why: String,
}

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidText`].
    pub fn read(text: &str) -> Result<Self, InvalidText> {
        checked("\"name\"", text, MAX_NAME_CHARACTERS).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checked(what: &'static str, text: &str, most: usize) -> Result<String, InvalidText> {
    let fault = |why: String| InvalidText { what, why };
    let normal = kit::shown::normal(text).map_err(|unseen| fault(unseen.to_string()))?;
    let characters = normal.chars().count();
    if characters == 0 || characters > most {
        return Err(fault(format!("has 1 to {most} characters, not {characters}")));
    }
    Ok(normal)
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id, the same for good.
    pub id: TenantId,
    /// Its name, for people.
    pub name: String,
    /// Whether it may use the product.
    pub standing: Standing,
    /// Grows by one with each change, from 1. Also the version of its history.
    pub version: i64,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// Who changes a tenant, and why. Only a verified service of the platform, or this service itself, is an author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    service: ServiceName,
    request_id: String,
    reason: Option<String>,
}

impl Author {
    /// The service `caller`, with the id of its request.
    ///
    /// # Errors
    /// [`InvalidText`], when `reason` is too long or cannot be seen.
    pub fn new(
        caller: &PlatformService,
        request_id: String,
        reason: Option<&str>,
    ) -> Result<Self, InvalidText> {
        let reason = reason.map(|text| checked("\"reason\"", text, MAX_REASON_CHARACTERS)).transpose()?;
        Ok(Self { service: caller.name.clone(), request_id, reason })
    }

    /// This service itself, which goes on with what the request `request_id` of `service` began.
    #[must_use]
    pub(crate) const fn going_on(service: ServiceName, request_id: String, reason: Option<String>) -> Self {
        Self { service, request_id, reason }
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Why, in the words of the request.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}
