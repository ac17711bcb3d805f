//! The tier that all replicas have: Redis.
//!
//! A value is stored with the generations of its scopes (its key, its kind, its tenant), which an invalidation raises. A value
//! whose generations are not the present ones counts as absent. So an invalidation of a million values is one number, and a
//! reader that read the source before the invalidation and writes afterwards writes a value that already counts as absent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::RedisError;
use redis_connection::{Address, Bounds, Connection};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::key::Key;

/// How long Redis may take. It answers in less than a millisecond, and the source is there without it.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long Redis is not queried after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// How often an invalidation is tried at once. A connection that broke while it was idle fails the first command and is new
/// for the second.
const RAISE_TRIES: u32 = 3;

/// The largest stored value. Larger ones are read from the source; they would fill Redis and the network.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// How long a generation is remembered after its last change. Longer than every value lives (see [`MAX_LIFE`]).
const GENERATION_SECONDS: u64 = 2 * 24 * 60 * 60;

/// The longest life of a value: a value that outlived the memory of its generation would come back.
pub(crate) const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The channel of invalidations. The message is what the invalidated keys begin with; a whole key ends with `!`.
pub(crate) const CHANNEL: &str = "cache:invalidations";

/// The generations of a key's scopes.
pub(crate) type Generations = [Option<u64>; 3];

#[derive(Serialize, Deserialize)]
struct Stored<V> {
    generations: Generations,
    value: Option<V>,
}

/// What Redis has for a key.
pub(crate) struct Found<V> {
    /// The present generations, for a value that is stored later.
    pub(crate) generations: Generations,
    /// The value, if it is there and current: `Some(None)` when it is known that the source has none.
    pub(crate) value: Option<Option<V>>,
}

/// Redis failed, or is not queried because it failed a moment ago.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It failed just now.
    Failed(String),
    /// It failed within the last second.
    Paused,
}

/// The values in Redis.
#[derive(Debug)]
pub(crate) struct Shared {
    connection: Connection,
    began: Instant,
    /// Milliseconds since `began` until which Redis is not queried.
    paused_until: AtomicU64,
}

impl Shared {
    pub(crate) fn new(address: &Address) -> Self {
        Self {
            connection: Connection::new(address, Bounds::answer(PATIENCE)),
            began: Instant::now(),
            paused_until: AtomicU64::new(0),
        }
    }

    /// Reads the value of `key`, and the generations of its scopes, at once.
    pub(crate) async fn read<V: DeserializeOwned>(&self, key: &Key) -> Result<Found<V>, Unusable> {
        let [tenant, kind, one] = key.scopes().map(generation_key);
        let mut command = redis::cmd("MGET");
        command.arg(key.as_str()).arg(tenant).arg(kind).arg(one);
        let answer = self.run::<(Option<String>, Option<u64>, Option<u64>, Option<u64>)>(&command).await?;
        let generations = [answer.1, answer.2, answer.3];
        // A value of another program version may have another form, and counts as absent.
        let stored = answer.0.and_then(|text| serde_json::from_str::<Stored<V>>(&text).ok());
        let value = stored.filter(|stored| stored.generations == generations).map(|stored| stored.value);
        Ok(Found { generations, value })
    }

    /// Stores a value that was read when the scopes had `generations`.
    pub(crate) async fn write<V: Serialize>(
        &self,
        key: &Key,
        generations: Generations,
        value: Option<&V>,
    ) -> Result<(), Unusable> {
        let life = if value.is_some() { key.lives().shared } else { key.lives().missing };
        let millis = u64::try_from(life.min(MAX_LIFE).as_millis()).unwrap_or(u64::MAX);
        let stored = serde_json::to_string(&Stored { generations, value });
        let Some(text) = stored.ok().filter(|text| text.len() <= MAX_VALUE_BYTES && millis > 0) else {
            return Ok(());
        };
        self.run(redis::cmd("SET").arg(key.as_str()).arg(text).arg("PX").arg(millis)).await
    }

    /// Makes every value whose key begins with `scope` count as absent, and sends the message to the other replicas. The
    /// generation comes first: a replica that reads after the message finds it raised.
    ///
    /// It is sent also while reads pause: a read that skips Redis costs a little time, an invalidation that skips it leaves an
    /// old value with every replica.
    pub(crate) async fn raise(&self, scope: &str, is_key: bool) -> Result<(), Unusable> {
        let mut tries = 1;
        loop {
            match self.raise_once(scope, is_key).await {
                Err(_) if tries < RAISE_TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn raise_once(&self, scope: &str, is_key: bool) -> Result<(), Unusable> {
        let generation = generation_key(scope);
        self.send::<u64>(redis::cmd("INCR").arg(&generation)).await?;
        self.send::<u64>(redis::cmd("EXPIRE").arg(&generation).arg(GENERATION_SECONDS)).await?;
        let message = if is_key { format!("{scope}!") } else { scope.to_owned() };
        self.send::<u64>(redis::cmd("PUBLISH").arg(CHANNEL).arg(message)).await.map(drop)
    }

    async fn run<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Unusable> {
        if self.now() < self.paused_until.load(Ordering::Relaxed) {
            return Err(Unusable::Paused);
        }
        self.send(command).await
    }

    /// Sends `command` whether reads pause or not. A failure begins a pause.
    async fn send<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Unusable> {
        let began = self.now();
        let mut connection = self.connection.clone();
        let what = match tokio::time::timeout(PATIENCE, command.query_async(&mut connection)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => RedisError::to_string(&error),
            Err(_) => format!("no answer in {PATIENCE:?}"),
        };
        let pause = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        self.paused_until.store(began.saturating_add(pause), Ordering::Relaxed);
        Err(Unusable::Failed(what))
    }

    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn generation_key(scope: &str) -> String {
    format!("generation:{scope}")
}
