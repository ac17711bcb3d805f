//! What the access log says about one route, backend by backend.
//!
//! Envoy's counters are those of a backend, whatever route a request came by. Where other routes go to the new backend
//! too, their many good answers would hide the few bad ones of the route that moves; the log tells them apart. It is
//! read on from where the last look ended, so a long step costs no more than a short one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

use crate::status::Sample;

/// What the lines said so far.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    route: String,
    /// How far it is read.
    offset: u64,
    backends: BTreeMap<String, Tally>,
    allowed: u64,
    refused: u64,
}

/// The answers of one backend on the route.
#[derive(Debug, Default)]
struct Tally {
    requests: u64,
    errors: u64,
    /// How many took so many milliseconds.
    times: BTreeMap<u64, u64>,
}

impl Log {
    /// The log at `path`, from its present end on. One that is not there yet is read from its beginning.
    pub(super) fn from_now(path: PathBuf, route: String) -> Self {
        let offset = std::fs::metadata(&path).map_or(0, |data| data.len());
        Self { path, route, offset, backends: BTreeMap::new(), allowed: 0, refused: 0 }
    }

    /// Reads what came since the last look.
    pub(super) fn read_on(&mut self) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        // A log that was turned over is read from its beginning.
        if file.metadata()?.len() < self.offset {
            self.offset = 0;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut input = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = input.read_until(b'\n', &mut line)?;
            // What has no end yet is still being written: the next look reads it whole.
            if !line.ends_with(b"\n") {
                return Ok(());
            }
            self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or_default());
            if let Ok(told) = serde_json::from_slice::<Value>(&line) {
                self.take(&told);
            }
        }
    }

    fn take(&mut self, told: &Value) {
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        let number = |name: &str| told.get(name).and_then(Value::as_u64);
        if text("route") != Some(self.route.as_str()) {
            return;
        }
        let status = number("status").unwrap_or_default();
        if let Some(backend) = text("cluster").and_then(|cluster| cluster.strip_prefix("backend-")) {
            let tally = self.backends.entry(backend.to_owned()).or_default();
            tally.requests += 1;
            // 0 is a client that went away before there was an answer.
            tally.errors += u64::from(status >= 500);
            // No first byte came: the wait counts, until somebody gave up.
            if let Some(ms) = number("upstream_ms").or_else(|| number("duration_ms")) {
                *tally.times.entry(ms).or_default() += 1;
            }
        }
        let let_pass = matches!(text("decision"), Some("allow" | "lease"));
        if let_pass && text("upstream").is_some() {
            self.allowed += 1;
            self.refused += u64::from(matches!(status, 401 | 403));
        }
    }

    /// What the log says of `backend` on the route.
    pub(super) fn of(&self, backend: &str) -> Sample {
        self.backends.get(backend).map_or_else(Sample::default, |tally| Sample {
            requests: tally.requests,
            errors: tally.errors,
            p95_ms: tally.p95(),
            ..Sample::default()
        })
    }

    /// How many requests the edge let pass, and how many of them a backend refused.
    pub(super) const fn agreement(&self) -> (u64, u64) {
        (self.allowed, self.refused)
    }
}

impl Tally {
    /// 95 of 100 took no longer.
    fn p95(&self) -> Option<f64> {
        let all: u64 = self.times.values().sum();
        let mut within = 0;
        let quantile = self.times.iter().find(|(_, count)| {
            within += **count;
            within * 100 >= all * 95
        });
        quantile.and_then(|(ms, _)| u32::try_from(*ms).ok()).map(f64::from)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(route: &str, cluster: &str, status: u64, ms: u64) -> String {
        format!(
            "{{\"route\":\"{route}\",\"cluster\":\"{cluster}\",\"status\":{status},\"upstream_ms\":{ms},\"decision\":\"allow\",\"upstream\":\"x\"}}\n"
        )
    }

    #[test]
    fn only_the_route_counts_each_backend_by_itself_and_no_line_twice() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("access.json");
        std::fs::write(&path, line("books", "backend-users", 500, 1)).unwrap();
        let mut log = Log::from_now(path.clone(), "books".to_owned());
        let mut file = File::options().append(true).open(&path).unwrap();
        let write = |file: &mut File, text: &str| file.write_all(text.as_bytes()).unwrap();
        for ms in 1..=100 {
            write(&mut file, &line("books", "backend-users", if ms == 100 { 503 } else { 200 }, ms));
        }
        write(&mut file, &line("books", "backend-legacy", 401, 7));
        write(&mut file, &line("other", "backend-users", 500, 9000));
        let last = line("books", "backend-legacy", 200, 9);
        let (half, rest) = last.split_at(20);
        write(&mut file, half);
        log.read_on().unwrap();
        assert_eq!(
            (log.of("users").requests, log.of("users").errors),
            (100, 1),
            "what was before is not theirs"
        );
        assert_eq!(log.of("users").p95_ms, Some(95.0));
        assert_eq!((log.of("legacy").requests, log.agreement()), (1, (101, 1)), "half a line waits");
        write(&mut file, rest);
        log.read_on().unwrap();
        log.read_on().unwrap();
        assert_eq!((log.of("legacy").requests, log.of("users").requests), (2, 100));
        assert_eq!(log.of("auth"), Sample::default());
        // Turned over.
        std::fs::write(&path, line("books", "backend-users", 200, 1)).unwrap();
        log.read_on().unwrap();
        assert_eq!(log.of("users").requests, 101);
        std::fs::remove_file(&path).unwrap();
        assert!(log.read_on().is_err());
    }
}
