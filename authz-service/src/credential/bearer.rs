//! Finds a bearer token in the `Authorization` lines of a request.
//!
//! The rule: exactly one line; the scheme `Bearer` in any case (RFC 9110 §11.1), then exactly one space, then
//! one `token68` (RFC 9110 §11.2) and nothing else. A tab, two spaces, a trailing space or a parameter is
//! refused. Another scheme (`Basic`) is not an offer: it may be meant for the backend.

use crate::credential::fault::CredentialFault;

/// The token behind `Bearer`, or `None` when no line offers one.
///
/// # Errors
/// [`CredentialFault::RepeatedAuthorization`] for a second line, whatever it contains;
/// [`CredentialFault::MalformedBearer`] when the scheme is `Bearer` and the rest is not exactly one token.
pub fn find<'r>(lines: &[&'r [u8]]) -> Result<Option<&'r [u8]>, CredentialFault> {
    let line = match lines {
        [] => return Ok(None),
        [line] => *line,
        [_, _, ..] => return Err(CredentialFault::RepeatedAuthorization),
    };
    let end = line.iter().position(|byte| !is_tchar(*byte)).unwrap_or(line.len());
    let Some((scheme, rest)) = line.split_at_checked(end) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    match rest {
        [b' ', token @ ..] if is_token68(token) => Ok(Some(token)),
        _ => Err(CredentialFault::MalformedBearer),
    }
}

const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn is_token68(token: &[u8]) -> bool {
    let body = token.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(b)).count();
    body > 0 && token.iter().skip(body).all(|b| *b == b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_for_every_spelling() {
        let cases: &[(&str, Result<Option<&str>, CredentialFault>)] = &[
            ("Bearer abc", Ok(Some("abc"))),
            ("bearer abc", Ok(Some("abc"))),
            ("BEARER abc", Ok(Some("abc"))),
            ("Bearer a.b-c_d~e+f/g==", Ok(Some("a.b-c_d~e+f/g=="))),
            ("Bearer", Err(CredentialFault::MalformedBearer)),
            ("Bearer ", Err(CredentialFault::MalformedBearer)),
            ("Bearer  abc", Err(CredentialFault::MalformedBearer)),
            ("Bearer\tabc", Err(CredentialFault::MalformedBearer)),
            ("Bearer abc ", Err(CredentialFault::MalformedBearer)),
            ("Bearer abc def", Err(CredentialFault::MalformedBearer)),
            ("Bearer abc,def", Err(CredentialFault::MalformedBearer)),
            ("Bearer abc, Bearer def", Err(CredentialFault::MalformedBearer)),
            ("Bearer =", Err(CredentialFault::MalformedBearer)),
            ("Bearer a=b", Err(CredentialFault::MalformedBearer)),
            ("Bearer {\"payload\":\"x\"}", Err(CredentialFault::MalformedBearer)),
            ("Bearer,abc", Err(CredentialFault::MalformedBearer)),
            ("Basic YTpi", Ok(None)),
            ("Bearerabc", Ok(None)),
            ("BearerX abc", Ok(None)),
            ("Digest username=\"x\"", Ok(None)),
            (" Bearer abc", Ok(None)),
            ("", Ok(None)),
        ];
        for (line, expected) in cases {
            let found = find(&[line.as_bytes()]);
            assert_eq!(found, expected.map(|t| t.map(str::as_bytes)), "{line:?}");
        }
    }

    #[test]
    fn a_second_line_is_refused() {
        assert_eq!(find(&[]), Ok(None));
        for lines in [[&b"Bearer a"[..], b"Bearer a"], [b"Basic a", b"Bearer a"], [b"Basic a", b"Basic b"]] {
            assert_eq!(find(&lines), Err(CredentialFault::RepeatedAuthorization));
        }
    }
}
