//! Arbitrary bytes as a request target: no panic, bounded work, and what goes on is internal in no form.
#![no_main]

use header_rules::forms::{MAX_FORM_BYTES, MAX_FORMS, forms};
use libfuzzer_sys::fuzz_target;

#[path = "../rules.rs"]
mod rules;

fuzz_target!(|tail: &[u8]| {
    let target = [b"/".as_slice(), tail].concat();
    let judged = rules::rules().judge_target(b"api.test", b"GET", &target);
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let Ok(forms) = forms(path) else {
        assert!(judged.is_err());
        return;
    };
    assert!(
        forms.len() <= MAX_FORMS
            && forms.iter().map(Vec::len).sum::<usize>() <= MAX_FORM_BYTES.max(path.len())
    );
    if judged.is_ok() {
        for form in forms {
            let form = form.to_ascii_lowercase();
            assert_ne!(
                form.strip_prefix(b"/internal").map(|rest| rest.is_empty() || rest[0] == b'/'),
                Some(true)
            );
        }
    }
});
