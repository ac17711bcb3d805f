//! The poll about open streams, and its answer: the feed of ended things, and the standing of the streams asked about.

use super::ticket;
use crate::feed::Feed;
use crate::lines::{Malformed, Reader, Unfit, put, put_number};

/// Where the authorizer answers, on the port of its checks: `POST`, plain HTTP/2.
pub const STREAMS_PATH: &str = "/streams/feed";

/// A poll asks about at most this many streams: a quarter of a mebibyte with the longest facts, 20 KB as a rule.
pub const MAX_ASKED: usize = 128;

/// The longest code of an ended stream.
const MAX_CODE: usize = 64;

const ASK: &str = "streams 1";
const TELL: &str = "standings 1";

/// The edge's poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsRequest {
    /// The facts of the streams that it asks about.
    pub facts: Vec<String>,
}

/// The authorizer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsReply {
    /// One for each stream asked about, in the same order.
    pub standings: Vec<Standing>,
    /// What ended lately.
    pub feed: Feed,
}

/// What the authorizer knows about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything that it rests on is in force.
    Live,
    /// The same, but its end is near: ask with every poll.
    Soon,
    /// It must end, for this reason: a code of the access log.
    Ended(String),
    /// A source does not answer: ask again.
    Unknown,
}

impl StreamsRequest {
    /// The body of the poll.
    ///
    /// # Errors
    /// [`Unfit`] for facts that no ticket has.
    pub fn encode(&self) -> Result<String, Unfit> {
        if self.facts.len() > MAX_ASKED {
            return Err(Unfit { field: "streams" });
        }
        let mut out =
            String::with_capacity(64 + self.facts.iter().map(|facts| facts.len() + 1).sum::<usize>());
        put(&mut out, "version", ASK)?;
        put_number(&mut out, self.facts.len());
        for facts in &self.facts {
            put(&mut out, "facts", facts)?;
        }
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] for any other text.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let mut lines = Reader::of("poll about streams", text);
        if lines.line("version")? != ASK {
            return Err(lines.malformed("version"));
        }
        let count = lines.count("streams", MAX_ASKED)?;
        // Memory is not reserved for an announced count: the vector grows with the lines that arrive.
        let mut facts = Vec::new();
        for _ in 0..count {
            let line = lines.line("facts")?;
            if !ticket::fits(line) {
                return Err(lines.malformed("facts"));
            }
            facts.push(line.to_owned());
        }
        lines.finish()?;
        Ok(Self { facts })
    }
}

impl StreamsReply {
    /// The body of the answer: the standings, an empty line, the feed.
    ///
    /// # Errors
    /// [`Unfit`] when a code or a revision cannot be written.
    pub fn encode(&self) -> Result<String, Unfit> {
        let mut out = String::with_capacity(256);
        put(&mut out, "version", TELL)?;
        put_number(&mut out, self.standings.len());
        for standing in &self.standings {
            match standing {
                Standing::Live => put(&mut out, "a standing", "live")?,
                Standing::Soon => put(&mut out, "a standing", "soon")?,
                Standing::Unknown => put(&mut out, "a standing", "unknown")?,
                Standing::Ended(code) if is_code(code) => {
                    out.push_str("ended ");
                    put(&mut out, "a code", code)?;
                }
                Standing::Ended(_) => return Err(Unfit { field: "a code" }),
            }
        }
        out.push('\n');
        out.push_str(&self.feed.encode()?);
        Ok(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] for any other text: the edge treats it as a failed poll.
    pub fn decode(text: &str) -> Result<Self, Malformed> {
        let what = "answer about streams";
        let (head, feed) = text.split_once("\n\n").ok_or(Malformed { what, field: "the feed" })?;
        let mut lines = Reader::of(what, head);
        if lines.line("version")? != TELL {
            return Err(lines.malformed("version"));
        }
        let count = lines.count("standings", MAX_ASKED)?;
        let mut standings = Vec::new();
        for _ in 0..count {
            standings.push(match lines.line("a standing")? {
                "live" => Standing::Live,
                "soon" => Standing::Soon,
                "unknown" => Standing::Unknown,
                other => match other.strip_prefix("ended ") {
                    Some(code) if is_code(code) => Standing::Ended(code.to_owned()),
                    Some(_) | None => return Err(lines.malformed("a standing")),
                },
            });
        }
        if lines.line("the end").is_ok() {
            return Err(lines.malformed("the end"));
        }
        Ok(Self { standings, feed: Feed::decode(feed)? })
    }
}

/// Whether a code can stand in the access log.
fn is_code(code: &str) -> bool {
    (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Ended;
    use crate::tag::Tag;

    #[test]
    fn polls_and_answers_are_read_as_they_were_written() {
        for facts in [vec![], vec!["{}".to_owned(), "x".to_owned()]] {
            let request = StreamsRequest { facts };
            assert_eq!(StreamsRequest::decode(&request.encode().unwrap()), Ok(request));
        }
        let feed =
            Feed { revisions: vec!["r".to_owned()], reach_ms: 30_000, ended: Ended::Tags(vec![Tag(1)]) };
        let ended = Standing::Ended("session_revoked".to_owned());
        for standings in [vec![], vec![Standing::Live, Standing::Soon, ended, Standing::Unknown]] {
            let reply = StreamsReply { standings, feed: feed.clone() };
            let text = reply.encode().unwrap();
            assert_eq!(StreamsReply::decode(&text), Ok(reply));
            for cut in 0..text.len() {
                assert!(StreamsReply::decode(&text[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_too_much_or_no_code_is_refused() {
        let many = vec!["x".to_owned(); MAX_ASKED + 1];
        assert!(StreamsRequest { facts: many }.encode().is_err());
        for text in ["streams 1\n1\n\n", "streams 2\n0\n", "streams 1\n129\n", "streams 1\n0\nx\n"] {
            assert!(StreamsRequest::decode(text).is_err(), "{text:?}");
        }
        for code in ["", "A", "a b", "a\nb"] {
            let feed = Feed { revisions: vec![], reach_ms: 0, ended: Ended::All };
            let standings = vec![Standing::Ended(code.to_owned())];
            assert!(StreamsReply { standings, feed }.encode().is_err(), "{code:?}");
        }
    }
}
