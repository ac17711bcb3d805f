use proptest::prelude::*;

use super::*;

fn texts(path: &str) -> Vec<String> {
    forms(path.as_bytes())
        .unwrap()
        .into_iter()
        .map(|form| String::from_utf8_lossy(&form).into_owned())
        .collect()
}

#[test]
fn a_plain_path_has_one_form() {
    for path in
        ["/", "/users/@me", "/books/", "/a.b/..c/d..", "/_x", "/a~b!$&'()*+,=:@", "/%", "/%zz", "/%4", "/..."]
    {
        assert_eq!(texts(path), [path]);
    }
}

#[test]
fn every_disguise_is_seen_through() {
    for (disguised, plain) in [
        ("/a/../internal", "/internal"),
        ("/a/%2e%2e/internal", "/internal"),
        ("/a/%2E./internal", "/internal"),
        ("/a/.%2e/internal", "/internal"),
        ("//internal", "/internal"),
        ("///internal//x", "/internal/x"),
        ("/./internal", "/internal"),
        ("/a%2f..%2finternal", "/internal"),
        ("/a%2F..%2Finternal", "/internal"),
        ("/a%5c..%5cinternal", "/internal"),
        ("/a\\..\\internal", "/internal"),
        ("/\\internal", "/internal"),
        ("/..;/internal", "/internal"),
        ("/a/..;x=1/internal", "/internal"),
        ("/.;/internal", "/internal"),
        ("/internal;x=1", "/internal"),
        ("/;x/internal", "/internal"),
        ("/internal%3bx", "/internal"),
        ("/%69nternal", "/internal"),
        ("/internal%3fx=1", "/internal"),
        ("/internal%23x", "/internal"),
        ("/../../internal", "/internal"),
        ("/a/b/../..//internal/.", "/internal/"),
        ("/a/..", "/"),
        // Dots first and decoding later, or slashes merged only at the end: every order counts.
        ("/books/../x%2f..%2finternal", "/x/../internal"),
        ("/books/x//../..//internal", "/books/internal"),
        // Parameters dropped without dots being removed.
        ("/internal;/../books", "/internal/../books"),
    ] {
        assert!(texts(disguised).contains(&plain.to_owned()), "{disguised}: {:?}", texts(disguised));
    }
}

#[test]
fn decoding_happens_once() {
    assert_eq!(texts("/%252e%252e/internal"), ["/%252e%252e/internal", "/%2e%2e/internal"]);
    assert_eq!(texts("/%2569nternal"), ["/%2569nternal", "/%69nternal"]);
}

#[test]
fn a_path_that_no_honest_client_sends_has_no_form() {
    let cases: [&[u8]; 20] = [
        b"",
        b"*",
        b"a",
        b"http://h/",
        b"/a b",
        b"/\0",
        b"/\t",
        b"/\r\n",
        b"/\x7f",
        b"/a#b",
        b"/%00",
        b"/a%00/b",
        b"/%c0%ae%c0%ae/",
        b"/%C1%9c",
        b"/\xc0\xae",
        b"/%e0%80%ae",
        b"/%e0%9f%bf",
        b"/%f0%80%80%ae",
        b"/%f0%8f%bf%bf",
        b"/\xe0\x80\xae",
    ];
    for case in cases {
        assert_eq!(forms(case), Err(PathFault::Malformed), "{}", case.escape_ascii());
    }
}

#[test]
fn odd_but_harmless_bytes_pass() {
    let cases: [&[u8]; 7] =
        [b"/\xff", b"/%ff", b"/\"<>", b"/{}|^`", b"/%ed%95%9c", "/\u{d55c}".as_bytes(), b"/%0d%0a"];
    for case in cases {
        assert!(forms(case).is_ok(), "{}", case.escape_ascii());
    }
}

#[test]
fn the_work_is_bounded() {
    // Long and plain, or long with one kind of disguise: passes.
    assert_eq!(forms(&[b"/".as_slice(), &[b'a'; 60 * 1024]].concat()).map(|forms| forms.len()), Ok(1));
    assert_eq!(forms("/%41".repeat(15 * 1024).as_bytes()).map(|forms| forms.len()), Ok(2));
    // Long with every kind: refused.
    let convoluted = "/a/..;x//b\\%2e%2e%3b".repeat(3 * 1024);
    assert_eq!(forms(convoluted.as_bytes()), Err(PathFault::Convoluted));
    // Short with every kind passes.
    assert!(forms(b"/a//..;x/%5c../b\\./%3b").is_ok());
}

fn spelled() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("/"),
        Just("//"),
        Just("a"),
        Just("B"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2F"),
        Just("%5c"),
        Just("\\"),
        Just(";"),
        Just(";x=1"),
        Just("%3b"),
        Just("%25"),
        Just("%3f"),
        Just("%"),
        Just("internal"),
        Just("%49nternal"),
        Just("\u{e9}")
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes())
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(path: Vec<u8>) {
        let _ = forms(&path);
    }

    /// Further steps on a form find no new form: no reading is missing.
    #[test]
    fn the_forms_are_closed(path in spelled()) {
        if let Ok(all) = forms(&path) {
            prop_assert_eq!(&all[0], &path);
            for form in &all {
                prop_assert_eq!(form.first(), Some(&b'/'));
                for step in STEPS.into_iter().filter(|step| *step != Step::Decode) {
                    if let Some(next) = step.apply(form) {
                        prop_assert_ne!(&next, form);
                        prop_assert!(all.contains(&next));
                        prop_assert_eq!(step.apply(&next), None, "a step is idempotent");
                    }
                }
            }
        }
    }
}
