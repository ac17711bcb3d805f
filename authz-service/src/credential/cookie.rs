//! Finding one cookie in the `Cookie` lines of a request.
//!
//! The rule, which `services/auth` follows too, so that edge and backend never choose differently:
//!
//! * a line is split on `;`, with or without a space after it;
//! * a pair's name is what precedes its first `=`, without spaces and tabs (and nothing else) around it,
//!   compared byte for byte: `TOKEN` is not `token`, and a name behind U+00A0 is another name;
//! * a pair's value is everything behind its first `=`, untouched: quotes stay, spaces stay;
//! * a pair without `=` is not a cookie; `$Version` means nothing;
//! * within a line the last pair of a name wins, as it does for the legacy;
//! * two lines that choose different values are refused: the legacy reads the first line only, others the last.

use crate::credential::fault::CredentialFault;

/// More pairs than this in one request are refused. Browsers keep at most some 180 cookies for a site; whoever
/// sends a thousand crumbs wants to cost time.
pub const MAX_PAIRS: usize = 1_000;

/// The value of the cookie `name` in `lines`, or `None` when it is not there.
///
/// # Errors
/// [`CredentialFault::Ambiguous`] when two lines disagree, [`CredentialFault::TooManyCookies`] above
/// [`MAX_PAIRS`].
pub fn find<'r>(lines: &[&'r [u8]], name: &[u8]) -> Result<Option<&'r [u8]>, CredentialFault> {
    let mut pairs = 0_usize;
    let mut chosen: Option<&'r [u8]> = None;
    for line in lines {
        let mut in_line: Option<&'r [u8]> = None;
        for pair in line.split(|byte| *byte == b';') {
            pairs += 1;
            if pairs > MAX_PAIRS {
                return Err(CredentialFault::TooManyCookies);
            }
            let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
            let Some((key, rest)) = pair.split_at_checked(equals) else { continue };
            if trim(key) == name {
                in_line = rest.get(1..);
            }
        }
        match (chosen, in_line) {
            (Some(before), Some(now)) if before != now => return Err(CredentialFault::Ambiguous),
            (None, found) => chosen = found,
            (Some(_), _) => {}
        }
    }
    Ok(chosen)
}

/// How many pairs in `lines` are called `name`, counted to [`MAX_PAIRS`] pairs.
#[must_use]
pub fn count(lines: &[&[u8]], name: &[u8]) -> usize {
    let pairs = lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).take(MAX_PAIRS);
    pairs
        .filter(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=');
            equals.and_then(|equals| pair.get(..equals)).is_some_and(|key| trim(key) == name)
        })
        .count()
}

fn trim(mut name: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = name {
        name = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = name {
        name = rest;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(lines: &[&str]) -> Result<Option<String>, CredentialFault> {
        let lines: Vec<&[u8]> = lines.iter().map(|l| l.as_bytes()).collect();
        find(&lines, b"token").map(|v| v.map(|v| String::from_utf8(v.to_vec()).unwrap()))
    }

    #[test]
    fn one_rule_for_every_spelling() {
        let found = |line: &str| token(&[line]).unwrap();
        let is = |value: &str| Some(value.to_owned());
        assert_eq!(found("token=a"), is("a"));
        assert_eq!(found("x=1;token=a"), is("a"), "no space after the semicolon");
        assert_eq!(found("x=1; token=a; y=2"), is("a"));
        assert_eq!(found("\ttoken =a"), is("a"), "space and tab around a name do not count");
        assert_eq!(found("token= a "), is(" a "), "a value is not trimmed");
        assert_eq!(found("token=\"a\""), is("\"a\""), "a value is not unquoted");
        assert_eq!(found("token=a=b=c"), is("a=b=c"), "a value goes to the end of its pair");
        assert_eq!(found("token="), is(""), "an empty value is a value");
        assert_eq!(found("token=a; token=b"), is("b"), "the last one wins");
        assert_eq!(found("$Version=1; token=a; $Path=/"), is("a"), "no legacy mode");
    }

    #[test]
    fn every_pair_of_the_name_counts() {
        let count = |lines: &[&str]| {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            super::count(&lines, b"token")
        };
        assert_eq!(count(&["x=1; token=a; tokens=b; token"]), 1);
        assert_eq!(count(&["token=a;token=a", " token =b"]), 3);
        assert_eq!(count(&["", "Token=a"]), 0);
    }

    #[test]
    fn what_is_not_this_cookie() {
        for line in [
            "",
            ";",
            ";;;",
            "token",
            "=a",
            "=token=a",
            "TOKEN=a",
            "Token=a",
            "tokens=a",
            "xtoken=a",
            "a=token=b",
            "\u{a0}token=a",
            "\u{2000}token=a",
            "\u{b}token=a",
            "\"token\"=a",
        ] {
            assert_eq!(token(&[line]), Ok(None), "{line:?}");
        }
        assert_eq!(token(&[]), Ok(None));
    }

    #[test]
    fn two_lines_agree_or_are_refused() {
        assert_eq!(token(&["token=a", "token=a"]), Ok(Some("a".to_owned())));
        assert_eq!(token(&["x=1", "token=a"]), Ok(Some("a".to_owned())));
        assert_eq!(
            token(&["token=b; token=a", "token=a"]),
            Ok(Some("a".to_owned())),
            "each line by its own rule"
        );
        assert_eq!(token(&["token=a", "token=b"]), Err(CredentialFault::Ambiguous));
        assert_eq!(token(&["token=a", "y=1", "token="]), Err(CredentialFault::Ambiguous));
    }

    #[test]
    fn large_is_fine_and_many_is_not() {
        let large = format!("x={}; token=a", "y".repeat(50_000));
        assert_eq!(token(&[&large]), Ok(Some("a".to_owned())));
        let crumbs = format!("{}token=a", "c=1;".repeat(5_000));
        assert_eq!(token(&[&crumbs]), Err(CredentialFault::TooManyCookies));
        let lines = vec!["c=1"; 5_000];
        assert_eq!(token(&lines), Err(CredentialFault::TooManyCookies));
        let most = format!("{}token=a", "c=1;".repeat(MAX_PAIRS - 1));
        assert_eq!(token(&[&most]), Ok(Some("a".to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_only_returns_what_was_sent(line in proptest::collection::vec(0_u8..=255, 0..300)) {
            let lines = [line.as_slice()];
            if let Ok(Some(value)) = find(&lines, b"a") {
                let mut pair = b"=".to_vec();
                pair.extend_from_slice(value);
                proptest::prop_assert!(line.windows(pair.len()).any(|w| w == pair));
                proptest::prop_assert!(!value.contains(&b';'));
            }
        }
    }
}
