//! What the edge asks about, and what it is told.

use crate::lines::{Malformed, Reader, Unfit, put, put_number};
use crate::tag::Tag;

/// Where the authorizer serves the feed, on the port of its checks: `POST`, plain HTTP/2.
pub const PATH: &str = "/leases/feed";

/// A feed names whatever ended within so many milliseconds: longer than any lease lasts, so that one answer tells
/// all there is to know about every lease.
pub const WINDOW_MS: u64 = 30_000;

/// So many tags are named at most; beyond, everything ended. 64 KiB are sent five times a second then.
pub const MAX_ENDED: usize = 4_096;

/// A route is named once with its policy, so this is how many leasable routes a listener reports on.
const MAX_SPENT: usize = 16_384;

const ASK: &str = "leases 1";
const TELL: &str = "ended 1";

/// What the edge asks with: who it is, and what it served since it was last answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRequest {
    /// The listener.
    pub listener: String,
    /// The revision of the edge file that its guard has.
    pub revision: String,
    /// What was served by leases since the last answered request. When an answer is lost, what it was about is
    /// reported again: counts may be high then, never low.
    pub spent: Vec<Spent>,
}

/// Requests of one route that leases served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The route's name.
    pub route: String,
    /// Its policy's name.
    pub policy: String,
    /// How many requests.
    pub uses: u64,
}

/// What the edge is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The revisions under which leases count: the newest that the authorizer decides by. A guard with another one honours
    /// none.
    pub revisions: Vec<String>,
    /// How far back, in milliseconds, nothing is missing in `ended`; [`WINDOW_MS`] says that nothing is. A lease that
    /// the edge got longer before it asked is void: what ended it may have been forgotten, or never heard of.
    pub reach_ms: u64,
    /// What ended.
    pub ended: Ended,
}

/// What ended within the last [`WINDOW_MS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// These, and nothing else. Whatever lease carries one of them is dead, whenever it was granted.
    Tags(Vec<Tag>),
    /// Everything: no lease counts.
    All,
}

impl FeedRequest {
    /// The body of the request.
    ///
    /// # Errors
    /// [`Unfit`] when a name has a line break, which no name of an edge file has.
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
    /// [`Malformed`] when it is anything else.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut lines = Reader::of("request for the feed", text);
        if lines.line("version")? != ASK {
            return Err(lines.malformed("version"));
        }
        let listener = lines.line("listener")?.to_owned();
        let revision = lines.line("revision")?.to_owned();
        let count = lines.count("spent", MAX_SPENT)?;
        // What a stranger promises is not reserved: the vector grows with what is there.
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
    /// [`Unfit`] when a revision has a line break, which none has: answer 503 then.
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
    /// [`Malformed`] when it is anything else: the edge takes that for no answer at all.
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
