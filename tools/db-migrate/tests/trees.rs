//! A tree of files is copied, and each damage of the copy is found.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// The pictures of a few books, a list, a link, an empty file and an empty directory.
struct Trees(tempfile::TempDir);

impl Trees {
    fn seeded() -> Self {
        let trees = Self(tempfile::tempdir().unwrap());
        for book in 1..=20u32 {
            let directory = trees.source().join(format!("image/library/{book}"));
            fs::create_dir_all(&directory).unwrap();
            for page in 1..=3u32 {
                let bytes: Vec<u8> = (0..40_000u32).map(|at| (at * page % 251 + book) as u8).collect();
                write(&directory.join(format!("{page}.png")), &bytes);
            }
            write(&directory.join("image_list.txt"), b"1.png\n2.png\n3.png\n");
        }
        write(&trees.source().join("image/-dash and space.png"), b"");
        fs::create_dir(trees.source().join("image/empty")).unwrap();
        symlink("7/1.png", trees.source().join("image/library/cover")).unwrap();
        fs::hard_link(
            trees.source().join("image/library/9/1.png"),
            trees.source().join("image/library/9/also 1.png"),
        )
        .unwrap();
        trees
    }

    fn source(&self) -> PathBuf {
        self.0.path().join("source")
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("target")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_db-migrate"));
        command.args(["files", "--json", "--source"]).arg(self.source());
        if !more.contains(&"--target") {
            command.arg("--target").arg(self.target());
        }
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, more: &[&str]) -> (Option<i32>, Value) {
        let output = self.command(more).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_str(&text).unwrap_or(Value::String(log)))
    }
}

/// Writes a file with a time of years ago.
fn write(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789)).unwrap();
    file.set_permissions(Permissions::from_mode(0o644)).unwrap();
}

/// Each difference as `aspect path`.
fn differences(report: &Value) -> Vec<String> {
    let all = report["differences"].as_array().unwrap_or_else(|| panic!("{report}"));
    all.iter()
        .map(|one| format!("{} {}", one["aspect"].as_str().unwrap(), one["path"].as_str().unwrap()))
        .collect()
}

/// Changes a file of the target, and leaves its directory and it with their times.
fn damage(path: &Path, change: impl FnOnce(&Path)) {
    let directory = path.parent().unwrap();
    let kept = |of: &Path| fs::symlink_metadata(of).ok().filter(|found| !found.is_symlink());
    let times = [directory, path].map(|of| kept(of).and_then(|found| found.modified().ok()));
    change(path);
    for (of, modified) in [directory, path].into_iter().zip(times) {
        if let (Some(modified), Ok(file)) = (modified, File::open(of)) {
            file.set_modified(modified).unwrap();
        }
    }
}

fn flip(path: &Path) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(30_000)).unwrap();
    file.read_exact(&mut byte).unwrap();
    byte[0] ^= 0x10;
    file.seek(SeekFrom::Start(30_000)).unwrap();
    file.write_all(&byte).unwrap();
}

