//! Finds one cookie in the `Cookie` lines of a request.
//!
//! Two readers that choose different cookies of one name disagree about the caller, so the edge and every service read
//! cookies through this crate. The rule:
//!
//! * a line is split on `;`, with or without a space after it;
//! * a pair's name is the text before its first `=`, without spaces and tabs (and nothing else) around it,
//!   compared byte for byte: `TOKEN` is not `token`, and a name behind U+00A0 is another name;
//! * a pair's value is everything after its first `=`, unchanged: quotes stay, spaces stay;
//! * a pair without `=` is not a cookie; `$Version` has no special meaning;
//! * within a line the last pair of a name wins;
//! * two lines that choose different values are refused: some readers take the first line, others the last.

/// Why no value can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieFault {
    /// Two lines choose different values.
    #[error("two Cookie lines disagree")]
    Ambiguous,
    /// There are more pairs than the reader allows.
    #[error("too many cookies")]
    TooMany,
}

/// Returns the value of the cookie `name` in `lines`, or `None` when it is absent. Reads at most `most` pairs.
///
/// # Errors
/// [`CookieFault::Ambiguous`] when two lines disagree, [`CookieFault::TooMany`] above `most` pairs.
pub fn find<'r>(
    lines: impl IntoIterator<Item = &'r [u8]>,
    name: &[u8],
    most: usize,
) -> Result<Option<&'r [u8]>, CookieFault> {
    let mut pairs = 0_usize;
    let mut chosen: Option<&'r [u8]> = None;
    for line in lines {
        let mut in_line: Option<&'r [u8]> = None;
        for pair in line.split(|byte| *byte == b';') {
            pairs += 1;
            if pairs > most {
                return Err(CookieFault::TooMany);
            }
            if let Some((key, value)) = split(pair)
                && key == name
            {
                in_line = Some(value);
            }
        }
        match (chosen, in_line) {
            (Some(before), Some(now)) if before != now => return Err(CookieFault::Ambiguous),
            (None, found) => chosen = found,
            (Some(_), _) => {}
        }
    }
    Ok(chosen)
}

/// Returns every value of the cookie `name` in `lines`, in their order and each once. It is for a name that a browser
/// may hold with several paths; [`find`] chooses the one that counts elsewhere. Reads at most `most` pairs.
///
/// # Errors
/// As [`find`]: also here two lines that choose different values are refused.
pub fn all<'r>(
    lines: impl IntoIterator<Item = &'r [u8]> + Clone,
    name: &[u8],
    most: usize,
) -> Result<Vec<&'r [u8]>, CookieFault> {
    find(lines.clone(), name, most)?;
    let mut values: Vec<&'r [u8]> = Vec::new();
    for pair in lines.into_iter().flat_map(|line| line.split(|byte| *byte == b';')) {
        if let Some((key, value)) = split(pair)
            && key == name
        {
            // A value that comes again counts where it came last.
            values.retain(|known| *known != value);
            values.push(value);
        }
    }
    Ok(values)
}

/// Counts the pairs called `name` among the first `most` pairs of `lines`.
pub fn count<'r>(lines: impl IntoIterator<Item = &'r [u8]>, name: &[u8], most: usize) -> usize {
    let pairs = lines.into_iter().flat_map(|line| line.split(|byte| *byte == b';')).take(most);
    pairs.filter(|pair| split(pair).is_some_and(|(key, _)| key == name)).count()
}

