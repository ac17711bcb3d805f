use super::file::POLLS_PER_SWEEP;
use super::*;
use crate::source::Source as _;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use clock::{Clock as _, ManualClock};
use identity::{SubjectId, TenantId};
use prometheus::IntCounter;

const NOW: UnixTime = UnixTime::from_seconds(1_000);

struct Fixture {
    home: tempfile::TempDir,
    list: Arc<Revocations>,
    clock: ManualClock,
    file: RevocationFile,
    bad_lines: IntCounter,
    lately: Arc<Lately>,
}

impl Fixture {
    fn new() -> Self {
        Self::holding(ROOM)
    }

    fn holding(room: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let lately = Arc::new(Lately::default());
        let list = Arc::new(Revocations::default().holding(room).noting(&lately));
        let clock = ManualClock::at(NOW);
        let bad_lines = IntCounter::new("bad", "x").unwrap();
        let path = home.path().join("revoked.jsonl");
        let file = RevocationFile::new(&path, Arc::clone(&list), Arc::new(clock.clone()), bad_lines.clone());
        Self { home, list, clock, file, bad_lines, lately }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("revoked.jsonl")
    }

    fn append(&self, text: &str) {
        let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn is_revoked(&mut self, number: u128) -> Result<bool, Failure> {
        self.file.poll();
        self.list.is_revoked(&session(number), self.clock.now())
    }
}

fn session(number: u128) -> SessionId {
    SessionId::from(uuid::Uuid::from_u128(number))
}

fn line(number: u128, from: u64, until: u64) -> String {
    format!("{{\"sid\": \"{}\", \"from\": {from}, \"until\": {until}}}\n", session(number))
}

#[test]
fn no_session_is_revoked_without_a_file_but_nothing_is_certain_before_the_first_poll() {
    let mut f = Fixture::new();
    assert_eq!(f.list.is_revoked(&session(1), NOW), Err(Failure::RevocationsUnavailable));
    assert_eq!(f.is_revoked(1), Ok(false));
}

#[test]
fn follows_appends_also_torn_ones() {
    let mut f = Fixture::new();
    f.append(&line(1, 0, 2_000));
    assert_eq!(f.is_revoked(1), Ok(true));
    assert_eq!(f.is_revoked(2), Ok(false));
    let second = line(2, 0, 2_000);
    let (head, tail) = second.split_at(20);
    f.append(head);
    assert_eq!(f.is_revoked(2), Ok(false), "half a line says nothing yet");
    f.append(tail);
    assert_eq!(f.is_revoked(2), Ok(true));
    assert_eq!(f.bad_lines.get(), 0);
}

#[test]
fn a_grace_ends_on_its_second() {
    let mut f = Fixture::new();
    f.append(&line(1, 1_060, 2_000));
    assert_eq!(f.is_revoked(1), Ok(false));
    f.clock.advance_seconds(59);
    assert_eq!(f.is_revoked(1), Ok(false));
    f.clock.advance_seconds(1);
    assert_eq!(f.is_revoked(1), Ok(true));
    // A logout in the grace period: the earlier moment counts, and the later end.
    f.append(&line(2, 5_000, 9_000));
    f.append(&line(2, 1_000, 6_000));
    assert_eq!(f.is_revoked(2), Ok(true));
    f.clock.set(UnixTime::from_seconds(8_000));
    assert_eq!(f.is_revoked(2), Ok(true));
}

#[test]
fn survives_rename_truncation_and_removal() {
    let mut f = Fixture::new();
    f.append(&line(1, 0, 2_000));
    assert_eq!(f.is_revoked(1), Ok(true));

    let next = f.home.path().join("next");
    std::fs::write(&next, line(2, 0, 2_000)).unwrap();
    std::fs::rename(&next, f.path()).unwrap();
    assert_eq!(f.is_revoked(2), Ok(true), "the new file is read from its beginning");
    assert_eq!(f.is_revoked(1), Ok(true), "what was read stays in force");

    std::fs::write(f.path(), "").unwrap();
    assert_eq!(f.is_revoked(2), Ok(true));
    f.append(&line(3, 0, 2_000));
    assert_eq!(f.is_revoked(3), Ok(true));

    std::fs::remove_file(f.path()).unwrap();
    assert_eq!(f.is_revoked(3), Ok(true));
    f.append(&line(4, 0, 2_000));
    assert_eq!(f.is_revoked(4), Ok(true));
}

#[test]
fn a_line_without_sense_is_counted_and_the_next_one_read() {
    let mut f = Fixture::new();
    let long = format!("{{\"sid\":\"{}\"}}\n", "x".repeat(100_000));
    f.append(&format!(
        "\n   \nnonsense\n{{}}\n{long}{{\"sid\":\"{}\",\"from\":-1,\"until\":5}}\n{}",
        session(9),
        line(1, 0, 2_000)
    ));
    assert_eq!(f.is_revoked(1), Ok(true));
    assert_eq!(f.bad_lines.get(), 4);
    assert_eq!(f.list.len(), 1);
}

#[test]
fn expired_entries_are_dropped() {
    let mut f = Fixture::new();
    f.append(&line(1, 0, 999));
    f.append(&line(2, 0, 1_500));
    assert_eq!(f.is_revoked(1), Ok(false), "expired before it was read");
    assert_eq!(f.list.len(), 1);
    f.clock.set(UnixTime::from_seconds(1_501));
    for _ in 0..POLLS_PER_SWEEP {
        f.file.poll();
    }
    assert_eq!(f.list.len(), 0);
}

#[test]
fn an_unreadable_file_refuses_every_session_after_its_limit() {
    let mut f = Fixture::new();
    f.append(&line(1, 0, 2_000));
    assert_eq!(f.is_revoked(2), Ok(false));
    std::fs::remove_file(f.path()).unwrap();
    // A directory can be opened but not read, even by root.
    std::fs::create_dir(f.path()).unwrap();
    std::fs::write(f.path().join("x"), "y").unwrap();
    assert_eq!(f.is_revoked(2), Ok(false));
    f.clock.advance_seconds(UNREADABLE_LIMIT.as_secs() + 1);
    assert_eq!(f.is_revoked(2), Err(Failure::RevocationsUnavailable));
    std::fs::remove_dir_all(f.path()).unwrap();
    assert_eq!(f.is_revoked(2), Ok(false));
    assert_eq!(f.is_revoked(1), Ok(true));
}

fn person(subject: u128, tenant: u128, number: u128) -> Person {
    let id = uuid::Uuid::from_u128;
    Person {
        subject: id(subject).into(),
        tenant: Some(id(tenant).into()),
        session: Some(session(number)),
        role: Some(identity::Role::NORMAL),
        roles: Vec::new(),
        scopes: Vec::new(),
    }
}

#[test]
fn without_room_only_an_uncertain_session_is_refused() {
    let mut f = Fixture::holding(10);
    for number in 1..=1_000 {
        f.append(&line(number, 0, 2_000));
    }
    f.file.poll();
    assert_eq!(f.list.len(), 10, "the list takes no more than its room");
    let refused = Err(Failure::RevocationsUnavailable);
    for number in 1..=1_000 {
        let expected = if number <= 10 { Ok(true) } else { refused };
        assert_eq!(f.list.is_revoked(&session(number), NOW), expected, "{number}");
        assert_eq!(f.list.ends(&person(1, 1, number), 5, NOW), expected, "{number}");
        assert!(f.list.is_listed(&session(number)), "and no lease is given on it");
    }
    // 1,000 of 65,536 bits: fewer than one in a hundred thousand is mistaken for another.
    let wrong =
        (2_000..102_000).filter(|number| f.list.is_revoked(&session(*number), NOW) != Ok(false)).count();
    assert!(wrong <= 5, "{wrong} of 100,000 others are refused");
    assert!(f.list.beyond_room() > 950);
    let health = f.list.health(NOW);
    assert!(health.ready, "the others need this replica");
    assert!(health.detail.contains("no room for 9"), "{}", health.detail);
    // A known end needs no more room.
    f.append(&line(3, 0, 3_000));
    f.clock.set(UnixTime::from_seconds(2_500));
    assert_eq!(f.is_revoked(3), Ok(true));
}

#[test]
fn leases_end_also_with_entries_that_find_no_room() {
    let mut f = Fixture::holding(1);
    f.append(&line(1, 0, 2_000));
    f.append(&line(2, 0, 2_000));
    f.append(&format!("{{\"sub\":\"{}\",\"before\":900,\"until\":2000}}\n", uuid::Uuid::from_u128(3)));
    f.append(&format!("{{\"tid\":\"{}\",\"before\":900,\"until\":2000}}\n", uuid::Uuid::from_u128(4)));
    f.file.poll();
    let id = uuid::Uuid::from_u128;
    let tags = f.lately.lately(Instant::now()).tags;
    for tag in [
        session_tag(&session(1)),
        session_tag(&session(2)),
        subject_tag(&SubjectId::from(id(3))),
        tenant_tag(&TenantId::from(id(4))),
    ] {
        assert!(tags.contains(&tag));
    }
}

#[test]
fn persons_and_tenants_beyond_the_room_are_refused_alone() {
    let mut f = Fixture::holding(2);
    for number in 1..=100 {
        let (id, other) = (uuid::Uuid::from_u128(number), uuid::Uuid::from_u128(number + 1_000));
        f.append(&format!("{{\"sub\":\"{id}\",\"before\":900,\"until\":2000}}\n"));
        f.append(&format!("{{\"tid\":\"{other}\",\"before\":900,\"until\":2000}}\n"));
    }
    f.file.poll();
    assert_eq!(f.list.wholesale_len(), 2);
    let refused = Err(Failure::RevocationsUnavailable);
    assert_eq!(f.list.ends(&person(1, 9_999, 7), 899, NOW), Ok(true));
    assert_eq!(f.list.ends(&person(1, 9_999, 7), 900, NOW), Ok(false), "signed in again");
    assert_eq!(f.list.ends(&person(100, 9_999, 7), 899, NOW), refused);
    assert_eq!(f.list.ends(&person(9_999, 1_100, 7), 899, NOW), refused);
    assert_eq!(f.list.ends(&person(9_999, 9_999, 7), 0, NOW), Ok(false));
    assert_eq!(f.list.ends(&person(1_100, 100, 7), 0, NOW), Ok(false), "a person's id is not a tenant's");
}

#[test]
fn once_there_is_room_everything_is_read_again_and_not_before() {
    let mut f = Fixture::holding(16);
    for number in 1..=16 {
        f.append(&line(number, 0, 1_000 + u64::try_from(number).unwrap()));
    }
    f.append(&line(100, 0, 9_000));
    assert_eq!(f.is_revoked(100), Err(Failure::RevocationsUnavailable));
    let offset = f.file.work();
    // One free place is not worth reading everything again.
    f.clock.set(UnixTime::from_seconds(1_002));
    assert_eq!(f.is_revoked(100), Err(Failure::RevocationsUnavailable));
    assert_eq!(f.file.work(), offset);
    f.clock.set(UnixTime::from_seconds(1_010));
    assert_eq!(f.is_revoked(100), Ok(true), "what had no room has some");
    assert_eq!((f.list.beyond_room(), f.is_revoked(16)), (0, Ok(true)));
    // Full again at once: the next reading waits for its turn.
    for number in 200..=220 {
        f.append(&line(number, 0, 1_012));
    }
    f.append(&line(300, 0, 9_000));
    assert_eq!(f.is_revoked(300), Err(Failure::RevocationsUnavailable));
    let read = f.file.work();
    f.clock.set(UnixTime::from_seconds(1_020));
    assert_eq!(f.is_revoked(300), Err(Failure::RevocationsUnavailable));
    assert_eq!(f.file.work(), read);
    f.clock.set(UnixTime::from_seconds(1_030));
    assert_eq!(f.is_revoked(300), Ok(true));
    assert_eq!(f.is_revoked(2_000), Ok(false));
    assert!(f.list.health(f.clock.now()).ready);
}

#[test]
fn a_filter_whose_entries_have_all_expired_is_dropped() {
    let mut f = Fixture::holding(1);
    f.append(&line(1, 0, 9_000));
    f.append(&line(2, 0, 1_100));
    assert_eq!(f.is_revoked(2), Err(Failure::RevocationsUnavailable));
    f.clock.set(UnixTime::from_seconds(1_101));
    assert_eq!(f.is_revoked(2), Ok(false));
    assert_eq!(f.list.beyond_room(), 0);
}

#[test]
fn all_of_a_person_or_a_tenant_end_by_when_they_were_issued() {
    let mut f = Fixture::new();
    let id = uuid::Uuid::from_u128;
    let person = |subject, tenant| person(subject, tenant, 7);
    f.append(&format!("{{\"sub\":\"{}\",\"before\":900,\"until\":2000}}\n", id(1)));
    f.append(&format!("{{\"tid\":\"{}\",\"before\":950,\"until\":2000}}\n", id(2)));
    // An earlier moment for the same person revives nothing.
    f.append(&format!("{{\"sub\":\"{}\",\"before\":800,\"until\":1500}}\n", id(1)));
    f.file.poll();
    let mut tags = [subject_tag(&SubjectId::from(id(1))), tenant_tag(&TenantId::from(id(2)))];
    tags.sort_unstable();
    assert_eq!(f.lately.lately(Instant::now()).tags, tags, "leases on both end");
    let mut ends = |subject, tenant, issued| {
        f.file.poll();
        f.list.ends(&person(subject, tenant), issued, f.clock.now())
    };
    assert_eq!(ends(1, 9, 899), Ok(true));
    assert_eq!(ends(1, 9, 900), Ok(false), "signed in again");
    assert_eq!(ends(9, 2, 949), Ok(true));
    assert_eq!(ends(9, 2, 950), Ok(false));
    assert_eq!(ends(9, 9, 0), Ok(false));
    assert_eq!(ends(2, 1, 0), Ok(false), "a person's id is not a tenant's");
    assert_eq!(f.bad_lines.get(), 0);
    f.list.sweep(UnixTime::from_seconds(2_001));
    assert_eq!(f.list.wholesale_len(), 0);
}

#[test]
fn a_lease_ends_with_the_first_word_of_an_end_and_none_is_granted_after_it() {
    let mut f = Fixture::new();
    let (start, tag) = (Instant::now(), session_tag(&session(1)));
    let named = |f: &Fixture, after| f.lately.lately(start + Duration::from_secs(after)).tags.contains(&tag);
    f.append(&line(1, 1_100, 2_000));
    assert_eq!(f.is_revoked(1), Ok(false), "it ends later");
    assert!(named(&f, 1) && f.list.is_listed(&session(1)), "and is not to be counted on until then");
    assert!(!named(&f, 31) && f.list.is_listed(&session(1)));
    f.append(&line(1, 1_200, 2_500));
    f.file.poll();
    assert!(!named(&f, 31), "later than was known: no news");
    f.append(&line(1, 1_050, 2_000));
    f.file.poll();
    assert!(named(&f, 1), "sooner than was known");
}

#[test]
fn a_fresh_list_is_neither_old_nor_in_trouble() {
    let mut f = Fixture::new();
    let soon = |millis| Instant::now() + Duration::from_millis(millis);
    assert!(!f.list.is_fresh(NOW, soon(0)), "nothing was read yet");
    f.file.poll();
    assert!(f.list.is_fresh(NOW, soon(0)), "no file means no revocations");
    assert!(!f.list.is_fresh(NOW, soon(400)), "the last poll is too old");
    std::fs::create_dir(f.path()).unwrap();
    f.file.poll();
    assert!(!f.list.is_fresh(NOW, soon(400)), "a failed poll does not count");
}
