use super::*;

#[test]
fn a_change_is_seen_once_whatever_it_looks_like() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let mut file = WatchedFile::new(&path, 10);
    assert!(file.poll().is_err(), "missing");
    std::fs::write(&path, "one").unwrap();
    assert_eq!(file.poll().unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(file.poll().unwrap(), None);
    // The same length, very likely within one step of the file's times.
    std::fs::write(&path, "two").unwrap();
    assert_eq!(file.poll().unwrap().as_deref(), Some(&b"two"[..]));
    // Renamed over, as careful programs do.
    std::fs::write(home.path().join("next"), "two").unwrap();
    std::fs::rename(home.path().join("next"), &path).unwrap();
    assert_eq!(file.poll().unwrap(), None, "another file, the same content");
    std::fs::write(&path, "eleven bytes").unwrap();
    assert!(file.poll().is_err(), "too large");
    std::fs::write(&path, "two").unwrap();
    assert_eq!(file.poll().unwrap().as_deref(), Some(&b"two"[..]), "back after trouble counts as new");
    std::fs::remove_file(&path).unwrap();
    assert!(file.poll().is_err());
}

#[test]
fn a_swapped_symlink_is_a_change() {
    let home = tempfile::tempdir().unwrap();
    for version in ["v1", "v2"] {
        std::fs::create_dir(home.path().join(version)).unwrap();
        std::fs::write(home.path().join(version).join("file"), version).unwrap();
    }
    let link = home.path().join("data");
    std::os::unix::fs::symlink(home.path().join("v1"), &link).unwrap();
    let mut file = WatchedFile::new(&link.join("file"), 10);
    assert_eq!(file.poll().unwrap().as_deref(), Some(&b"v1"[..]));
    let next = home.path().join("next");
    std::os::unix::fs::symlink(home.path().join("v2"), &next).unwrap();
    std::fs::rename(&next, &link).unwrap();
    assert_eq!(file.poll().unwrap().as_deref(), Some(&b"v2"[..]));
}

#[test]
fn a_look_counts_for_a_while_and_an_older_one_changes_nothing() {
    let looked = Looked::default();
    let (start, limit) = (looked.origin, Duration::from_millis(400));
    let after = |millis| start + Duration::from_millis(millis);
    assert!(!looked.is_within(limit, start), "never looked");
    looked.note(after(100));
    looked.note(start);
    assert!(looked.is_within(limit, after(499)));
    assert!(!looked.is_within(limit, after(500)));
}

#[test]
fn trouble_keeps_its_beginning_and_is_told_once() {
    let slot = ArcSwap::from_pointee(None);
    let at = UnixTime::from_seconds;
    assert!(Trouble::note(&slot, "gone".to_owned(), at(10)));
    assert!(!Trouble::note(&slot, "gone".to_owned(), at(20)));
    assert!(Trouble::note(&slot, "broken".to_owned(), at(30)), "other trouble is told");
    let trouble = slot.load_full().as_ref().clone().unwrap();
    assert_eq!(trouble.since(), at(10));
    assert!(!trouble.lasts_longer_than(Duration::from_secs(60), at(70)));
    assert!(trouble.lasts_longer_than(Duration::from_secs(60), at(71)));
}
