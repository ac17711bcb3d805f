//! The grant: the part of an allow that the edge may use again.

use crate::lines::{Malformed, Reader, Unfit, put, put_number};
use crate::tag::Tag;

/// The name of the field of ext_authz's dynamic metadata that holds a grant.
pub const FIELD: &str = "lease";

/// The first line of a grant. A guard that knows another version keeps nothing.
const VERSION: &str = "lease 2";

/// A decision about a person rests on four things (session, person, tenant, signing key); twice that leaves room.
const MAX_TAGS: usize = 8;

/// There are eight identity headers; twice that leaves room.
const MAX_HEADERS: usize = 16;

/// Longer grants are neither written nor kept: three quarters of one slot; the credential takes the rest.
const MAX_BYTES: usize = 6_144;

/// The longest time that a grant may last, in milliseconds: shorter than [`WINDOW_MS`](crate::WINDOW_MS), so that
/// the feed lists every invalidation in the whole life of a lease.
pub(crate) const MAX_LIFETIME_MS: u32 = 25_000;

/// An allow that the edge may use again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How long, in milliseconds from when the edge gets it: 1 to 25,000. Never past the token's `exp` or the
    /// useful life of the signed identity.
    pub lifetime_ms: u32,
    /// How many more requests, at least 1. They are counted already by every limit of the route.
    pub uses: u32,
    /// The route of the decision. A guard whose own table names another route keeps nothing.
    pub route: String,
    /// The policy behind the decision.
    pub policy: String,
    /// The revision of the edge file behind the decision. A guard of another revision keeps nothing: for a moment Envoy
    /// may have the guard of one revision and the routes of another.
    pub revision: String,
    /// The id of the request that was checked: `lease_of` in the access log.
    pub request_id: String,
    /// What the decision rests on, one to eight.
    pub tags: Vec<Tag>,
    /// The identity headers for the backend, in order: at least one, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The fields of the access log that describe the decision.
    pub log: LogFields,
}

/// The fields of the access log that describe a decision; the same for every request that a lease serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFields {
    /// The reason for the allow.
    pub reason: String,
    /// The person.
    pub subject: String,
    /// Their session.
    pub session: String,
    /// Their tenant.
    pub tenant: String,
}

impl Grant {
    /// The text for the field [`FIELD`].
    ///
    /// # Errors
    /// [`Unfit`] when a value cannot be written or is out of its bounds: grant no lease then.
    pub fn encode(&self) -> Result<String, Unfit> {
        let unfit = |field| Err(Unfit { field });
        if !(1..=MAX_LIFETIME_MS).contains(&self.lifetime_ms) {
            return unfit("lifetime_ms");
        }
        if self.uses == 0 {
            return unfit("uses");
        }
        if self.tags.is_empty() || self.tags.len() > MAX_TAGS {
            return unfit("tags");
        }
        if self.headers.is_empty() || self.headers.len() > MAX_HEADERS {
            return unfit("headers");
        }
        let mut out = String::with_capacity(1_536);
        put(&mut out, "version", VERSION)?;
        put_number(&mut out, self.lifetime_ms);
        put_number(&mut out, self.uses);
        put(&mut out, "route", &self.route)?;
        put(&mut out, "policy", &self.policy)?;
        put(&mut out, "revision", &self.revision)?;
        put(&mut out, "request_id", &self.request_id)?;
        put(&mut out, "reason", &self.log.reason)?;
        put(&mut out, "subject", &self.log.subject)?;
        put(&mut out, "session", &self.log.session)?;
        put(&mut out, "tenant", &self.log.tenant)?;
        put_number(&mut out, self.tags.len());
        for tag in &self.tags {
            put_number(&mut out, tag);
        }
        put_number(&mut out, self.headers.len());
        for (name, value) in &self.headers {
            if !is_header_name(name) {
                return unfit("the name of a header");
            }
            put(&mut out, "the name of a header", name)?;
            put(&mut out, "the value of a header", value)?;
        }
        if out.len() > MAX_BYTES { unfit("the whole") } else { Ok(out) }
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] for any other text: keep nothing then.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut lines = Reader::of("grant", text);
        if text.len() > MAX_BYTES {
            return Err(lines.malformed("the length"));
        }
        if lines.line("version")? != VERSION {
            return Err(lines.malformed("version"));
        }
        let lifetime_ms = lines.number("lifetime_ms")?;
        let uses = lines.number("uses")?;
        let route = lines.line("route")?.to_owned();
        let policy = lines.line("policy")?.to_owned();
        let revision = lines.line("revision")?.to_owned();
        let request_id = lines.line("request_id")?.to_owned();
        let log = LogFields {
            reason: lines.line("reason")?.to_owned(),
            subject: lines.line("subject")?.to_owned(),
            session: lines.line("session")?.to_owned(),
            tenant: lines.line("tenant")?.to_owned(),
        };
        let count = lines.count("tags", MAX_TAGS)?;
        let mut tags = Vec::with_capacity(count);
        for _ in 0..count {
            let tag = Tag::parse(lines.line("a tag")?);
            tags.push(tag.ok_or_else(|| lines.malformed("a tag"))?);
        }
        let count = lines.count("headers", MAX_HEADERS)?;
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let name = lines.line("the name of a header")?;
            if !is_header_name(name) {
                return Err(lines.malformed("the name of a header"));
            }
            headers.push((name.to_owned(), lines.line("the value of a header")?.to_owned()));
        }
        let wrong = |bad: bool, field| if bad { Err(lines.malformed(field)) } else { Ok(()) };
        wrong(!(1..=MAX_LIFETIME_MS).contains(&lifetime_ms), "lifetime_ms")?;
        wrong(uses == 0, "uses")?;
        wrong(tags.is_empty(), "tags")?;
        wrong(headers.is_empty(), "headers")?;
        lines.finish()?;
        Ok(Self { lifetime_ms, uses, route, policy, revision, request_id, tags, headers, log })
    }
}

/// Whether the name consists of lower-case letters, digits and `-`, as every identity header does and no pseudo-header.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
pub(crate) mod tests;
