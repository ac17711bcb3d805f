//! The open streams of one listener, as one worker sees them (with a native guard: all workers).

use std::collections::{BTreeMap, BTreeSet};

use super::STREAMS_EVERY_MS;
use super::poll::{MAX_ASKED, Standing, StreamsReply, StreamsRequest};
use super::ticket::Ticket;
use crate::feed::Ended;
use crate::tag::Tag;

/// A stream that nothing made suspect is asked about after this many milliseconds all the same. An event that no tag
/// announces, such as a state that a tenants service changed without pushing it, ends a stream this late at the most.
const ROUTINE_MS: u64 = 30_000;

/// Two replicas see an event at most this far apart in time, with the lag of their sources and a check's time on the way.
const LAG_MS: u64 = 1_000;

/// A stream is not asked about again this soon: the next tick is early enough, and an authorizer that cannot judge it is not
/// asked without a pause.
const AGAIN_MS: u64 = STREAMS_EVERY_MS as u64 - 100;

/// One caller may hold this part of the open streams, so that no caller keeps all others out.
const SHARE_OF_ONE: usize = 8;

/// The bounds of open streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRules {
    /// The most streams; a further one is refused.
    pub most: usize,
    /// How long a stream lives on while the authorizer cannot judge it, in milliseconds.
    pub unjudged_ms: u64,
}

/// There is no room for another stream: of this caller, or of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Why a stream ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The authorizer gave this code.
    Ended(String),
    /// The credential expired.
    Expired,
    /// The authorizer could not judge it for too long.
    Unjudged,
}

impl StreamEnd {
    /// The code for the access log.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Ended(code) => code,
            Self::Expired => "credential_expired",
            Self::Unjudged => "unjudged",
        }
    }

    /// The status for a client that has no answer yet: its credential is refused, or the edge cannot say.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Ended(_) | Self::Expired => 401,
            Self::Unjudged => 503,
        }
    }
}

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    /// When its credential expires.
    until_ms: Option<u64>,
    /// The start of the last poll that found it in force; at first its beginning.
    good_ms: u64,
    suspect: bool,
    /// When the last poll about it began.
    asked_ms: Option<u64>,
    ended: Option<String>,
}

impl Open {
    /// Whether to ask about it at `now_ms`, if it is suspect.
    fn waits(&self, now_ms: u64) -> bool {
        self.ended.is_none()
            && self.asked_ms.is_none_or(|asked_ms| now_ms.saturating_sub(asked_ms) >= AGAIN_MS)
    }
}

/// A poll in progress.
#[derive(Debug)]
struct Asked {
    token: u64,
    at_ms: u64,
    streams: Vec<u64>,
}

/// What is left to do after an answer or a round of endings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing before the next tick.
    Nothing,
    /// Streams to ask about at once.
    Questions,
    /// Streams to end at once.
    Endings,
}

/// The open streams, by a number that the guard chooses. Times are those of one monotonic clock.
#[derive(Debug)]
pub struct OpenStreams {
    rules: StreamRules,
    open: BTreeMap<u64, Open>,
    owners: BTreeMap<Tag, usize>,
    /// The streams to ask about.
    suspects: BTreeSet<u64>,
    /// The last of them that was asked about; the next poll goes on after it.
    last: u64,
    /// The streams of the next poll, until it is sent.
    next: Vec<u64>,
    asked: Option<Asked>,
    /// When the last successful poll started. Streams that are not suspect were in force then.
    heard_ms: u64,
}

impl OpenStreams {
    /// No stream.
    #[must_use]
    pub const fn new(rules: StreamRules) -> Self {
        Self {
            rules,
            open: BTreeMap::new(),
            owners: BTreeMap::new(),
            suspects: BTreeSet::new(),
            last: 0,
            next: Vec::new(),
            asked: None,
            heard_ms: 0,
        }
    }

    /// How many streams are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no stream is open: then no poll is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Notes a stream that begins. It is asked about with the next poll: what ended between its check and now, or will end
    /// at a known moment, shows then.
    ///
    /// # Errors
    /// [`Full`]: the stream must not begin.
    pub fn begin(&mut self, stream: u64, ticket: Ticket, now_ms: u64) -> Result<(), Full> {
        let of_owner = self.owners.get(&ticket.owner).copied().unwrap_or(0);
        if self.open.len() >= self.rules.most || of_owner >= (self.rules.most / SHARE_OF_ONE).max(1) {
            return Err(Full);
        }
        self.end(stream);
        *self.owners.entry(ticket.owner).or_default() += 1;
        let until_ms = ticket.lifetime_ms.map(|lifetime_ms| now_ms.saturating_add(lifetime_ms));
        self.suspects.insert(stream);
        let (good_ms, suspect) = (now_ms, true);
        self.open.insert(stream, Open { ticket, until_ms, good_ms, suspect, asked_ms: None, ended: None });
        Ok(())
    }

