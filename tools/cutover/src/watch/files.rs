//! Whether files changed since the last look.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What tells one content of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// Where every link ends.
    real: PathBuf,
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

fn stamp(path: &Path) -> Option<Stamp> {
    let real = fs::canonicalize(path).ok()?;
    let data = fs::metadata(&real).ok()?;
    Some(Stamp { inode: data.ino(), length: data.len(), modified: data.modified().ok(), real })
}

/// Files that are looked at again and again.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// As they were when they were last used.
    used: Vec<Option<Stamp>>,
    /// As they were at the last look.
    seen: Vec<Option<Stamp>>,
}

impl Files {
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let now: Vec<_> = paths.iter().map(|path| stamp(path)).collect();
        Self { paths, used: now.clone(), seen: now }
    }

    /// Whether one of them is another one now, and was so at the last look too: a file that is being written in
    /// place is left alone until it rests. One that is gone has not changed.
    pub(super) fn changed(&mut self) -> bool {
        let now: Vec<_> = self.paths.iter().map(|path| stamp(path)).collect();
        let rests = now == self.seen;
        self.seen.clone_from(&now);
        let changed = rests && now.iter().all(Option::is_some) && now != self.used;
        if changed {
            self.used = now;
        }
        changed
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
        let mut files = Files::new([at("edge.yaml")]);
        assert!(!files.changed());
        link("v2", "..data");
        assert_eq!([files.changed(), files.changed(), files.changed()], [false, true, false]);
        fs::write(at("v2").join("edge.yaml"), "written in place").unwrap();
        assert!(!files.changed());
        fs::write(at("v2").join("edge.yaml"), "still being written").unwrap();
        assert_eq!([files.changed(), files.changed(), files.changed()], [false, true, false]);
        fs::remove_file(at("edge.yaml")).unwrap();
        assert_eq!([files.changed(), files.changed()], [false, false]);
        fs::write(at("new"), "renamed over").unwrap();
        fs::rename(at("new"), at("edge.yaml")).unwrap();
        assert_eq!([files.changed(), files.changed(), files.changed()], [false, true, false]);
    }
}
