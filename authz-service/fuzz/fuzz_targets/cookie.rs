//! Arbitrary `Cookie` lines: what is found is in one of them, as it was sent, and the order of lines is nothing.
#![no_main]

use authz_service::credential::cookie::find;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: Vec<&[u8]>| {
    let found = find(&lines, b"t");
    if let Ok(Some(value)) = found {
        assert!(!value.contains(&b';'));
        let pair = [b"=", value].concat();
        assert!(lines.iter().any(|line| line.windows(pair.len()).any(|window| window == pair)));
    }
    let backwards: Vec<&[u8]> = lines.iter().rev().copied().collect();
    assert_eq!(find(&backwards, b"t").ok(), found.ok());
    // A line without the cookie changes nothing, and the same line twice says nothing new.
    let among: Vec<&[u8]> = [b"x=1; u=2".as_slice()].into_iter().chain(lines.iter().copied()).collect();
    if let (Ok(found), Ok(among)) = (found, find(&among, b"t")) {
        assert_eq!(found, among);
    }
    // No input can hide the last pair of a line.
    for line in lines {
        if let Ok(last) = find(&[&[line, b"; t=last"].concat()], b"t") {
            assert_eq!(last, Some(b"last".as_slice()));
        }
    }
});
