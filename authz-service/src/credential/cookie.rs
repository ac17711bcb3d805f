//! Finds one cookie in the `Cookie` lines of a request, by the rule of [`cookies`] and within a bound.

use cookies::CookieFault;

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
    cookies::find(lines.iter().copied(), name, MAX_PAIRS).map_err(|fault| match fault {
        CookieFault::Ambiguous => CredentialFault::Ambiguous,
        CookieFault::TooMany => CredentialFault::TooManyCookies,
    })
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
