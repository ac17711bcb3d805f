//! Revocations: sessions that end before their tokens expire.
//!
//! | line of the file, and event | key in Redis | ends |
//! |---|---|---|
//! | `{"sid": ID, "from": S, "until": S}` | `revoked:session:{sid}` | the session, at `from` |
//! | `{"sub": ID, "before": S, "until": S}` | `revoked:subject:{sub}` | every token of the person whose `iat` is before `before` |
//! | `{"tid": ID, "before": S, "until": S}` | `revoked:tenant:{tid}` | every token for the tenant whose `iat` is before `before` |
//!
//! An id is any text that [`identity::id`] allows. It stands in JSON, and at the end of a key, so none of its characters can
//! end the line or the key early.
//!
//! Times are seconds since 1970. After `until` no verifier accepts any of these tokens, so the line may be
//! removed; the key expires then. Of two lines for one id the wider one is in force.

mod ends;

use identity::{SessionId, SubjectId, TenantId};
use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult, Script};
use redis_connection::Primaries;
use serde::{Deserialize, Serialize};

use crate::PATIENCE;

pub use ends::Ends;

/// The channel of published revocations.
pub const CHANNEL: &str = "cutover:revocations";

const PREFIX: &str = "revoked:";

/// How many keys are requested at once when all are read.
const PAGE: usize = 1_000;

/// The end of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEnd {
    /// The session.
    pub sid: SessionId,
    /// The session is dead from this second on.
    pub from: u64,
    /// The entry can be removed after this second.
    pub until: u64,
}

/// The end of every session of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectEnd {
    /// The person.
    pub sub: SubjectId,
    /// Tokens issued before this second are dead.
    pub before: u64,
    /// The entry can be removed after this second.
    pub until: u64,
}

/// The end of every session for a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantEnd {
    /// The tenant.
    pub tid: TenantId,
    /// Tokens issued before this second are dead.
    pub before: u64,
    /// The entry can be removed after this second.
    pub until: u64,
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Revocation {
    /// A session.
    Session(SessionEnd),
    /// Every session of a person.
    Subject(SubjectEnd),
    /// Every session for a tenant.
    Tenant(TenantEnd),
}

/// The ids and the issue time of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The token's session.
    pub session: SessionId,
    /// The person.
    pub subject: SubjectId,
    /// The person's tenant.
    pub tenant: TenantId,
    /// The issue time (`iat`).
    pub at: u64,
}

impl Revocation {
    /// Returns the key in Redis.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Session(end) => format!("{PREFIX}session:{}", end.sid),
            Self::Subject(end) => format!("{PREFIX}subject:{}", end.sub),
            Self::Tenant(end) => format!("{PREFIX}tenant:{}", end.tid),
        }
    }

    /// Returns the time of the revocation: `from` or `before`.
    #[must_use]
    pub const fn at(&self) -> u64 {
        match self {
            Self::Session(end) => end.from,
            Self::Subject(end) => end.before,
            Self::Tenant(end) => end.before,
        }
    }

    /// Returns the second after which the entry can be removed.
    #[must_use]
    pub const fn until(&self) -> u64 {
        match self {
            Self::Session(end) => end.until,
            Self::Subject(end) => end.until,
            Self::Tenant(end) => end.until,
        }
    }

    /// Returns the wider of this and `other`, which has the same key.
    #[must_use]
    pub fn joined(self, other: &Self) -> Self {
        let until = self.until().max(other.until());
        match self {
            Self::Session(SessionEnd { sid, from, .. }) => {
                Self::Session(SessionEnd { sid, from: from.min(other.at()), until })
            }
            Self::Subject(SubjectEnd { sub, before, .. }) => {
                Self::Subject(SubjectEnd { sub, before: before.max(other.at()), until })
            }
            Self::Tenant(TenantEnd { tid, before, .. }) => {
                Self::Tenant(TenantEnd { tid, before: before.max(other.at()), until })
            }
        }
    }

    /// Returns whether this revocation ends, at second `now`, the token `issued`.
    #[must_use]
    pub fn ends(&self, issued: &Issued, now: u64) -> bool {
        let Issued { session, subject, tenant, at } = issued;
        match self {
            Self::Session(end) => end.sid == *session && now >= end.from,
            Self::Subject(end) => end.sub == *subject && *at < end.before,
            Self::Tenant(end) => end.tid == *tenant && *at < end.before,
        }
    }

    /// Returns the function in the Lua script that selects the wider time: the earlier end of a session, or the
    /// later limit of issue times.
    const fn wider(&self) -> &'static str {
        match self {
            Self::Session(_) => "min",
            Self::Subject(_) | Self::Tenant(_) => "max",
        }
    }

    fn stored(key: &str, value: &str) -> Option<Self> {
        let (kind, id) = key.strip_prefix(PREFIX)?.split_once(':')?;
        let (at, until) = value.split_once('|')?;
        let (at, until) = (at.parse().ok()?, until.parse().ok()?);
        match kind {
            "session" => Some(Self::Session(SessionEnd { sid: id.parse().ok()?, from: at, until })),
            "subject" => Some(Self::Subject(SubjectEnd { sub: id.parse().ok()?, before: at, until })),
            "tenant" => Some(Self::Tenant(TenantEnd { tid: id.parse().ok()?, before: at, until })),
            _ => None,
        }
    }
}

