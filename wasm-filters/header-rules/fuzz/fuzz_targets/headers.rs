//! Arbitrary bytes as the host's header buffer: no panic, and no reserved header is left.
#![no_main]

use header_rules::{HeaderMap, Verdict};
use libfuzzer_sys::fuzz_target;

#[path = "../rules.rs"]
mod rules;

fuzz_target!(|buffer: &[u8]| {
    let rules = rules::rules();
    let Verdict::Forward(edits) = rules.judge(buffer) else { return };
    for pair in HeaderMap::new(buffer).pairs() {
        let (name, _) = pair.expect("a forwarded request could be read");
        let reserved = name.to_ascii_lowercase().starts_with(b"x-madome-");
        assert!(!reserved || edits.removals.iter().any(|removal| removal.name == name));
    }
});
