//! The revocation file that the edge follows: `sessions/revoked.jsonl`, one JSON object for each session that died before its
//! tokens expired. Lines are appended; now and then the file is replaced by a shorter one.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::UnixTime;
use identity::SessionId;
use serde::{Deserialize, Serialize};
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

/// One dead session. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which session.
    pub sid: SessionId,
    /// Dead from this second on.
    pub from: u64,
    /// After this second no verifier takes its tokens anyway, and the line may go.
    pub until: u64,
}

/// The file.
#[derive(Clone)]
pub struct Revocations {
    path: Arc<PathBuf>,
    /// One writer at a time, so that no line is appended to a file that is just being replaced.
    turn: Arc<Mutex<()>>,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Revocations {
    /// The file `path`, which is made when missing, with its directory.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).await?;
        }
        let revocations = Self { path: Arc::new(path.to_owned()), turn: Arc::default() };
        revocations.write(b"").await?;
        Ok(revocations)
    }

    /// Appends a line; it is in the file when this returns.
    ///
    /// # Errors
    /// What the system says.
    pub async fn append(&self, line: Line) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        self.write(&encode(&line)?).await
    }

    /// Opened anew for each line: whoever moved the file away does not swallow what is revoked next.
    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&*self.path).await?;
        file.write_all(bytes).await?;
        file.flush().await
    }

    /// Replaces the file by its own lines and `more`, without those that are over at `now`. A reader sees the old file or
    /// the new one. Of two lines for one session, the earlier death holds.
    ///
    /// # Errors
    /// What the system says; then the file is as it was.
    pub async fn rewrite(&self, more: Vec<Line>, now: UnixTime) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let old = fs::read(&*self.path).await?;
        let mut lines: HashMap<SessionId, Line> = HashMap::new();
        for line in parse(&old).into_iter().chain(more) {
            let kept = lines.entry(line.sid).or_insert(line);
            kept.from = kept.from.min(line.from);
            kept.until = kept.until.max(line.until);
        }
        let mut lines: Vec<Line> = lines.into_values().filter(|line| line.until >= now.seconds()).collect();
        lines.sort_by_key(|line| (line.from, line.sid));
        let mut new = Vec::new();
        for line in &lines {
            new.extend(encode(line)?);
        }
        if new == old {
            return Ok(());
        }
        let draft = self.path.with_extension("jsonl.new");
        let mut file = fs::File::create(&draft).await?;
        file.write_all(&new).await?;
        file.sync_all().await?;
        fs::rename(&draft, &*self.path).await
    }
}

fn encode(line: &Line) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A line that cannot be read is left out: half a line at the end is what a crash leaves, and the database has the whole.
fn parse(bytes: &[u8]) -> Vec<Line> {
    let lines = bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            serde_json::from_slice(line)
                .inspect_err(|error| tracing::warn!(%error, "a line of the revocation file cannot be read"))
                .ok()
        })
        .collect()
}