/// Takes KEYS[1], then time, until, `min` or `max`, channel, event.
const REVOKE: &str = r"
local at, ends = tonumber(ARGV[1]), tonumber(ARGV[2])
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then
  local was, still = string.match(value, '^(%d+)|(%d+)$')
  if was then
    at = ARGV[3] == 'min' and math.min(at, tonumber(was)) or math.max(at, tonumber(was))
    ends = math.max(ends, tonumber(still))
  end
end
redis.call('SET', KEYS[1], string.format('%.0f|%.0f', at, ends), 'EXAT', string.format('%.0f', ends + 1))
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
";

/// The revocations stored in Redis.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Those that could be read, in no order.
    pub revocations: Vec<Revocation>,
    /// How many keys were malformed.
    pub bad: u64,
}

/// Reads and writes revocations.
#[derive(Debug)]
pub struct SharedRevocations {
    revoke: Script,
}

impl Default for SharedRevocations {
    fn default() -> Self {
        Self { revoke: Script::new(REVOKE) }
    }
}

impl SharedRevocations {
    /// Writes `revocation` and publishes it to every replica, in one step.
    ///
    /// # Errors
    /// The error of Redis. It is then unknown whether the revocation is in force; repeating it is harmless.
    pub async fn revoke(&self, redis: &mut impl ConnectionLike, revocation: &Revocation) -> RedisResult<()> {
        let mut call = self.revoke.key(revocation.key());
        call.arg(revocation.at()).arg(revocation.until()).arg(revocation.wider());
        call.arg(CHANNEL).arg(serde_json::to_string(revocation).map_err(std::io::Error::from)?);
        call.invoke_async::<u8>(redis).await.map(|_| ())
    }

