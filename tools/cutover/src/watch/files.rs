//! Finds out by polling whether files changed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Distinguishes two contents of a file without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// The path with all links resolved.
    real: PathBuf,
    inode: u64,
    /// Distinguishes a new file from the one before it, whose inode number it may have.
    created: Option<SystemTime>,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// Whether this is the file `before` with other content.
    fn was_written_in_place(&self, before: &Self) -> bool {
        let same = |of: fn(&Self) -> (&PathBuf, u64, Option<SystemTime>)| of(self) == of(before);
        self != before && same(|stamp| (&stamp.real, stamp.inode, stamp.created))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let real = fs::canonicalize(path).ok()?;
    let data = fs::metadata(&real).ok()?;
    Some(Stamp {
        inode: data.ino(),
        created: data.created().ok(),
        length: data.len(),
        modified: data.modified().ok(),
        real,
    })
}

/// A file that is replaced again and again before it rests is used after this time: each replacement is a whole file. A
/// file that is written in place has to rest, because a part of it may be valid, too.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The polled files.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// Their state when they were last used.
    used: Vec<Option<Stamp>>,
    /// Their state at the last poll, and since when.
    seen: Vec<Option<Stamp>>,
    since: Instant,
    /// Since when they differ from the ones last used.
    different: Option<Instant>,
    /// Whether one of them was written in place since it was used.
    in_place: bool,
}

impl Files {
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>, now: Instant) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let seen: Vec<_> = paths.iter().map(|path| stamp(path)).collect();
        Self { paths, used: seen.clone(), seen, since: now, different: None, in_place: false }
    }

    /// Whether a file changed and is whole now: it was the same at the last poll, or each change since it was used
    /// replaced it. A missing file counts as unchanged.
    pub(super) fn changed(&mut self, now: Instant) -> bool {
        let rests = self.look(now);
        let waited = self.different.is_some_and(|since| now.duration_since(since) >= LONGEST_WAIT);
        let whole = rests || (waited && !self.in_place);
        let changed = whole && self.seen.iter().all(Option::is_some) && self.different.is_some();
        if changed {
            self.used.clone_from(&self.seen);
            self.different = None;
            self.in_place = false;
        }
        changed
    }

    /// Whether a file changed and has rested for `long` since, without using it.
    pub(super) fn rests(&mut self, long: Duration, now: Instant) -> bool {
        let rests = self.look(now);
        rests && self.different.is_some() && now.duration_since(self.since) >= long
    }

    /// Polls the files; `true` when nothing changed since the last poll.
    fn look(&mut self, now: Instant) -> bool {
        let present: Vec<_> = self.paths.iter().map(|path| stamp(path)).collect();
        if present == self.seen {
            return true;
        }
        for (before, after) in self.seen.iter().zip(&present) {
            let both = before.as_ref().zip(after.as_ref());
            self.in_place |= both.is_some_and(|(before, after)| after.was_written_in_place(before));
        }
        self.seen = present;
        self.since = now;
        if self.seen == self.used {
            self.different = None;
        } else {
            self.different.get_or_insert(now);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_replacing_a_file_is_seen_once_and_after_it_rests() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("edge.yaml"), version).unwrap();
        }
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, at("next")).unwrap();
            fs::rename(at("next"), at(name)).unwrap();
        };
        // As Kubernetes mounts a ConfigMap.
        link("v1", "..data");
        link("..data/edge.yaml", "edge.yaml");
        let begun = Instant::now();
        let mut looks = 0;
        let mut files = Files::new([at("edge.yaml")], begun);
        // One poll every 50 ms.
        let mut look = || {
            looks += 1;
            files.changed(begun + looks * Duration::from_millis(50))
        };
        assert!(!look());
        link("v2", "..data");
        assert_eq!([look(), look(), look()], [false, true, false]);
        fs::write(at("v2").join("edge.yaml"), "written in place").unwrap();
        assert!(!look());
        fs::write(at("v2").join("edge.yaml"), "still being written").unwrap();
        assert_eq!([look(), look(), look()], [false, true, false]);
        fs::remove_file(at("edge.yaml")).unwrap();
        assert_eq!([look(), look()], [false, false]);
        fs::write(at("new"), "renamed over").unwrap();
        fs::rename(at("new"), at("edge.yaml")).unwrap();
        assert_eq!([look(), look(), look()], [false, true, false]);
    }

    #[test]
    fn a_file_that_is_replaced_without_end_is_taken_and_one_that_is_written_without_end_is_not() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::write(at("edge.yaml"), "v0").unwrap();
        let begun = Instant::now();
        let moment = |look: u32| begun + look * Duration::from_millis(50);
        let mut files = Files::new([at("edge.yaml")], begun);
        let replaced = (1..=40).filter(|look| {
            fs::write(at("new"), format!("replaced {}", "x".repeat(*look as usize))).unwrap();
            fs::rename(at("new"), at("edge.yaml")).unwrap();
            files.changed(moment(*look))
        });
        assert!(replaced.count() >= 3);
        assert_eq!([files.changed(moment(41)), files.changed(moment(42))], [true, false], "the last one");
        let written = (43..=80).filter(|look| {
            fs::write(at("edge.yaml"), format!("written {}", "x".repeat(*look as usize))).unwrap();
            files.changed(moment(*look))
        });
        assert_eq!(written.count(), 0);
        assert!(!files.rests(Duration::from_millis(100), moment(81)));
        assert!(files.rests(Duration::from_millis(100), moment(83)), "once it rests, it is seen");
        assert!(files.changed(moment(84)));
    }
}
