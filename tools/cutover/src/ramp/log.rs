//! Reads the answers of a route's backends from the access log.
//!
//! Envoy's counters cover a backend on all routes and for all clients, and they count every gRPC answer as a success. The
//! log distinguishes all of these. Each check continues where the last one ended, so a long step costs no more than a
//! short one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use edge_config::edge::GrpcErrors;

use super::tally::{Tally, Times, Views};
use crate::access_log::{Line, MAX_LINE_BYTES, Word};

/// The counts of the lines so far.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    route: String,
    new: String,
    /// The kinds of credential whose requests go to a backend of their own, whatever the shares are.
    kinds: Vec<String>,
    /// The gRPC statuses that are failures, by backend.
    errors: BTreeMap<String, GrpcErrors>,
    /// How far the file is read.
    offset: u64,
    /// Whether the present line is longer than any line that Envoy writes: the rest of it is skipped.
    overlong: bool,
    /// The answers on the route, by backend.
    backends: BTreeMap<String, Tally>,
    /// The new backend on every route.
    everywhere: Tally,
    words: u64,
    refused: u64,
    empty: Times,
}

impl Log {
    /// The log at `path`, from its present end on. A file that does not exist yet is read from its beginning.
    pub(super) fn from_now(
        path: PathBuf,
        route: String,
        new: String,
        kinds: Vec<String>,
        errors: BTreeMap<String, GrpcErrors>,
    ) -> Result<Self, String> {
        let offset = std::fs::metadata(&path).map_or(0, |data| data.len());
        let empty = Times::new()?;
        Ok(Self {
            path,
            route,
            new,
            kinds,
            errors,
            offset,
            overlong: false,
            backends: BTreeMap::new(),
            everywhere: Tally::new(&empty),
            words: 0,
            refused: 0,
            empty,
        })
    }

    /// The path of the log.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the lines since the last call.
    pub(super) fn read_on(&mut self) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        // A rotated log is read from its beginning.
        if file.metadata()?.len() < self.offset {
            self.offset = 0;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut input = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
            let whole = line.ends_with(b"\n");
            let read = u64::try_from(read).unwrap_or_default();
            // A line without an end is still being written: the next call reads it whole.
            if !whole && read < MAX_LINE_BYTES {
                return Ok(());
            }
            self.offset = self.offset.saturating_add(read);
            let rest_of_overlong = std::mem::replace(&mut self.overlong, !whole);
            if whole
                && !rest_of_overlong
                && let Ok(parsed) = serde_json::from_slice::<Line>(&line)
            {
                self.take(&parsed);
            }
        }
    }

    /// Counts a line.
    pub(super) fn take(&mut self, line: &Line) {
        // A request that goes where its kind goes says nothing about the share.
        let by_kind = line.kind.as_ref().is_some_and(|kind| self.kinds.contains(kind));
        let on_route = line.route.as_deref() == Some(self.route.as_str()) && !by_kind;
        if let Some(backend) = line.backend() {
            let standard = GrpcErrors::default();
            let errors = self.errors.get(backend).unwrap_or(&standard);
            if backend == self.new {
                self.everywhere.add(line, errors);
            }
            if on_route {
                let empty = &self.empty;
                self.backends
                    .entry(backend.to_owned())
                    .or_insert_with(|| Tally::new(empty))
                    .add(line, errors);
            }
        }
        if on_route && matches!(line.edge_says(), Some("allow" | "lease")) {
            let word = line.word();
            self.words += u64::from(word != Word::Silent);
            self.refused += u64::from(word == Word::Refuses);
        }
    }

    /// The answers of `backend` on the route.
    pub(super) fn of(&self, backend: &str, least: u64) -> Option<Views> {
        self.backends.get(backend).map(|tally| tally.views(least))
    }

    /// The answers of the new backend on every route.
    pub(super) fn everywhere(&self, least: u64) -> Views {
        self.everywhere.views(least)
    }

    /// The number of answers of the new backend on the route.
    pub(super) fn answers(&self) -> u64 {
        self.backends.get(&self.new).map_or(0, Tally::answers)
    }

    /// The number of requests that the edge let pass and on which a backend gave a verdict, and of those that it refused.
    pub(super) const fn agreement(&self) -> (u64, u64) {
        (self.words, self.refused)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(route: &str, cluster: &str, status: u64, ms: u64) -> String {
        format!(
            "{{\"route\":\"{route}\",\"cluster\":\"{cluster}\",\"status\":{status},\"upstream_ms\":{ms},\"decision\":\"allow\",\"subject\":\"s\",\"upstream\":\"x\"}}\n"
        )
    }

    fn log(path: PathBuf) -> Log {
        let kinds = vec!["legacy-session".to_owned()];
        Log::from_now(path, "books".to_owned(), "users".to_owned(), kinds, BTreeMap::new()).unwrap()
    }

    #[test]
    fn requests_that_go_where_their_kind_goes_are_not_those_of_the_share() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("access.json");
        let mut log = log(path.clone());
        let of_kind = |kind: &str| {
            line("books", "backend-users", 401, 1)
                .replace("{\"route\"", &format!("{{\"kind\":\"{kind}\",\"route\""))
        };
        std::fs::write(&path, [of_kind("legacy-session"), of_kind("session")].concat()).unwrap();
        log.read_on().unwrap();
        assert_eq!((log.answers(), log.agreement()), (1, (1, 1)));
    }

    /// On a public route the edge lets every caller pass, so a backend that refuses one does not contradict it.
    #[test]
    fn a_public_route_has_no_agreement() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("access.json");
        let mut log = log(path.clone());
        std::fs::write(&path, line("books", "backend-users", 401, 1).replace("\"subject\":\"s\",", ""))
            .unwrap();
        log.read_on().unwrap();
        assert_eq!((log.answers(), log.agreement()), (1, (0, 0)));
    }

    #[test]
    fn only_the_route_counts_each_backend_by_itself_and_no_line_twice() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("access.json");
        std::fs::write(&path, line("books", "backend-users", 500, 1)).unwrap();
        let mut log = log(path.clone());
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
        let all = |log: &Log, backend: &str| {
            log.of(backend, 1_000).map_or((0.0, 0.0), |views| (views.all.answers, views.all.failures))
        };
        assert_eq!(all(&log, "users"), (100.0, 1.0), "earlier lines do not count");
        let p95 = log.of("users", 1_000).unwrap().all.p95.unwrap();
        assert!((p95.ms - 95.0).abs() < 1.0, "{p95:?}");
        assert_eq!((all(&log, "legacy").0, log.agreement()), (1.0, (100, 1)), "half a line waits");
        let everywhere = log.everywhere(1_000).all;
        assert_eq!((everywhere.answers, everywhere.failures), (101.0, 2.0));
        write(&mut file, rest);
        log.read_on().unwrap();
        log.read_on().unwrap();
        assert_eq!((all(&log, "legacy").0, log.answers()), (2.0, 100));
        assert_eq!(log.of("auth", 1_000), None);
        // A line that is too long for Envoy is skipped, and the next one is read.
        write(&mut file, &"x".repeat(600_000));
        write(&mut file, "\n");
        write(&mut file, &line("books", "backend-users", 200, 1));
        log.read_on().unwrap();
        assert_eq!(log.answers(), 101);
        // The log is rotated.
        std::fs::write(&path, line("books", "backend-users", 200, 1)).unwrap();
        log.read_on().unwrap();
        assert_eq!(log.answers(), 102);
        std::fs::remove_file(&path).unwrap();
        assert!(log.read_on().is_err());
    }
}
