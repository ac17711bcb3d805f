//! The ticket: what an allow says about a stream.

use crate::lines::{Malformed, Reader, Unfit, put, put_number};
use crate::tag::Tag;

/// The name of the field of ext_authz's dynamic metadata that holds a ticket.
pub const STREAM_FIELD: &str = "stream";

/// The first line of a ticket. A guard that knows another version lets no stream begin.
const VERSION: &str = "stream 1";

/// A session, a person, a tenant and a key; twice that leaves room.
const MAX_TAGS: usize = 8;

/// Three ids of 255 bytes each, as JSON writes them, and a few numbers.
const MAX_FACTS: usize = 2_048;

/// What a stream rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Milliseconds until the credential expires; absent when that does not end the stream.
    pub lifetime_ms: Option<u64>,
    /// Whose stream it is: each caller may hold a share of the open streams.
    pub owner: Tag,
    /// The things it rests on. When the feed lists one of them, the edge asks.
    pub tags: Vec<Tag>,
    /// The same things in the authorizer's own words, in one line. The edge returns them unread.
    pub facts: String,
}

impl Ticket {
    /// The text for the field [`STREAM_FIELD`].
    ///
    /// # Errors
    /// [`Unfit`] when a value cannot be written: the request must not be allowed then.
    pub fn encode(&self) -> Result<String, Unfit> {
        if self.tags.len() > MAX_TAGS {
            return Err(Unfit { field: "tags" });
        }
        if !fits(&self.facts) {
            return Err(Unfit { field: "facts" });
        }
        let mut out = String::with_capacity(256);
        put(&mut out, "version", VERSION)?;
        match self.lifetime_ms {
            Some(lifetime_ms) => put_number(&mut out, lifetime_ms),
            None => put(&mut out, "lifetime_ms", "-")?,
        }
        put_number(&mut out, self.owner);
        put_number(&mut out, self.tags.len());
        for tag in &self.tags {
            put_number(&mut out, tag);
        }
        put(&mut out, "facts", &self.facts)?;
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] for any other text: let no stream begin then.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut lines = Reader::of("ticket", text);
        if lines.line("version")? != VERSION {
            return Err(lines.malformed("version"));
        }
        let lifetime_ms = match lines.line("lifetime_ms")? {
            "-" => None,
            number => Some(number.parse().map_err(|_| lines.malformed("lifetime_ms"))?),
        };
        let tag = |text: &str| Tag::parse(text);
        let owner = tag(lines.line("owner")?).ok_or_else(|| lines.malformed("owner"))?;
        let count = lines.count("tags", MAX_TAGS)?;
        let mut tags = Vec::with_capacity(count);
        for _ in 0..count {
            let text = lines.line("a tag")?;
            tags.push(tag(text).ok_or_else(|| lines.malformed("a tag"))?);
        }
        let facts = lines.line("facts")?;
        if !fits(facts) {
            return Err(lines.malformed("facts"));
        }
        let ticket = Self { lifetime_ms, owner, tags, facts: facts.to_owned() };
        lines.finish()?;
        Ok(ticket)
    }
}

/// Whether facts have a length that a poll can carry.
pub(super) const fn fits(facts: &str) -> bool {
    !facts.is_empty() && facts.len() <= MAX_FACTS
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn ticket() -> Ticket {
        Ticket {
            lifetime_ms: Some(60_000),
            owner: Tag(7),
            tags: vec![Tag(7), Tag(8)],
            facts: "{\"sub\":\"ada\"}".to_owned(),
        }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written_and_no_cut_of_it_is() {
        for lifetime_ms in [None, Some(0), Some(u64::MAX)] {
            let ticket = Ticket { lifetime_ms, ..ticket() };
            let text = ticket.encode().unwrap();
            assert_eq!(Ticket::decode(&text), Ok(ticket));
            for cut in 0..text.len() {
                assert!(Ticket::decode(&text[..cut]).is_err(), "cut at {cut}");
            }
            assert!(Ticket::decode(&format!("{text}x")).is_err());
        }
    }

    #[test]
    fn facts_have_one_line_and_a_bound() {
        for facts in [String::new(), "a\nb".to_owned(), "x".repeat(MAX_FACTS + 1)] {
            assert!(Ticket { facts, ..ticket() }.encode().is_err());
        }
        let tags = vec![Tag(1); MAX_TAGS + 1];
        assert!(Ticket { tags, ..ticket() }.encode().is_err());
        assert!(Ticket { facts: "x".repeat(MAX_FACTS), ..ticket() }.encode().is_ok());
    }
}
