use super::*;

use std::io::Write as _;

use clock::ManualClock;

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
        let home = tempfile::tempdir().unwrap();
        let lately = Arc::new(Lately::default());
        let list = Arc::new(Revocations::default().noting(&lately));
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
        self.list.is_revoked(session(number), self.clock.now())
    }
}

fn session(number: u128) -> SessionId {
    SessionId(uuid::Uuid::from_u128(number))
}

fn line(number: u128, from: u64, until: u64) -> String {
    format!("{{\"sid\": \"{}\", \"from\": {from}, \"until\": {until}}}\n", session(number))
}

#[test]
fn nobody_is_revoked_while_there_is_no_file_but_nothing_is_known_before_the_first_look() {
    let mut f = Fixture::new();
    assert_eq!(f.list.is_revoked(session(1), NOW), Err(Failure::RevocationsUnavailable));
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
    // A logout in the grace: the earlier moment counts, and the later end.
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
fn an_unreadable_file_refuses_everybody_after_its_limit() {
    let mut f = Fixture::new();
    f.append(&line(1, 0, 2_000));
    assert_eq!(f.is_revoked(2), Ok(false));
    std::fs::remove_file(f.path()).unwrap();
    // A directory can be opened and not read, whoever asks.
    std::fs::create_dir(f.path()).unwrap();
    std::fs::write(f.path().join("x"), "y").unwrap();
    assert_eq!(f.is_revoked(2), Ok(false));
    f.clock.advance_seconds(UNREADABLE_LIMIT.as_secs() + 1);
    assert_eq!(f.is_revoked(2), Err(Failure::RevocationsUnavailable));
    std::fs::remove_dir_all(f.path()).unwrap();
    assert_eq!(f.is_revoked(2), Ok(false));
    assert_eq!(f.is_revoked(1), Ok(true));
}

#[test]
fn too_many_refuse_everybody_until_there_is_room() {
    let mut f = Fixture::new();
    {
        let mut sessions = f.list.sessions.write().unwrap();
        for number in 0..u128::try_from(MAX_SESSIONS).unwrap() {
            sessions.insert(session(number + 10), Revoked { from: 0, until: 1_100 });
        }
    }
    f.append(&line(1, 0, 9_000));
    assert_eq!(f.is_revoked(2), Err(Failure::RevocationsUnavailable));
    f.clock.set(UnixTime::from_seconds(1_101));
    assert_eq!(f.is_revoked(1), Ok(true), "what was passed over is read again");
    assert_eq!(f.is_revoked(2), Ok(false));
}

#[test]
fn all_of_a_person_or_a_tenant_end_by_when_they_were_issued() {
    let mut f = Fixture::new();
    let id = uuid::Uuid::from_u128;
    let person = |subject, tenant| Person {
        subject: SubjectId(id(subject)),
        tenant: TenantId(id(tenant)),
        session: session(7),
        role: identity::Role::NORMAL,
        scopes: Vec::new(),
    };
    f.append(&format!("{{\"sub\":\"{}\",\"before\":900,\"until\":2000}}\n", id(1)));
    f.append(&format!("{{\"tid\":\"{}\",\"before\":950,\"until\":2000}}\n", id(2)));
    // An earlier moment for the same person does not bring anything back.
    f.append(&format!("{{\"sub\":\"{}\",\"before\":800,\"until\":1500}}\n", id(1)));
    f.file.poll();
    let mut tags = [subject_tag(SubjectId(id(1))), tenant_tag(TenantId(id(2)))];
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
    let (start, tag) = (Instant::now(), session_tag(session(1)));
    let named = |f: &Fixture, after| f.lately.lately(start + Duration::from_secs(after)).tags.contains(&tag);
    f.append(&line(1, 1_100, 2_000));
    assert_eq!(f.is_revoked(1), Ok(false), "it ends later");
    assert!(named(&f, 1) && f.list.is_listed(session(1)), "and is not to be counted on until then");
    assert!(!named(&f, 31) && f.list.is_listed(session(1)));
    f.append(&line(1, 1_200, 2_500));
    f.file.poll();
    assert!(!named(&f, 31), "later than was known: no news");
    f.append(&line(1, 1_050, 2_000));
    f.file.poll();
    assert!(named(&f, 1), "sooner than was known");
}

#[test]
fn what_is_fresh_is_neither_old_nor_in_trouble() {
    let mut f = Fixture::new();
    let soon = |millis| Instant::now() + Duration::from_millis(millis);
    assert!(!f.list.is_fresh(NOW, soon(0)), "nothing was read yet");
    f.file.poll();
    assert!(f.list.is_fresh(NOW, soon(0)), "no file is nobody");
    assert!(!f.list.is_fresh(NOW, soon(400)), "nobody looked for too long");
    std::fs::create_dir(f.path()).unwrap();
    f.file.poll();
    assert!(!f.list.is_fresh(NOW, soon(400)), "a look that failed is none");
}
