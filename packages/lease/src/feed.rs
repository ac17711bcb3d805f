//! The poll of the edge and the reply of the authorizer.

use crate::lines::{Malformed, Reader, Unfit, put, put_number};
use crate::tag::Tag;

/// Where the authorizer serves the feed, on the port of its checks: `POST`, plain HTTP/2.
pub const PATH: &str = "/leases/feed";

/// A feed lists the invalidations of this many milliseconds: longer than any lease lasts, so that one reply covers
/// every lease.
pub const WINDOW_MS: u64 = 30_000;

/// A feed lists at most this many tags (64 KiB, five times a second). With more, it invalidates everything.
pub const MAX_ENDED: usize = 4_096;

/// Each route appears once with its policy, so this bounds the leasable routes that a listener reports on.
const MAX_SPENT: usize = 16_384;

const ASK: &str = "leases 1";
const TELL: &str = "ended 1";

/// The edge's poll: which guard asks, and what leases served since the last successful poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRequest {
    /// The name of the guard's listener in the edge file.
    pub listener: String,
    /// The revision of the edge file that its guard has.
    pub revision: String,
    /// The requests that leases served since the last successful poll. When a reply is lost, the same counts are
    /// reported again: they may be high then, never low.
    pub spent: Vec<Spent>,
}

/// Requests of one route that leases served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The route's name.
    pub route: String,
    /// Its policy's name.
    pub policy: String,
    /// How many requests leases served since the last successful poll.
    pub uses: u64,
}

/// The authorizer's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The revisions whose leases are valid: the newest one that the authorizer decides by. A guard with another revision
    /// uses no lease.
    pub revisions: Vec<String>,
    /// How far back `ended` is complete, in milliseconds; [`WINDOW_MS`] means entirely. A lease that the edge received
    /// earlier than that is void: the authorizer may have forgotten its invalidation, or never received it.
    pub reach_ms: u64,
    /// What ended within the last [`WINDOW_MS`].
    pub ended: Ended,
}

/// The invalidations of the last [`WINDOW_MS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Exactly these. A lease that carries one of them is dead, whenever it was granted.
    Tags(Vec<Tag>),
    /// Everything: no lease is valid.
    All,
}

impl FeedRequest {
    /// The body of the request.
    ///
    /// # Errors
    /// [`Unfit`] when a name contains a line break; names of an edge file never do.
    pub fn encode(&self) -> Result<String, Unfit> {
        let mut out = String::with_capacity(128);
        put(&mut out, "version", ASK)?;
        put(&mut out, "listener", &self.listener)?;
        put(&mut out, "revision", &self.revision)?;
        if self.spent.len() > MAX_SPENT {
            return Err(Unfit { field: "spent" });
        }
        put_number(&mut out, self.spent.len());
        for spent in &self.spent {
            put(&mut out, "a route", &spent.route)?;
            put(&mut out, "a policy", &spent.policy)?;
            put_number(&mut out, spent.uses);
        }
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] for any other text.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut lines = Reader::of("request for the feed", text);
        if lines.line("version")? != ASK {
            return Err(lines.malformed("version"));
        }
        let listener = lines.line("listener")?.to_owned();
        let revision = lines.line("revision")?.to_owned();
        let count = lines.count("spent", MAX_SPENT)?;
        // Memory is not reserved for an announced count: the vector grows with the lines that arrive.
        let mut spent = Vec::new();
        for _ in 0..count {
            spent.push(Spent {
                route: lines.line("a route")?.to_owned(),
                policy: lines.line("a policy")?.to_owned(),
                uses: lines.number("uses")?,
            });
        }
        lines.finish()?;
        Ok(Self { listener, revision, spent })
    }
}

impl Feed {
    /// The body of the answer. More than [`MAX_ENDED`] tags become [`Ended::All`].
    ///
    /// # Errors
    /// [`Unfit`] when a revision contains a line break (none does): answer 503 then.
    pub fn encode(&self) -> Result<String, Unfit> {
        let mut out = String::with_capacity(128);
        put(&mut out, "version", TELL)?;
        put_number(&mut out, self.revisions.len());
        for revision in &self.revisions {
            put(&mut out, "a revision", revision)?;
        }
        put_number(&mut out, self.reach_ms);
        match &self.ended {
            Ended::Tags(tags) if tags.len() <= MAX_ENDED => {
                put_number(&mut out, tags.len());
                for tag in tags {
                    put_number(&mut out, tag);
                }
            }
            Ended::Tags(_) | Ended::All => put(&mut out, "all", "all")?,
        }
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] for any other text: the edge treats it as a failed poll.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut lines = Reader::of("feed", text);
        if lines.line("version")? != TELL {
            return Err(lines.malformed("version"));
        }
        // One; a handful leaves room.
        let count = lines.count("revisions", 16)?;
        let mut revisions = Vec::with_capacity(count);
        for _ in 0..count {
            revisions.push(lines.line("a revision")?.to_owned());
        }
        let reach_ms = lines.number("reach_ms")?;
        let ended = match lines.line("ended")? {
            "all" => Ended::All,
            number => {
                let count: usize = number.parse().map_err(|_| lines.malformed("ended"))?;
                if count > MAX_ENDED {
                    return Err(lines.malformed("ended"));
                }
                let mut tags = Vec::with_capacity(count);
                for _ in 0..count {
                    let tag = Tag::parse(lines.line("a tag")?);
                    tags.push(tag.ok_or_else(|| lines.malformed("a tag"))?);
                }
                Ended::Tags(tags)
            }
        };
        lines.finish()?;
        Ok(Self { revisions, reach_ms, ended })
    }
}

#[cfg(test)]
mod tests;
