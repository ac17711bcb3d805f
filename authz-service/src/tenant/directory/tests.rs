use super::*;
use crate::source::Source as _;
use clock::ManualClock;
use prometheus::IntCounter;

const ACTIVE: &str = "00000000-0000-7000-8000-000000000001";
const OTHER: &str = "00000000-0000-7000-8000-000000000002";

fn listing(status: &str) -> String {
    format!("tenants:\n  - {{ id: {ACTIVE}, name: Demo, status: {status} }}\n")
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

#[test]
fn a_tenant_may_have_a_plan_with_a_name() {
    let read = |plan: &str| Tenants::parse(listing(&format!("active, plan: {plan}")).as_bytes());
    let plan = |tenants: &Tenants| tenants.plans.get(&id(ACTIVE)).map(ToString::to_string);
    assert_eq!(plan(&read("gold").unwrap()).as_deref(), Some("gold"));
    assert_eq!(plan(&read("null").unwrap()), None);
    for wrong in ["Gold", "\"\"", "\"a b\"", "-a", "{ a: b }", "[gold]"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let said = read("Gold").unwrap_err();
    assert!(said.contains(ACTIVE) && said.contains("lower-case letters"), "{said}");
}

#[test]
fn follows_its_file_and_stops_trusting_an_old_state() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("tenants.yaml");
    let clock = ManualClock::at(UnixTime::from_seconds(1_000));
    let directory = Arc::new(Directory::default());
    let counter = |name: &str| IntCounter::new(name, "x").unwrap();
    let reloads = Reloads { done: counter("done"), failed: counter("failed") };
    let mut file =
        follow(&path, Arc::clone(&directory), OnChange::default(), Arc::new(clock.clone()), reloads.clone());
    let mut status = |tenant: &str| {
        file.poll();
        directory.status(&id(tenant), clock.now())
    };

    assert_eq!(status(ACTIVE), Err(Failure::TenantsUnavailable), "nothing loaded yet");
    std::fs::write(&path, listing("active")).unwrap();
    assert_eq!(status(ACTIVE), Ok(Some(Status::Active)));
    assert_eq!(status(OTHER), Ok(None));
    std::fs::write(&path, listing("suspended")).unwrap();
    assert_eq!(status(ACTIVE), Ok(Some(Status::Suspended)));

    std::fs::write(&path, "tenants: [{").unwrap();
    assert_eq!(status(ACTIVE), Ok(Some(Status::Suspended)), "a broken file keeps the last good state");
    clock.advance_seconds(BROKEN_LIMIT.as_secs());
    assert_eq!(status(ACTIVE), Ok(Some(Status::Suspended)));
    clock.advance_seconds(1);
    assert_eq!(status(ACTIVE), Err(Failure::TenantsUnavailable));
    std::fs::write(&path, listing("active")).unwrap();
    assert_eq!(status(ACTIVE), Ok(Some(Status::Active)));

    std::fs::remove_file(&path).unwrap();
    assert_eq!(status(ACTIVE), Ok(Some(Status::Active)));
    clock.advance_seconds(MISSING_LIMIT.as_secs() + 1);
    assert_eq!(status(ACTIVE), Err(Failure::TenantsUnavailable));
    std::fs::write(&path, listing("active")).unwrap();
    assert_eq!(status(ACTIVE), Ok(Some(Status::Active)));
    assert_eq!(reloads.failed.get(), 3, "missing, broken, missing: each reported once");
}

#[test]
fn a_faulty_listing_is_refused_whole() {
    for (yaml, needle) in [
        ("", "end of input"),
        ("{}", "tenants"),
        ("tenants: [{ id: ' x', name: A, status: active }]", "no white space at its beginning"),
        ("tenants: [{ id: \"a\\tb\", status: active }]", "no control characters"),
        ("tenants: [{ name: A, status: active }]", "id"),
        ("tenants: [{ id: 00000000-0000-7000-8000-000000000001, name: A, status: closed }]", "closed"),
        ("tenants: [{ id: 00000000-0000-7000-8000-000000000001, name: A, status: active, x: 1 }]", "x"),
        ("tenants: [{ id: 00000000-0000-7000-8000-000000000001, name: ' ', status: active }]", "empty"),
    ] {
        let fault = Tenants::parse(yaml.as_bytes()).unwrap_err();
        assert!(fault.contains(needle), "{yaml:?} says {fault:?}");
    }
    let twice = format!("{}{}", listing("active"), listing("suspended").replace("tenants:\n", ""));
    assert!(Tenants::parse(twice.as_bytes()).unwrap_err().contains("twice"));
    assert!(Tenants::parse(b"tenants: []").unwrap().status.is_empty());
    let json =
        |status: &str| format!(r#"{{"tenants":[{{"id":"{ACTIVE}","name":"Demo","status":"{status}"}}]}}"#);
    assert_eq!(Tenants::parse(json("suspended").as_bytes()).unwrap().census.suspended, 1);
    assert!(Tenants::parse(json("closed").as_bytes()).unwrap_err().contains("closed"));
}

#[test]
fn a_hundred_thousand_tenants_are_accepted_and_too_many_are_refused() {
    let entry = |number: usize| {
        format!(
            "{{\"id\": \"00000000-0000-7000-8000-{number:012x}\", \"name\": \"T\", \"status\": \"active\"}}"
        )
    };
    let yaml = |count: usize| {
        let lines = (0..count).map(|number| format!("  - {}\n", entry(number)));
        std::iter::once("tenants:\n".to_owned()).chain(lines).collect::<String>()
    };
    assert_eq!(Tenants::parse(yaml(100_000).as_bytes()).unwrap().census.active, 100_000);
    let json = |count: usize| {
        let entries: Vec<String> = (0..count).map(entry).collect();
        format!("{{\"tenants\": [{}]}}", entries.join(","))
    };
    assert_eq!(Tenants::parse(json(MAX_TENANTS).as_bytes()).unwrap().census.active, MAX_TENANTS);
}

#[test]
fn one_tenant_more_than_allowed_is_refused_by_name_of_the_limit() {
    let mut tenants = Tenants::default();
    let mut entry = |number: usize| {
        let id = uuid::Uuid::from_u128(number as u128).into();
        tenants.add(Entry { id, _name: None, status: Status::Active, plan: None })
    };
    for number in 0..MAX_TENANTS {
        entry(number).unwrap();
    }
    assert!(entry(MAX_TENANTS).unwrap_err().contains("1000000"));
}
