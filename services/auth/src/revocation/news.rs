//! Revocations in the order in which they come, from the file or from Redis.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;
use redis_connection::{Address, Primaries, Subscription};
use tokio::time::timeout;
use validity::revocation::{CHANNEL, Revocation, SharedRevocations};

use super::file::Index;

/// How often the file is looked at: a revocation must count within a second.
const EVERY: Duration = Duration::from_millis(200);

/// How long the channel may be silent. Then everything is read again, because a connection can end without a sign.
const SILENCE: Duration = Duration::from_secs(30);

/// How long connecting and subscribing may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads each revocation once, and everything again after a fault.
pub struct News {
    source: Source,
}

impl std::fmt::Debug for News {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("News").finish_non_exhaustive()
    }
}

enum Source {
    File { path: Arc<PathBuf>, index: Arc<parking_lot::Mutex<Index>> },
    Redis { address: Box<Address>, channel: Option<Subscription> },
}

impl News {
    pub(super) fn of_file(path: Arc<PathBuf>) -> Self {
        let index = Arc::new(parking_lot::Mutex::new(Index::following()));
        Self { source: Source::File { path, index } }
    }

    pub(super) fn of_redis(address: Address) -> Self {
        Self { source: Source::Redis { address: Box::new(address), channel: None } }
    }

    /// Waits for revocations. The first call returns all that are there.
    ///
    /// # Errors
    /// The I/O error of the system, or the error of Redis. The next call reads everything again.
    pub async fn next(&mut self) -> io::Result<Vec<Revocation>> {
        match &mut self.source {
            Source::File { path, index } => loop {
                let (path, index) = (Arc::clone(path), Arc::clone(index));
                let look = move || index.lock().news(&path);
                let lines = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)??;
                if !lines.is_empty() {
                    return Ok(lines);
                }
                tokio::time::sleep(EVERY).await;
            },
            Source::Redis { address, channel } => {
                if let Some(open) = channel
                    && let Ok(Some(message)) = timeout(SILENCE, open.next()).await
                {
                    let line = message.get_payload_bytes();
                    return Ok(serde_json::from_slice(line).into_iter().collect());
                }
                // Subscribed first, so that nothing falls between the list and the channel.
                *channel = None;
                let primaries = in_time(Box::pin(Primaries::of(address))).await?;
                *channel = Some(in_time(Box::pin(primaries.subscribe(&[CHANNEL], PATIENCE))).await?);
                let mut lines = Vec::new();
                let shared = SharedRevocations::default();
                let read = Box::pin(shared.read_pages(&primaries, |page| lines.extend(page))).await;
                if let Err(error) = read {
                    *channel = None;
                    return Err(io::Error::other(error));
                }
                Ok(lines)
            }
        }
    }
}

async fn in_time<T>(asking: impl Future<Output = RedisResult<T>>) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "Redis does not answer");
    timeout(PATIENCE, asking).await.map_err(late)?.map_err(io::Error::other)
}