#[test]
fn a_copy_is_equal_and_each_damage_of_it_is_found() {
    let trees = Trees::seeded();
    let (code, planned) = trees.run(&["--plan"]);
    assert_eq!(code, Some(1), "a plan creates no target: {planned}");
    fs::create_dir(trees.target()).unwrap();
    let (code, planned) = trees.run(&["--plan"]);
    assert_eq!((code, fs::read_dir(trees.target()).unwrap().count()), (Some(0), 0), "{planned}");
    assert!(planned["planned"].as_array().unwrap().len() > 80, "{planned}");

    let (code, copied) = trees.run(&[]);
    assert_eq!((code, &copied["found"]), (Some(0), &0.into()), "{copied}");
    let counts = ["files", "directories", "links", "bytes"].map(|name| copied[name].as_u64().unwrap());
    assert_eq!(counts, [82, 23, 1, (20 * 3 + 1) * 40_000 + 20 * 18]);
    let number = |name: &str| fs::metadata(trees.target().join("image/library/9").join(name)).unwrap().ino();
    assert_eq!(number("1.png"), number("also 1.png"), "one file by two names stays one");

    let page = |book: u32, page: u32| trees.target().join(format!("image/library/{book}/{page}.png"));
    damage(&page(1, 1), |path| File::options().write(true).open(path).unwrap().set_len(39_999).unwrap());
    damage(&page(2, 1), flip);
    damage(&page(3, 1), |path| fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap());
    damage(&page(4, 1), |path| fs::remove_file(path).unwrap());
    damage(&page(5, 9), |path| write(path, b"extra"));
    // A nanosecond later, and a program that would run as its owner.
    let later = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_790);
    File::options().write(true).open(page(7, 1)).unwrap().set_modified(later).unwrap();
    damage(&page(10, 1), |path| fs::set_permissions(path, Permissions::from_mode(0o4644)).unwrap());
    fs::set_permissions(trees.target().join("image/empty"), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(trees.target(), Permissions::from_mode(0o700)).unwrap();
    damage(&trees.target().join("image/library/cover"), |path| {
        fs::remove_file(path).unwrap();
        symlink("8/1.png", path).unwrap();
    });
    damage(&trees.target().join("image/library/8/image_list.txt"), |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    });
    let expected = [
        "content image/library/2/1.png",
        "kind image/library/8/image_list.txt",
        "modified image/library/7/1.png",
        "permissions .",
        "permissions image/empty",
        "permissions image/library/10/1.png",
        "permissions image/library/3/1.png",
        "presence image/library/4/1.png",
        "presence image/library/5/9.png",
        "size image/library/1/1.png",
    ];
    let (code, found) = trees.run(&["--verify"]);
    let mut names = differences(&found);
    names.sort();
    // A new link has a time of its own, besides where it leads.
    let (links, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.ends_with("cover"));
    assert_eq!((code, others.as_slice()), (Some(1), expected.map(str::to_owned).as_slice()), "{found}");
    assert!(links.contains(&"link image/library/cover".to_owned()), "{links:?}");

    // A flipped bit is invisible to rsync, which compares size and time: the copy says so and does not pass.
    let (code, repaired) = trees.run(&["--delete-extra"]);
    assert_eq!((code, differences(&repaired)), (Some(1), vec![expected[0].to_owned()]));
    let (code, repaired) = trees.run(&["--checksum"]);
    assert_eq!((code, &repaired["found"]), (Some(0), &0.into()), "{repaired}");
}

#[test]
fn what_is_no_file_and_what_has_another_owner_is_reported_with_any_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let trees = Trees::seeded();
    let strange = |name: &[u8]| trees.source().join(OsStr::from_bytes(name));
    write(&strange(b"\xff"), b"1");
    write(&strange(b"\\xff"), b"2");
    assert!(Command::new("mkfifo").arg(strange(b"pipe")).status().unwrap().success());
    let (code, copied) = trees.run(&[]);
    assert_eq!((code, differences(&copied)), (Some(1), vec!["presence pipe".to_owned()]), "{copied}");
    assert_eq!(copied["differences"][0]["source"], "special");

    fs::remove_file(strange(b"pipe")).unwrap();
    // Each name is shown so that no other name looks the same.
    for (name, shown) in [(&b"\xff"[..], r"\xff"), (b"\\xff", r"\\xff")] {
        damage(&trees.target().join(OsStr::from_bytes(name)), |path| fs::write(path, b"3").unwrap());
        let (_, found) = trees.run(&["--verify"]);
        let names = differences(&found);
        assert!(names.contains(&format!("content {shown}")), "{names:?}");
    }
    let (code, repaired) = trees.run(&["--checksum"]);
    assert_eq!((code, &repaired["found"]), (Some(0), &0.into()), "{repaired}");
    // Only root can give a file away.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let given = trees.target().join("image/library/20/3.png");
        std::os::unix::fs::chown(&given, Some(12_345), None).unwrap();
        let (code, found) = trees.run(&["--verify"]);
        assert_eq!((code, differences(&found)), (Some(1), vec!["owner image/library/20/3.png".to_owned()]));
        std::os::unix::fs::chown(&given, Some(0), Some(12_345)).unwrap();
        let (code, found) = trees.run(&["--verify"]);
        assert_eq!((code, differences(&found)), (Some(1), vec!["owner image/library/20/3.png".to_owned()]));
    }
}