    /// Returns whether a stored revocation ends, at second `now`, the token `issued`.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn ends(
        &self,
        redis: &mut impl ConnectionLike,
        issued: &Issued,
        now: u64,
    ) -> RedisResult<bool> {
        let Issued { session, subject, tenant, at: _ } = issued;
        let keys = [
            format!("{PREFIX}session:{session}"),
            format!("{PREFIX}subject:{subject}"),
            format!("{PREFIX}tenant:{tenant}"),
        ];
        let values: Vec<Option<String>> = redis::cmd("MGET").arg(&keys[..]).query_async(redis).await?;
        let stored =
            keys.iter().zip(&values).filter_map(|(key, value)| Revocation::stored(key, value.as_deref()?));
        Ok(stored.into_iter().any(|revocation| revocation.ends(issued, now)))
    }

    /// Returns at most `most` + 1 revocations stored at one server. The extra one shows that there are more.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn read_all(&self, redis: &mut impl ConnectionLike, most: usize) -> RedisResult<Stored> {
        let mut revocations = Vec::new();
        let take = |page: Vec<Revocation>| {
            let room = most.saturating_add(1).saturating_sub(revocations.len());
            revocations.extend(page.into_iter().take(room));
        };
        let read = self.read_server(redis, false, take).await?;
        Ok(Stored { revocations, bad: read.bad })
    }

    /// Reads all stored revocations page by page and passes each page to `take`, some of them perhaps twice. Returns how many
    /// keys were malformed.
    ///
    /// It needs the memory of one page, so the caller decides how much to keep. Each page must arrive within
    /// [`PATIENCE`]. The whole has no time limit, because a reader that gave up would never know the
    /// revocations.
    ///
    /// A key of a cluster can move from a server that is not read yet to one that has been. So everything is read twice while
    /// slots move: a key that moves once is met at one of its two servers.
    ///
    /// # Errors
    /// The error of Redis, also when a server of a cluster has become a primary in the meantime.
    pub async fn read_pages(
        &self,
        primaries: &Primaries,
        mut take: impl FnMut(Vec<Revocation>),
    ) -> RedisResult<u64> {
        let mut servers = primaries.connect(PATIENCE).await?;
        let before = in_time(primaries.layout(&mut servers)).await?;
        let mut bad = 0;
        for is_first in [true, false] {
            let (mut is_moving, mut found) = (before.is_in_motion(), 0);
            for server in &mut servers {
                let read = self.read_server(server, primaries.is_cluster(), &mut take).await?;
                is_moving |= read.is_moving;
                found += read.bad;
            }
            bad = found;
            if is_first && !is_moving && in_time(primaries.layout(&mut servers)).await? == before {
                break;
            }
        }
        if primaries.is_cluster() && !primaries.are_current().await? {
            return Err(std::io::Error::other("the primaries of the cluster have changed").into());
        }
        Ok(bad)
    }

    /// Reads the revocations of one server. In a cluster its keys are in many slots, so each is asked for by itself.
    async fn read_server(
        &self,
        redis: &mut impl ConnectionLike,
        is_cluster: bool,
        mut take: impl FnMut(Vec<Revocation>),
    ) -> RedisResult<ServerRead> {
        let mut read = ServerRead::default();
        let mut cursor: u64 = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg("revoked:*").arg("COUNT").arg(PAGE);
            let (next, keys): (u64, Vec<String>) = in_time(scan.query_async(redis)).await?;
            if !keys.is_empty() {
                // A key of another type reads as absent, as does one that has just expired.
                let values: Vec<Option<String>> = if is_cluster {
                    let values: Vec<RedisResult<Option<String>>> =
                        in_time(one_by_one(&keys).query_async(redis)).await?;
                    values.into_iter().map(|value| read.value(value)).collect()
                } else {
                    in_time(redis::cmd("MGET").arg(&keys).query_async(redis)).await?
                };
                let mut page = Vec::with_capacity(keys.len());
                for (key, value) in keys.iter().zip(values) {
                    match value.as_deref().map(|value| Revocation::stored(key, value)) {
                        Some(Some(revocation)) => page.push(revocation),
                        Some(None) => read.bad += 1,
                        None => {}
                    }
                }
                take(page);
            }
            cursor = next;
            if cursor == 0 {
                return Ok(read);
            }
        }
    }
}

/// What was noticed at one server, besides its revocations.
#[derive(Default)]
struct ServerRead {
    bad: u64,
    /// A key was at another server by the time it was asked for.
    is_moving: bool,
}

impl ServerRead {
    fn value(&mut self, value: RedisResult<Option<String>>) -> Option<String> {
        value.unwrap_or_else(|error| {
            self.is_moving |= error.is_cluster_error();
            None
        })
    }
}

/// `ASKING`: a server that receives a slot serves its keys only to those who ask for it.
fn one_by_one(keys: &[String]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(keys.len() * 2);
    pipeline.ignore_errors();
    for key in keys {
        pipeline.cmd("ASKING").ignore();
        pipeline.cmd("GET").arg(key);
    }
    pipeline
}

async fn in_time<T>(asking: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "Redis does not answer").into())
    })
}