    /// Forgets a stream that ended by itself; one that is not open is ignored.
    pub fn end(&mut self, stream: u64) {
        self.suspects.remove(&stream);
        let Some(open) = self.open.remove(&stream) else { return };
        if let Some(count) = self.owners.get_mut(&open.ticket.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.owners.remove(&open.ticket.owner);
            }
        }
    }

    /// The body of the next poll; `None` without open streams, while a poll that began less than `patience_ms` ago is in
    /// progress, or when it cannot be written, which no facts of a ticket cause.
    pub fn question(&mut self, now_ms: u64, patience_ms: u64) -> Option<String> {
        let in_flight =
            self.asked.as_ref().is_some_and(|asked| now_ms.saturating_sub(asked.at_ms) < patience_ms);
        if self.open.is_empty() || in_flight {
            return None;
        }
        self.asked = None;
        let heard_ms = self.heard_ms;
        let overdue = |open: &Open| now_ms.saturating_sub(open.good_ms) >= ROUTINE_MS;
        for (stream, open) in &mut self.open {
            if !open.suspect && overdue(open) {
                // Until now the feed vouched for it.
                (open.suspect, open.good_ms) = (true, open.good_ms.max(heard_ms));
                self.suspects.insert(*stream);
            }
        }
        let (before, after) =
            (self.suspects.range(..=self.last), self.suspects.range(self.last.saturating_add(1)..));
        let waits = |stream: &&u64| self.open.get(stream).is_some_and(|open| open.waits(now_ms));
        self.next = after.chain(before).filter(waits).copied().take(MAX_ASKED).collect();
        self.last = self.next.last().copied().unwrap_or(self.last);
        let mut facts = Vec::with_capacity(self.next.len());
        for stream in &self.next {
            let Some(open) = self.open.get_mut(stream) else { continue };
            open.asked_ms = Some(now_ms);
            facts.push(open.ticket.facts.clone());
        }
        StreamsRequest { facts }.encode().ok()
    }

    /// Notes that the poll was sent as `token`.
    pub fn sent(&mut self, token: u64, now_ms: u64) {
        self.asked = Some(Asked { token, at_ms: now_ms, streams: std::mem::take(&mut self.next) });
    }

    /// Takes in the answer to `token`, or its absence; `None` when it is lost or not readable.
    pub fn answered(&mut self, token: u64, body: Option<&[u8]>) -> Option<Pending> {
        let Asked { at_ms, streams, .. } = self.asked.take_if(|asked| asked.token == token)?;
        let reply = StreamsReply::decode(std::str::from_utf8(body?).ok()?).ok()?;
        if reply.standings.len() != streams.len() {
            return None;
        }
        self.listen(&reply, at_ms);
        let mut any_ended = false;
        for (stream, standing) in streams.into_iter().zip(reply.standings) {
            let Some(open) = self.open.get_mut(&stream) else { continue };
            match standing {
                Standing::Live => {
                    (open.suspect, open.good_ms) = (false, at_ms);
                    self.suspects.remove(&stream);
                }
                Standing::Soon => (open.suspect, open.good_ms) = (true, at_ms),
                Standing::Unknown => open.suspect = true,
                Standing::Ended(code) => {
                    open.ended = Some(code);
                    any_ended = true;
                }
            }
        }
        let mut suspects = self.suspects.iter().filter_map(|stream| self.open.get(stream));
        let pending =
            if suspects.any(|open| open.waits(at_ms)) { Pending::Questions } else { Pending::Nothing };
        Some(if any_ended { Pending::Endings } else { pending })
    }

    /// Suspects the streams that what the feed lists may have ended, or for which it cannot vouch.
    fn listen(&mut self, reply: &StreamsReply, at_ms: u64) {
        let since_ms = at_ms.saturating_sub(reply.feed.reach_ms);
        let tags: BTreeSet<Tag> = match &reply.feed.ended {
            Ended::Tags(tags) => tags.iter().copied().collect(),
            Ended::All => BTreeSet::new(),
        };
        let all = reply.feed.ended == Ended::All;
        for (stream, open) in &mut self.open {
            let good_ms = if open.suspect { open.good_ms } else { open.good_ms.max(self.heard_ms) };
            let unknown = good_ms.saturating_sub(LAG_MS) < since_ms;
            if !open.suspect && (all || unknown || open.ticket.tags.iter().any(|tag| tags.contains(tag))) {
                (open.suspect, open.good_ms) = (true, good_ms);
                self.suspects.insert(*stream);
            }
        }
        self.heard_ms = self.heard_ms.max(at_ms);
    }

    /// The streams that must end now, at most `most` of them, and why. They are not open any more.
    pub fn ending(&mut self, now_ms: u64, most: usize) -> Vec<(u64, StreamEnd)> {
        let mut ending = Vec::new();
        for (stream, open) in &self.open {
            if ending.len() >= most {
                break;
            }
            let good_ms = if open.suspect { open.good_ms } else { open.good_ms.max(self.heard_ms) };
            let end = if let Some(code) = &open.ended {
                StreamEnd::Ended(code.clone())
            } else if open.until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
                StreamEnd::Expired
            } else if now_ms.saturating_sub(good_ms) >= self.rules.unjudged_ms {
                StreamEnd::Unjudged
            } else {
                continue;
            };
            ending.push((*stream, end));
        }
        for (stream, _) in &ending {
            self.end(*stream);
        }
        ending
    }
}

#[cfg(test)]
mod tests;
