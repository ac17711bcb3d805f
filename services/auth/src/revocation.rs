//! Reports sessions that ended before their tokens expired to the edge: through Redis when `REDIS_URL` is
//! set, otherwise through the file `sessions/revoked.jsonl`, with one JSON object for each. Lines are
//! appended. From time to time the file is replaced by a shorter one. Other programs write there too
//! (`cutover revoke`): they can end all sessions of a person or of a tenant, which must not be refreshed
//! either.

mod file;
pub mod news;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::UnixTime;
use redis::RedisResult;
use redis_connection::{Address, Connection};
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use tokio::time::timeout;
use validity::revocation::{Ends, Issued, Revocation, SharedRevocations};

use file::Index;
use news::News;

use crate::token::Genuine;

/// The revocations, in the file or in Redis.
#[derive(Clone)]
pub struct Revocations {
    path: Arc<PathBuf>,
    /// Admits one writer at a time, so that no line is appended to a file that is being replaced.
    turn: Arc<Mutex<()>>,
    /// The content of the file as read so far. Never locked across an `await`.
    index: Arc<parking_lot::Mutex<Index>>,
    redis: Option<(Address, Connection, Arc<SharedRevocations>)>,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Revocations {
    /// Opens the file `path`. A missing file is created with its directory.
    ///
    /// # Errors
    /// The I/O error of the system.
    pub async fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).await?;
        }
        let revocations = Self::at(path, None);
        revocations.write(b"").await?;
        Ok(revocations)
    }

    /// Opens Redis when `url` is given, otherwise the file `path`.
    ///
    /// # Errors
    /// The I/O error of the system, or an invalid `url`.
    pub async fn open_at(url: Option<&str>, path: &Path) -> io::Result<Self> {
        let Some(url) = url else { return Self::open(path).await };
        let address = validity::open(url).map_err(io::Error::other)?;
        let redis = validity::connect_to(&address);
        Ok(Self::at(path, Some((address, redis, Arc::default()))))
    }

    fn at(path: &Path, redis: Option<(Address, Connection, Arc<SharedRevocations>)>) -> Self {
        Self { path: Arc::new(path.to_owned()), turn: Arc::default(), index: Arc::default(), redis }
    }

    /// Returns whether another program ended the session of the genuine token `token`: by itself, with all
    /// sessions of the person, or with all of the tenant.
    ///
    /// # Errors
    /// The I/O error of the system, or the error of Redis.
    pub async fn ends(&self, token: &Genuine, now: UnixTime) -> io::Result<bool> {
        let issued = Issued {
            session: token.session.into(),
            subject: token.subject.into(),
            tenant: token.tenant.into(),
            at: token.issued.seconds(),
        };
        match &self.redis {
            Some((_, redis, shared)) => {
                patient(shared.ends(&mut redis.clone(), &issued, now.seconds())).await
            }
            None => {
                let (path, index) = (Arc::clone(&self.path), Arc::clone(&self.index));
                let asking = move || {
                    let mut index = index.lock();
                    index.up_to_date(&path).map(|ends| ends.end(&issued, now.seconds()))
                };
                tokio::task::spawn_blocking(asking).await.map_err(io::Error::other)?
            }
        }
    }

    /// Returns a reader of the revocations as they come.
    #[must_use]
    pub fn news(&self) -> News {
        match &self.redis {
            Some((address, _, _)) => News::of_redis(address.clone()),
            None => News::of_file(Arc::clone(&self.path)),
        }
    }

    /// Returns how many bytes of the file were read since the start. A refresh reads only the bytes appended
    /// since the last one, so a test of its cost counts these.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.index.lock().work()
    }

    /// Announces `line`. When this returns, the edge has the line or can find it by itself.
    ///
    /// # Errors
    /// The I/O error of the system, or the error of Redis.
    pub async fn append(&self, line: Revocation) -> io::Result<()> {
        if let Some((_, redis, shared)) = &self.redis {
            return patient(shared.revoke(&mut redis.clone(), &line)).await;
        }
        let _turn = self.turn.lock().await;
        self.write(&encode(&line)?).await
    }

    /// Opens the file again for each line, so that a file that was moved away swallows no later revocation.
    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&*self.path).await?;
        file.write_all(bytes).await?;
        file.flush().await
    }

    /// Announces the revocations `more` from the database again. The file is replaced by its own lines and
    /// these, without the lines that have expired at `now`. A reader sees the old file or the new one. Of two
    /// lines for one id the wider one is kept. Redis removes expired entries by itself.
    ///
    /// # Errors
    /// The I/O error of the system, or the error of Redis. The file is then unchanged.
    pub async fn rewrite(&self, more: Vec<Revocation>, now: UnixTime) -> io::Result<()> {
        if self.redis.is_some() {
            for line in more.into_iter().filter(|line| line.until() >= now.seconds()) {
                self.append(line).await?;
            }
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let mut old = fs::read(&*self.path).await?;
        loop {
            let mut ends = Ends::default();
            ends.extend(old.split(|&b| b == b'\n').filter_map(file::read_line));
            ends.extend(more.iter().cloned());
            let current = ends.all().filter(|line| line.until() >= now.seconds());
            let mut lines: Vec<(String, Revocation)> = current.map(|line| (line.key(), line)).collect();
            lines.sort_by_cached_key(|(key, line)| (line.at(), key.clone()));
            let mut new = Vec::new();
            for (_, line) in &lines {
                new.extend(encode(line)?);
            }
            if new == old {
                return Ok(());
            }
            let draft = self.path.with_extension("jsonl.new");
            let mut file = fs::File::create(&draft).await?;
            file.write_all(&new).await?;
            file.sync_all().await?;
            // Another program may have appended a line in the meantime.
            let current = fs::read(&*self.path).await?;
            if current == old {
                return fs::rename(&draft, &*self.path).await;
            }
            old = current;
        }
    }
}

/// Waits for Redis, but only for a limited time, and not through several reconnections.
async fn patient<T>(asking: impl Future<Output = RedisResult<T>>) -> io::Result<T> {
    let answer = timeout(validity::PATIENCE * 2, asking).await;
    answer
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "Redis does not answer"))?
        .map_err(io::Error::other)
}

fn encode(line: &Revocation) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}
