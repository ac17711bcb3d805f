//! A connection that opens itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use crate::address::Address;
use crate::open::{self, OPEN, Server};

/// A connection that has answered nothing for this long, while requests waited, is given up. A shorter time would replace
/// connections of a Redis that is only slow, which makes it slower.
const SILENCE: Duration = Duration::from_secs(1);

/// The pause between two attempts to connect. A refused connection costs nearly nothing, and each request that finds none would
/// try.
const PAUSE: Duration = Duration::from_millis(20);

/// How often the files of an address are compared with those of the open connection.
const LOOK: Duration = Duration::from_secs(5);

/// The bounds of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long one answer may take.
    pub answer: Duration,
    /// How many requests may wait for their answers at once; absent for a caller that bounds them itself.
    pub concurrency: Option<usize>,
}

impl Bounds {
    /// A bound of one answer alone.
    #[must_use]
    pub const fn answer(answer: Duration) -> Self {
        Self { answer, concurrency: None }
    }
}

/// A connection to Redis. It opens itself at its first use, and again when it is lost: after a failover to the new primary. A
/// request that finds it closed waits for it, and one that finds it broken fails: the caller knows whether to repeat it. All
/// clones are one connection.
///
/// It needs a tokio runtime. Opening goes on when the request that began it gives up.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    bounds: Bounds,
    began: Instant,
    state: Mutex<State>,
}

enum State {
    Closed,
    Opening(Opening),
    Failed(Instant, redis::RedisError),
    Open(Link),
}

type Opening = Shared<BoxFuture<'static, RedisResult<Link>>>;

#[derive(Clone)]
struct Link {
    server: Server,
    marks: Arc<Marks>,
}

/// Moments of one link, in ms since the connection began.
struct Marks {
    /// When it last answered, or was opened.
    answered: AtomicU64,
    /// When its files were last compared.
    compared: AtomicU64,
    fingerprint: u64,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection to `address`, not yet open.
    #[must_use]
    pub fn new(address: &Address, bounds: Bounds) -> Self {
        let inner = Inner {
            address: address.clone(),
            bounds,
            began: Instant::now(),
            state: Mutex::new(State::Closed),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether it leads to a cluster, in which keys that a script needs together must have one hash tag.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.inner.address.is_cluster()
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn opening(self: &Arc<Self>) -> Result<Opening, RedisResult<Link>> {
        let mut state = self.state.lock();
        match &*state {
            State::Open(link) => return Err(Ok(link.clone())),
            State::Failed(at, error) if at.elapsed() < PAUSE => return Err(Err(error.clone())),
            State::Opening(opening) => return Ok(opening.clone()),
            State::Closed | State::Failed(..) => {}
        }
        // A task of its own: the next request uses the connection, also when this one does not wait for it.
        let task = tokio::spawn(Arc::clone(self).open());
        let opening = async { task.await.unwrap_or_else(|ended| Err(std::io::Error::other(ended).into())) }
            .boxed()
            .shared();
        *state = State::Opening(opening.clone());
        Ok(opening)
    }

    async fn open(self: Arc<Self>) -> RedisResult<Link> {
        let opened = open::within(OPEN, async {
            let loaded = open::load(&self.address).await?;
            let server = open::open(&self.address, &loaded, self.bounds).await?;
            let now = self.now();
            let marks = Marks {
                answered: AtomicU64::new(now),
                compared: AtomicU64::new(now),
                fingerprint: loaded.fingerprint,
            };
            Ok(Link { server, marks: Arc::new(marks) })
        })
        .await;
        *self.state.lock() = match &opened {
            Ok(link) => State::Open(link.clone()),
            Err(error) => State::Failed(Instant::now(), error.clone()),
        };
        opened
    }

    async fn link(self: &Arc<Self>) -> RedisResult<Link> {
        let link = match self.opening() {
            Ok(opening) => opening.await?,
            Err(link) => link?,
        };
        self.compare_files(&link);
        Ok(link)
    }

    /// Closes `link` soon when its files were replaced.
    fn compare_files(self: &Arc<Self>, link: &Link) {
        let (now, compared) = (self.now(), link.marks.compared.load(Ordering::Acquire));
        let is_due = now.saturating_sub(compared) >= millis(LOOK) && self.address.access.has_files();
        let compared = &link.marks.compared;
        if !is_due || compared.fetch_max(now, Ordering::AcqRel) >= now {
            return;
        }
        let (inner, link) = (Arc::clone(self), link.clone());
        tokio::spawn(async move {
            match open::load(&inner.address).await {
                Ok(loaded) if loaded.fingerprint == link.marks.fingerprint => {}
                Ok(_) => {
                    tracing::info!("the files of a Redis address were replaced; connecting again");
                    inner.close(&link);
                }
                // The open connection goes on. A new one would not.
                Err(error) => tracing::warn!(%error, "cannot read a file of a Redis address"),
            }
        });
    }

    fn close(&self, link: &Link) {
        let mut state = self.state.lock();
        if let State::Open(open) = &*state
            && Arc::ptr_eq(&open.marks, &link.marks)
        {
            *state = State::Closed;
        }
    }

    fn silent(&self, link: &Link) {
        if self.now().saturating_sub(link.marks.answered.load(Ordering::Acquire)) >= millis(SILENCE) {
            self.close(link);
        }
    }
}

/// One request on a link. Dropped without an answer, it counts as unanswered.
struct Request<'c> {
    inner: &'c Inner,
    link: &'c Link,
    is_open: bool,
}

impl Request<'_> {
    fn ended<T>(mut self, answer: &RedisResult<T>) {
        self.is_open = false;
        match answer {
            // A cluster finds its servers again by itself, as long as some of them answer.
            Err(error) if open::is_final(error) && matches!(self.link.server, Server::One(_)) => {
                self.inner.close(self.link)
            }
            Err(error) if error.is_timeout() || error.is_io_error() || open::is_final(error) => {
                self.inner.silent(self.link)
            }
            Ok(_) | Err(_) => {
                self.link.marks.answered.fetch_max(self.inner.now(), Ordering::AcqRel);
            }
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.inner.silent(self.link);
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let link = self.inner.link().await?;
            let request = Request { inner: &self.inner, link: &link, is_open: true };
            let answer = link.server.clone().req_packed_command(cmd).await;
            request.ended(&answer);
            answer
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let link = self.inner.link().await?;
            let request = Request { inner: &self.inner, link: &link, is_open: true };
            let answer = link.server.clone().req_packed_commands(pipeline, offset, count).await;
            request.ended(&answer);
            answer
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.inner.address.access.settings.db()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
