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
//! * within a line the last pair of a name wins, unless the reader says otherwise ([`Choose`]);
//! * two lines that choose different values are refused: some readers take the first line, others the last.

use std::borrow::Cow;

/// Which pair of a line counts when several have one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choose {
    /// The last pair, as most backends read a line.
    #[default]
    Last,
    /// The first pair.
    First,
    /// The only one: pairs with different values are refused.
    Only,
}

/// How a cookie is written that is too long for one: `name.0`, `name.1` and so on, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// What separates the name from the number.
    pub separator: u8,
    /// The most parts that a value may have; more are a [`CookieFault::Parts`].
    pub parts: usize,
}

/// Why no value can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieFault {
    /// Two lines choose different values.
    #[error("two Cookie lines disagree")]
    Ambiguous,
    /// The parts of a split cookie are not complete, or there are more than the reader allows.
    #[error("the parts of a cookie do not fit together")]
    Parts,
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
    choose(lines, name, most, Choose::Last)
}

/// The same as [`find`], with another rule for pairs of one name in one line.
///
/// # Errors
/// As [`find`]; with [`Choose::Only`] also [`CookieFault::Ambiguous`] for two values in one line.
pub fn choose<'r>(
    lines: impl IntoIterator<Item = &'r [u8]>,
    name: &[u8],
    most: usize,
    rule: Choose,
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
                in_line = match (rule, in_line) {
                    (Choose::First, Some(first)) => Some(first),
                    (Choose::Only, Some(other)) if other != value => return Err(CookieFault::Ambiguous),
                    (Choose::First | Choose::Last | Choose::Only, _) => Some(value),
                };
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

/// Returns the value of the cookie `name`, which may be split into parts.
///
/// # Errors
/// As [`choose`], for the cookie and for each part; [`CookieFault::Ambiguous`] when there are a whole cookie and parts, of
/// which a reader may take either; [`CookieFault::Parts`] when a part between the first and the last is missing, a number
/// is not written as numbers are, or there are more than `split.parts`.
pub fn joined<'r>(
    lines: &[&'r [u8]],
    name: &[u8],
    most: usize,
    rule: Choose,
    split: Split,
) -> Result<Option<Cow<'r, [u8]>>, CookieFault> {
    let whole = choose(lines.iter().copied(), name, most, rule)?;
    let mut last = None;
    for number in part_numbers(lines.iter().copied(), name, split.separator) {
        let number = number.filter(|number| *number < split.parts).ok_or(CookieFault::Parts)?;
        last = last.max(Some(number));
    }
    let Some(last) = last else { return Ok(whole.map(Cow::Borrowed)) };
    if whole.is_some() {
        return Err(CookieFault::Ambiguous);
    }
    let mut value = Vec::new();
    for number in 0..=last {
        let part = [name, &[split.separator], number.to_string().as_bytes()].concat();
        value.extend_from_slice(choose(lines.iter().copied(), &part, most, rule)?.ok_or(CookieFault::Parts)?);
    }
    Ok(Some(Cow::Owned(value)))
}

/// The number of each part of the cookie `name`, in no order; `None` for one that is not written as numbers are.
pub fn part_numbers<'r>(
    lines: impl IntoIterator<Item = &'r [u8]>,
    name: &[u8],
    separator: u8,
) -> impl Iterator<Item = Option<usize>> {
    lines.into_iter().flat_map(|line| line.split(|byte| *byte == b';')).filter_map(move |pair| {
        let (key, _) = split(pair)?;
        let digits = key.strip_prefix(name)?.strip_prefix(&[separator])?;
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
        Some(number.filter(|number| number.to_string().as_bytes() == digits))
    })
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
    fn the_reader_says_which_pair_of_a_line_counts() {
        let by = |rule, lines: &[&'static str]| {
            choose(lines.iter().map(|line| line.as_bytes()), b"token", MOST, rule)
        };
        let value = |value: &'static str| Ok(Some(value.as_bytes()));
        let two = &["token=a; x=1; token=b"];
        assert_eq!((by(Choose::Last, two), by(Choose::First, two)), (value("b"), value("a")));
        assert_eq!(by(Choose::Only, two), Err(CookieFault::Ambiguous));
        assert_eq!(by(Choose::Only, &["token=a; token=a"]), value("a"));
        for rule in [Choose::Last, Choose::First, Choose::Only] {
            assert_eq!(by(rule, &["token=a", "token=b"]), Err(CookieFault::Ambiguous), "{rule:?}");
            assert_eq!(by(rule, &["token=a", "token=a"]), value("a"), "{rule:?}");
        }
    }

    #[test]
    fn parts_are_joined_in_the_order_of_their_numbers_or_refused() {
        let by = |lines: &[&'static str]| {
            let split = Split { separator: b'.', parts: 12 };
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            let joined = joined(&lines, b"token", MOST, Choose::Last, split);
            joined.map(|value| value.map(|value| String::from_utf8(value.into_owned()).unwrap()))
        };
        for (lines, expected) in [
            (&["token=a"][..], Some("a")),
            (&["token.0=a"], Some("a")),
            (&["token.1=b; token.0=a; x=1; token.2=c"], Some("abc")),
            (&["token.0=a", "token.1=b"], Some("ab")),
            (&["token.0=z; token.0=a; token.1="], Some("a")),
            (
                &[
                    "token.0=0; token.1=1; token.2=2; token.3=3; token.4=4; token.5=5; token.6=6; token.7=7; token.8=8; token.9=9; token.10=x; token.11=y",
                ],
                Some("0123456789xy"),
            ),
            (&["token=a; token.x=1; token.=2; token.1a=3; tokens.0=4; token_0=5"], Some("a")),
            (&["x=1"], None),
        ] {
            assert_eq!(by(lines), Ok(expected.map(str::to_owned)), "{lines:?}");
        }
        for lines in [
            &["token.1=b"][..],
            &["token.0=a; token.2=c"],
            &["token.0=a; token.01=b"],
            &["token.00=a"],
            &["token.0=a; token.12=b"],
            &["token.0=a; token.18446744073709551616=b"],
        ] {
            assert_eq!(by(lines), Err(CookieFault::Parts), "{lines:?}");
        }
        for lines in [&["token=a; token.0=b"][..], &["token.0=a", "token.0=b"], &["token=a", "token.0=a"]] {
            assert_eq!(by(lines), Err(CookieFault::Ambiguous), "{lines:?}");
        }
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
