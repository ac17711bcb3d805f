//! Arbitrary bytes as the host's header buffer, and well-formed buffers of arbitrary headers: no panic, and no
//! reserved header is left.
#![no_main]

use header_rules::{HeaderMap, Rules, GuardVerdict};
use libfuzzer_sys::fuzz_target;

#[path = "../rules.rs"]
mod rules;

type Input<'a> = (&'a [u8], Vec<(&'a [u8], &'a [u8])>);

fuzz_target!(|input: Input<'_>| {
    let (buffer, headers) = input;
    let rules = rules::rules();
    check(rules, buffer);
    let request: [(&[u8], &[u8]); 3] = [(b":authority", b"api.test"), (b":method", b"GET"), (b":path", b"/")];
    check(rules, &encode(&[&request[..], &headers].concat()));
    check(rules, &encode(&headers));
});

fn check(rules: &Rules, buffer: &[u8]) {
    let GuardVerdict::Forward(edits) = rules.judge(buffer) else { return };
    for pair in HeaderMap::new(buffer).pairs() {
        let (name, _) = pair.expect("a forwarded request could be read");
        let reserved = name.to_ascii_lowercase().starts_with(b"x-acme-");
        assert!(!reserved || edits.removals.iter().any(|removal| removal.name == name));
    }
}

fn encode(headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a short input").to_le_bytes();
    let lengths = headers.iter().flat_map(|(name, value)| [length(name), length(value)]).flatten();
    let data = headers.iter().flat_map(|(name, value)| [name, b"\0".as_slice(), value, b"\0"].concat());
    u32::try_from(headers.len())
        .expect("a short input")
        .to_le_bytes()
        .into_iter()
        .chain(lengths)
        .chain(data)
        .collect()
}
