use super::*;

const BOUNDS: Bounds = Bounds { all: 8, strangers: 4, of_network: [2, 3, 3], of_person: 3, waiting: 4 };
const NOW: Duration = Duration::ZERO;
const PATIENT: Duration = Duration::from_secs(60);

fn session(number: u8) -> Fingerprint {
    [number; 32]
}

fn person(number: u8) -> Fingerprint {
    [number; 32]
}

fn at(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// The results of strangers at `addresses` that request places one after the other and keep them.
async fn strangers(places: &Places, addresses: &[&str]) -> Vec<Option<QueryPermit>> {
    let mut all = Vec::new();
    for address in addresses {
        all.push(places.take(session(0), at(address), NOW).await);
    }
    all
}

#[tokio::test]
async fn a_network_has_a_few_places_and_so_have_those_around_it() {
    for (addresses, expected) in [
        (["192.0.2.1", "192.0.2.1", "192.0.2.1", "198.51.100.1"], [true, true, false, true]),
        // One link of IPv6, one site, one provider.
        (["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db9::1"], [true, true, false, true]),
        (["2001:db8:0:1::", "2001:db8:0:2::", "2001:db8:0:3::", "2001:db8:0:4::"], [true, true, true, false]),
        (["2001:db8:1::", "2001:db8:2::", "2001:db8:3::", "2001:db8:4::"], [true, true, true, false]),
    ] {
        let places = Places::new(BOUNDS);
        let taken = strangers(&places, &addresses).await;
        assert_eq!(taken.iter().map(Option::is_some).collect::<Vec<_>>(), expected, "{addresses:?}");
    }
    let places = Places::new(BOUNDS);
    let mut nowhere = Vec::new();
    for _ in 0..3 {
        nowhere.push(places.take(session(0), None, NOW).await);
    }
    assert!(nowhere[1].is_some() && nowhere[2].is_none(), "callers without an address are one network");
}

#[tokio::test]
async fn strangers_leave_half_of_the_places_to_the_proved_and_one_person_leaves_some_to_others() {
    let places = Places::new(BOUNDS);
    let many = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "10.0.0.1"];
    let taken = strangers(&places, &many).await;
    assert_eq!(taken.iter().flatten().count(), 4);
    for (number, of) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2)] {
        places.prove(session(number), person(of));
    }
    let mut proved = Vec::new();
    for number in 1..=6 {
        proved.push(places.take(session(number), at("192.0.2.1"), NOW).await.is_some());
    }
    // Each is returned at once here; if they were held, the fourth of one person would get none.
    assert_eq!(proved, [true; 6]);
    let mut held = Vec::new();
    for number in [1, 2, 3, 4, 5] {
        held.push(places.take(session(number), None, NOW).await);
    }
    assert_eq!(held.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false, true]);
    places.disprove(&session(6));
    assert!(places.take(session(6), at("192.0.2.1"), NOW).await.is_none(), "a stranger once more");
}

#[tokio::test]
async fn a_place_goes_to_the_one_that_has_waited_longest_and_has_room() {
    let places = Places::new(BOUNDS);
    let crowd = strangers(&places, &["192.0.2.1", "192.0.2.1"]).await;
    let wait = |address| places.take(session(0), at(address), PATIENT);
    let (mut same, mut gone) = (Box::pin(wait("192.0.2.1")), Box::pin(wait("192.0.2.1")));
    for waiting in [&mut gone, &mut same] {
        assert!(futures_util::poll!(waiting).is_pending());
    }
    assert!(wait("198.51.100.1").await.is_some(), "another network does not wait");
    drop(gone);
    let mut crowd = crowd.into_iter();
    drop(crowd.next());
    assert!(same.await.is_some(), "the one that went away took no place");
    // All places come back.
    drop(crowd);
    let taken = strangers(&places, &["192.0.2.1", "192.0.2.1"]).await;
    assert_eq!(taken.iter().flatten().count(), 2);
    drop(taken);
    assert_eq!(places.shared.lock().all, 0);
    assert!(places.shared.lock().held.is_empty(), "no holder is remembered without a place");
}

#[tokio::test]
async fn when_too_many_wait_the_network_with_the_most_of_them_loses_one() {
    let places = Places::new(BOUNDS);
    let held = strangers(&places, &["192.0.2.1", "192.0.2.1", "198.51.100.1", "198.51.100.1"]).await;
    assert_eq!(held.iter().flatten().count(), 4, "every place of strangers is taken");
    let wait = |address| Box::pin(places.take(session(0), at(address), PATIENT));
    let mut flood: Vec<_> = (0..4).map(|_| wait("192.0.2.1")).collect();
    for waiting in &mut flood {
        assert!(futures_util::poll!(waiting).is_pending());
    }
    assert!(wait("192.0.2.1").await.is_none(), "one more of the flood is refused at once");
    let mut other = wait("203.0.113.1");
    assert!(futures_util::poll!(&mut other).is_pending(), "another network may wait");
    let last = flood.pop().unwrap();
    assert!(last.await.is_none(), "the last of the flood made room");
    drop(held);
    assert!(other.await.is_some());
}
