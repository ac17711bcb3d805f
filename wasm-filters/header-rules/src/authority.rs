//! Finds the host of a request.

use std::borrow::Cow;

/// The lower-case host name of `authority` without its port, or `None` when it is not exactly one host.
///
/// A name has letters, digits, `-`, `_` and inner single dots; an IPv6 address is in brackets; a port has one to five
/// digits. Everything else is refused, because two programs could read it differently: two `Host` lines (Envoy joins them
/// with a comma), userinfo, a final dot, white space, a percent sign.
#[must_use]
pub(crate) fn host(authority: &[u8]) -> Option<Cow<'_, [u8]>> {
    let name = match authority.first()? {
        b'[' => {
            let end = authority.iter().position(|&byte| byte == b']')?;
            let (name, rest) = authority.split_at_checked(end.checked_add(1)?)?;
            let inner = name.get(1..end)?;
            let valid = inner.contains(&b':')
                && inner.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
            if !valid || !port(rest) {
                return None;
            }
            name
        }
        _ => {
            let end = authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len());
            let (name, rest) = authority.split_at_checked(end)?;
            if !is_name(name) || !port(rest) {
                return None;
            }
            name
        }
    };
    if name.iter().any(u8::is_ascii_uppercase) {
        return Some(Cow::Owned(name.to_ascii_lowercase()));
    }
    Some(Cow::Borrowed(name))
}

/// Whether `name` is dot-separated labels, none of them empty.
fn is_name(name: &[u8]) -> bool {
    let mut after_dot = true;
    for &byte in name {
        match byte {
            b'.' if after_dot => return false,
            b'.' => after_dot = true,
            b'-' | b'_' => after_dot = false,
            _ if byte.is_ascii_alphanumeric() => after_dot = false,
            _ => return false,
        }
    }
    !after_dot
}

/// Whether `rest` is nothing or a colon and a port.
fn port(rest: &[u8]) -> bool {
    match rest.split_first() {
        None => true,
        Some((b':', digits)) => (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_its_lower_case_name() {
        for (authority, expected) in [
            ("api.dev-domain.test", "api.dev-domain.test"),
            ("API.Dev-Domain.test:8080", "api.dev-domain.test"),
            ("h:80", "h"),
            ("H", "h"),
            ("under_score.test", "under_score.test"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"),
        ] {
            assert_eq!(host(authority.as_bytes()).as_deref(), Some(expected.as_bytes()), "{authority}");
        }
    }

    #[test]
    fn an_ambiguous_host_is_refused() {
        let cases: [&[u8]; 29] = [
            b"",
            b".",
            b"h.",
            b"h.:80",
            b".h",
            b"h..i",
            b"h,evil",
            b"h, evil",
            b"user@h",
            b"h@evil",
            b" h",
            b"h ",
            b"h\t",
            b"h\0",
            b"h\n",
            b"h\x7f",
            b"h\xff",
            b"h%2e",
            b"h/..",
            b"h?x",
            b"h#x",
            b"h\\x",
            b"h:",
            b"h:80:80",
            b"h:x",
            b"h:123456",
            b"[::1",
            b"[]",
            b"[::1]x",
        ];
        for case in cases {
            assert_eq!(host(case), None, "{}", case.escape_ascii());
        }
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_host_has_only_host_bytes(authority: Vec<u8>) {
            if let Some(name) = host(&authority) {
                assert!(name.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.:[]".contains(b)));
            }
        }
    }
}
