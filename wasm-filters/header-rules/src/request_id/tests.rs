use std::collections::HashSet;

use super::*;

const NOW_MS: u64 = 1_763_667_000_123;

#[test]
fn uuids_and_ulids_are_kept() {
    for id in [
        "0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3b",
        "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
        "6ba7b810-9dad-41d1-80b4-00C04FD430c8",
        "00000000-0000-0000-0000-000000000001",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01arz3ndektsv4rrffq69g5fav",
        "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    ] {
        assert!(is_request_id(id.as_bytes()), "{id}");
    }
}

#[test]
fn everything_else_is_replaced() {
    let long = "a".repeat(1 << 20);
    for id in [
        "",
        "1",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "FFFFFFFF-FFFF-ffff-ffff-ffffffffffff",
        "00000000000000000000000000",
        "0199f8f00b5e7c3a9d0a6b1f6f1f2a3b",
        "{0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a}",
        "0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3g",
        "0199f8f0_0b5e-7c3a-9d0a-6b1f6f1f2a3b",
        "0199f8f00-b5e-7c3a-9d0a-6b1f6f1f2a3b",
        "0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3b ",
        " 199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3b",
        "0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3b,0199f8f0-0b5e-7c3a-9d0a-6b1f6f1f2a3b",
        "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "01ARZ3NDEKTSV4RRFFQ69G5FAL",
        "01ARZ3NDEKTSV4RRFFQ69G5FAO",
        "01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "01ARZ3NDEKTSV4RRFFQ69G5FA",
        "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
        long.as_str(),
    ] {
        assert!(!is_request_id(id.as_bytes()), "{id:.60}");
    }
    assert!(!is_request_id(&[0xff; 26]));
    assert!(!is_request_id(&[0xff; 36]));
}

#[test]
fn a_new_id_is_a_version_7_uuid_of_its_millisecond() {
    let mut ids = RequestIds::new([3; 24]);
    for now_ms in [0, 1, NOW_MS, (1 << 48) - 1, u64::MAX] {
        let id = ids.mint(now_ms);
        assert!(is_request_id(&id));
        let text = std::str::from_utf8(&id).unwrap();
        assert_eq!(&text[14..15], "7", "{text}");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        let millis = u64::from_str_radix(&text.replace('-', "")[..12], 16).unwrap();
        assert_eq!(millis, now_ms & ((1 << 48) - 1), "{text}");
    }
}

/// A million ids from two workers while the clock stands still, and another while it steps back and forth.
#[test]
fn ids_are_unique_whatever_the_clock_does() {
    let mut workers = [RequestIds::new([1; 24]), RequestIds::new([2; 24])];
    let mut seen = HashSet::with_capacity(2_000_000);
    for n in 0..500_000_u64 {
        for worker in &mut workers {
            assert!(seen.insert(worker.mint(NOW_MS)));
            assert!(seen.insert(worker.mint(NOW_MS - n % 3_600_000)));
        }
    }
    assert_eq!(seen.len(), 2_000_000);
}

/// Even a seed of zeros walks through different ids: uniqueness within a worker does not hang on luck.
#[test]
fn the_weakest_seed_repeats_nothing() {
    let mut ids = RequestIds::new([0; 24]);
    let mut seen = HashSet::new();
    assert!((0..1_000_000).all(|_| seen.insert(ids.mint(0))));
}

proptest::proptest! {
    #[test]
    fn judging_arbitrary_bytes_does_not_panic(value: Vec<u8>) {
        let _ = is_request_id(&value);
    }
}

#[test]
fn a_proxy_may_send_any_visible_id_of_up_to_128_bytes() {
    let long = "a".repeat(128);
    for id in ["1", "0123456789abcdef0123456789abcdef", "Root=1-67891233-abc;Self=1", "\"a\\b,c~!", &long] {
        assert!(is_id_of_proxy(id.as_bytes()), "{id}");
    }
    let longer = "a".repeat(129);
    let nil = "00000000-0000-0000-0000-000000000000";
    for id in ["", "a b", "a\tb", "\u{e9}", "a\x7f", nil, "ffffffff-ffff-FFFF-ffff-ffffffffffff", &longer] {
        assert!(!is_id_of_proxy(id.as_bytes()), "{id}");
    }
}

#[test]
fn a_replaced_id_is_shown_in_visible_ascii_and_cut() {
    assert_eq!(shown(b"a b\xff\n\"\\"), r#"a b\xff\x0a"\"#);
    assert_eq!(shown(&[b'a'; 500]).len(), 128);
    assert_eq!(shown(&[0xff; 500]), "\\xff".repeat(32));
    assert_eq!(shown(&[&[b'a'; 127][..], b"\xff"].concat()).len(), 127, "no half an escape");
}
