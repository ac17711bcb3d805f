//! Finds one cookie in the `Cookie` lines of a request, by the rule of [`cookies`] and within a bound.

use std::borrow::Cow;

use cookies::{Choose, CookieFault, Split};
use edge_config::edge::{CookieReading, Duplicates, MAX_COOKIE_PARTS, Sessions};

use crate::credential::fault::CredentialFault;

/// More pairs than this in one request are refused. Browsers keep at most about 180 cookies for a site; a
/// client that sends a thousand pairs only wants to cost time.
pub const MAX_PAIRS: usize = 1_000;

/// The value of the cookie `name` in `lines`, or `None` when it is absent.
///
/// # Errors
/// [`CredentialFault::Ambiguous`] when two lines disagree, [`CredentialFault::TooManyCookies`] above
/// [`MAX_PAIRS`].
pub fn find<'r>(lines: &[&'r [u8]], name: &[u8]) -> Result<Option<&'r [u8]>, CredentialFault> {
    cookies::find(lines.iter().copied(), name, MAX_PAIRS).map_err(fault)
}

const fn fault(fault: CookieFault) -> CredentialFault {
    match fault {
        CookieFault::Ambiguous => CredentialFault::Ambiguous,
        CookieFault::Parts => CredentialFault::CookieParts,
        CookieFault::TooMany => CredentialFault::TooManyCookies,
    }
}

/// The value of the cookie `name` in `lines`, read as `reading` says; `None` when it is absent.
///
/// # Errors
/// As [`find`], and [`CredentialFault::CookieParts`].
pub fn read<'r>(
    lines: &[&'r [u8]],
    name: &str,
    reading: CookieReading,
) -> Result<Option<Cow<'r, [u8]>>, CredentialFault> {
    let choose = match reading.duplicates {
        Duplicates::Last => Choose::Last,
        Duplicates::First => Choose::First,
        Duplicates::Refuse => Choose::Only,
    };
    let name = name.as_bytes();
    match separator(reading) {
        None => {
            let value = cookies::choose(lines.iter().copied(), name, MAX_PAIRS, choose).map_err(fault)?;
            Ok(value.map(Cow::Borrowed))
        }
        Some(separator) => {
            let split = Split { separator, parts: MAX_COOKIE_PARTS };
            cookies::joined(lines, name, MAX_PAIRS, choose, split).map_err(fault)
        }
    }
}

/// The access token of a session in `lines`, by the rules of `sessions`.
///
/// # Errors
/// As [`read`].
pub fn access<'r>(lines: &[&'r [u8]], sessions: &Sessions) -> Result<Option<Cow<'r, [u8]>>, CredentialFault> {
    read(lines, &sessions.cookie, sessions.reading)
}

/// Whether `lines` have a part of the split access token of `sessions`.
#[must_use]
pub fn has_part(lines: &[&[u8]], sessions: &Sessions) -> bool {
    separator(sessions.reading).is_some_and(|separator| {
        cookies::part_numbers(lines.iter().copied(), sessions.cookie.as_bytes(), separator).next().is_some()
    })
}

/// The separator is one of a few ASCII characters.
fn separator(reading: CookieReading) -> Option<u8> {
    reading.split.and_then(|separator| u8::try_from(separator).ok())
}

/// Every value of the cookie `name` in `lines`; none when two lines disagree, or above [`MAX_PAIRS`].
#[must_use]
pub fn all<'r>(lines: &[&'r [u8]], name: &[u8]) -> Vec<&'r [u8]> {
    cookies::all(lines.iter().copied(), name, MAX_PAIRS).unwrap_or_default()
}

/// The number of pairs named `name` in `lines`, counted up to [`MAX_PAIRS`] pairs.
#[must_use]
pub fn count(lines: &[&[u8]], name: &[u8]) -> usize {
    cookies::count(lines.iter().copied(), name, MAX_PAIRS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_disagree_and_a_thousand_crumbs_are_refused_each_with_its_own_reason() {
        assert_eq!(find(&[b"x=1; token=a"], b"token"), Ok(Some(&b"a"[..])));
        assert_eq!(find(&[b"token=a", b"token=b"], b"token"), Err(CredentialFault::Ambiguous));
        let crumbs = "c=1;".repeat(MAX_PAIRS);
        assert_eq!(find(&[crumbs.as_bytes()], b"token"), Err(CredentialFault::TooManyCookies));
    }
}