/// Splits a pair into name and value. Returns `None` when it is not a cookie.
fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (key, rest) = pair.split_at_checked(equals)?;
    Some((trim(key), rest.get(1..)?))
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

    /// A limit above the number of pairs in every line of the tests.
    const MOST: usize = 1_000;

    fn token<'l>(lines: &[&'l str]) -> Result<Option<&'l [u8]>, CookieFault> {
        find(lines.iter().map(|line| line.as_bytes()), b"token", MOST)
    }

    #[test]
    fn one_rule_for_every_spelling() {
        for (line, value) in [
            ("token=a", "a"),
            // No space after the semicolon.
            ("x=1;token=a", "a"),
            ("x=1; token=a; y=2", "a"),
            // Space and tab around a name do not count.
            ("\ttoken =a", "a"),
            // A value is neither trimmed nor unquoted, and goes to the end of its pair.
            ("token= a ", " a "),
            ("token=1 ; b=2", "1 "),
            ("token=\"a\"", "\"a\""),
            ("token=a=b=c", "a=b=c"),
            ("token=", ""),
            // The last one wins.
            ("token=a; token=b", "b"),
            // No legacy mode.
            ("$Version=1; token=a; $Path=/", "a"),
        ] {
            assert_eq!(token(&[line]), Ok(Some(value.as_bytes())), "{line:?}");
        }
    }

    #[test]
    fn other_cookies_are_not_this_one() {
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
        assert_eq!(token(&["token=a", "token=a"]), Ok(Some(&b"a"[..])));
        assert_eq!(token(&["x=1", "token=a"]), Ok(Some(&b"a"[..])));
        assert_eq!(token(&["token=b; token=a", "token=a"]), Ok(Some(&b"a"[..])), "each line by its own rule");
        assert_eq!(token(&["token=a", "token=b"]), Err(CookieFault::Ambiguous));
        assert_eq!(token(&["token=a", "y=1", "token="]), Err(CookieFault::Ambiguous));
    }

    #[test]
    fn every_pair_of_the_name_counts() {
        let count = |lines: &[&str]| count(lines.iter().map(|line| line.as_bytes()), b"token", MOST);
        assert_eq!(count(&["x=1; token=a; tokens=b; token"]), 1);
        assert_eq!(count(&["token=a;token=a", " token =b"]), 3);
        assert_eq!(count(&["", "Token=a"]), 0);
    }

    #[test]
    fn all_values_of_a_name_in_their_order_each_once() {
        let all = |lines: &[&'static str]| all(lines.iter().map(|line| line.as_bytes()), b"token", MOST);
        let values = |values: &[&'static str]| Ok(values.iter().map(|value| value.as_bytes()).collect());
        assert_eq!(all(&["x=1"]), values(&[]));
        assert_eq!(all(&["token=a; x=1;token=b"]), values(&["a", "b"]));
        assert_eq!(all(&["token=b;token=a; token=b"]), values(&["a", "b"]));
        assert_eq!(all(&["token=a; token=b", "token=b"]), values(&["a", "b"]));
        assert_eq!(all(&["token=a", "token=b"]), Err(CookieFault::Ambiguous));
        assert_eq!(super::all([&b"token=a;x=1"[..]], b"token", 1), Err(CookieFault::TooMany));
    }

    #[test]
    fn large_is_fine_and_many_is_not() {
        let large = format!("x={}; token=a", "y".repeat(50_000));
        assert_eq!(token(&[&large]), Ok(Some(&b"a"[..])));
        let crumbs = format!("{}token=a", "c=1;".repeat(5_000));
        assert_eq!(token(&[&crumbs]), Err(CookieFault::TooMany));
        assert_eq!(token(&vec!["c=1"; 5_000]), Err(CookieFault::TooMany));
        let most = format!("{}token=a", "c=1;".repeat(MOST - 1));
        assert_eq!(token(&[&most]), Ok(Some(&b"a"[..])));
    }

    proptest::proptest! {
        #[test]
        fn the_reader_never_panics_and_returns_only_values_that_were_sent(line in proptest::collection::vec(0_u8..=255, 0..300)) {
            if let Ok(Some(value)) = find([line.as_slice()], b"a", MOST) {
                let mut pair = b"=".to_vec();
                pair.extend_from_slice(value);
                proptest::prop_assert!(line.windows(pair.len()).any(|w| w == pair));
                proptest::prop_assert!(!value.contains(&b';'));
            }
        }
    }
}