/// A file is read in blocks, and a report has room for a thousand differences.
#[test]
fn a_damage_at_the_end_of_a_long_file_and_the_last_of_many_are_counted() {
    let trees = Trees::seeded();
    write(&trees.source().join("long.bin"), &vec![7; 700_000]);
    assert_eq!(trees.run(&[]).0, Some(0));
    damage(&trees.target().join("long.bin"), |path| {
        let mut file = File::options().write(true).open(path).unwrap();
        file.seek(SeekFrom::End(-1)).unwrap();
        file.write_all(&[8]).unwrap();
    });
    let (code, found) = trees.run(&["--verify"]);
    assert_eq!((code, differences(&found)), (Some(1), vec!["content long.bin".to_owned()]), "{found}");
    let times = fs::metadata(trees.target()).unwrap().modified().unwrap();
    for number in 0..1_004 {
        write(&trees.target().join(format!("extra {number}")), b"");
    }
    File::open(trees.target()).unwrap().set_modified(times).unwrap();
    let (code, found) = trees.run(&["--verify"]);
    assert_eq!((code, &found["found"], differences(&found).len()), (Some(1), &1_005.into(), 1_000));
}

#[test]
fn a_killed_copy_goes_on() {
    let trees = Trees::seeded();
    // Enough for rsync to be under way when it is killed.
    let large = File::create(trees.source().join("large.bin")).unwrap();
    large.set_len(1 << 30).unwrap();
    let mut child = trees.command(&[]).spawn().unwrap();
    let under_way = || {
        let partly = fs::read_dir(trees.target()).into_iter().flatten().flatten();
        partly.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(".large.bin."))
    };
    harness::eventually("the large file is under way", under_way);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    large.set_len(1 << 20).unwrap();
    // What was under way of a file that the source no longer has: rsync does not delete it.
    let under_way = trees.target().join("image/library/1/.db-migrate-partial");
    fs::create_dir_all(&under_way).unwrap();
    write(&under_way.join("gone.png"), b"the beginning of a picture");
    let (code, copied) = trees.run(&["--delete-extra"]);
    assert_eq!((code, &copied["found"]), (Some(0), &0.into()), "{copied}");
}

#[test]
fn one_directory_as_both_and_one_inside_the_other_are_refused_however_they_are_written() {
    let trees = Trees::seeded();
    let root = trees.0.path();
    symlink(trees.source(), root.join("link")).unwrap();
    let same = ["source", "source/", "source/.", "source/image/..", "./source", "link", "link/"];
    let inside = ["source/image", "link/image/library/1", "source/new", "source/new/deeper"];
    let around = [".", "source/.."];
    for (targets, text) in [
        (&same[..], "the same directory"),
        (&inside, "contains the target"),
        (&around, "contains the source"),
    ] {
        for (target, mode) in
            targets.iter().flat_map(|target| [(target, ""), (target, "--verify"), (target, "--plan")])
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_db-migrate"));
            command.current_dir(root).args(["files", "--source", "source", "--target", target]);
            command.args(Some(mode).filter(|mode| !mode.is_empty()));
            let refused = command.output().unwrap();
            let log = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(64), "{target} {mode}: {log}");
            for part in ["the source source", &format!("the target {target}"), text] {
                assert!(log.contains(part), "{target} {mode}: {part:?} is missing in {log}");
            }
        }
    }
    assert!(!trees.source().join("new").exists(), "nothing was created");
    // A name that only begins alike is another directory.
    let (code, copied) = trees.run(&["--target", root.join("source2").to_str().unwrap()]);
    assert_eq!((code, &copied["found"]), (Some(0), &0.into()), "{copied}");
}

#[test]
fn a_colon_in_a_path_is_no_other_machine() {
    let trees = Trees::seeded();
    let mut command = Command::new(env!("CARGO_BIN_EXE_db-migrate"));
    command.current_dir(trees.0.path()).args([
        "files",
        "--source",
        "source",
        "--target",
        "nowhere.test:tree",
    ]);
    let copied = command.output().unwrap();
    assert_eq!(copied.status.code(), Some(0), "{copied:?}");
    assert!(trees.0.path().join("nowhere.test:tree/image/library/20/3.png").exists());
}

#[test]
fn an_empty_source_deletes_nothing() {
    let trees = Trees::seeded();
    assert_eq!(trees.run(&[]).0, Some(0));
    // As a directory looks when its disk is not mounted.
    fs::remove_dir_all(trees.source()).unwrap();
    fs::create_dir(trees.source()).unwrap();
    let (code, log) = trees.run(&["--delete-extra"]);
    assert_eq!(code, Some(64), "{log}");
    assert!(log.to_string().contains("is it mounted?"), "{log}");
    assert!(trees.target().join("image/library/20/3.png").exists());
}

#[test]
fn a_missing_source_is_named() {
    let trees = Trees(tempfile::tempdir().unwrap());
    let (code, log) = trees.run(&[]);
    assert_eq!(code, Some(1));
    assert!(log.to_string().contains("source"), "{log}");
}
