//! Properties that hold for every request.

use proptest::prelude::*;

use super::super::*;
use super::{edits, request, rules};
use crate::reserved::Fate;

fn spelled_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("//"),
        Just("open-graph"),
        Just("Open-Graph"),
        Just("users"),
        Just("@me"),
        Just("%40me"),
        Just("internal"),
        Just("%69nternal"),
        Just("auth/token"),
        Just(".."),
        Just("."),
        Just("%2e"),
        Just("%2f"),
        Just("%5C"),
        Just("\\"),
        Just(";"),
        Just("%3b"),
        Just("%25"),
        Just("_"),
        Just("x"),
        Just("%3F")
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The promise itself: a request that passes has the same meaning for every program, and is internal for none.
    #[test]
    fn a_forwarded_request_has_one_policy(path in spelled_path(), method in prop_oneof![Just("GET"), Just("POST")]) {
        let rules = rules();
        if rules.judge_target(b"localhost", method.as_bytes(), path.as_bytes()).is_ok() {
            let routes = &rules.groups[0];
            let raw = routes.raw(path.as_bytes(), method.as_bytes());
            for form in forms::forms(path.as_bytes()).unwrap() {
                for form in [form.clone(), form.to_ascii_lowercase()] {
                    let place = routes.raw(&form, method.as_bytes());
                    prop_assert_eq!(place.policy, raw.policy);
                    prop_assert!(!place.closed);
                }
            }
        }
    }

    /// No header left after the edits is reserved.
    #[test]
    fn edits_leave_nothing_reserved(names in proptest::collection::vec("[xX][-_.]?[mMtT]?(adome|enant)?[-_.a-zA-Z]{0,8}", 0..12)) {
        let rules = rules();
        let pairs: Vec<(&[u8], &[u8])> = names.iter().map(|name| (name.as_bytes(), b"1".as_slice())).collect();
        let buffer = request(&pairs);
        let edits = edits(&rules, &buffer);
        for name in names.iter().filter(|name| edits.removals.iter().all(|removal| removal.name != name.as_bytes())) {
            prop_assert_eq!(rules.reserved.judge(name.as_bytes()), Fate::Stays);
        }
        for (n, removal) in edits.removals.iter().enumerate() {
            prop_assert!(edits.removals[..n].iter().all(|other| other.name != removal.name), "each once");
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(buffer: Vec<u8>, authority: Vec<u8>, target: Vec<u8>) {
        let rules = rules();
        let _ = rules.judge(&buffer);
        let _ = rules.judge(&request(&[(&authority, &target)]));
        let _ = rules.judge_target(&authority, b"GET", &target);
        let _ = rules.judge_target(b"localhost", b"GET", &[b"/".as_slice(), &target].concat());
    }
}
