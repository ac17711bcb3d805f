//! Escapes untrusted text for places where some bytes have a meaning.

use std::fmt::Write as _;

/// Returns `text` with every byte outside the URL's unreserved set (RFC 3986 §2.3) as `%XX`.
pub(crate) fn percent(text: &str) -> String {
    percent_encode(text, |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// Returns `text` as the name of one directory: without a separator, and never `.`, `..` or hidden.
pub(crate) fn directory_name(text: &str) -> String {
    let name = percent_encode(text, |b| b.is_ascii_alphanumeric() || b"-._+@".contains(&b));
    name.strip_prefix('.').map_or_else(|| name.clone(), |rest| format!("%2E{rest}"))
}

fn percent_encode(text: &str, keep: impl Fn(u8) -> bool) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, b| {
        if keep(b) {
            out.push(char::from(b));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_leaves_its_place() {
        assert_eq!(directory_name("demo@example.com"), "demo@example.com");
        assert_eq!(directory_name("../../etc@x"), "%2E.%2F..%2Fetc@x");
        assert_eq!(directory_name(".."), "%2E.");
        assert_eq!(directory_name("a\0/b\\c@x"), "a%00%2Fb%5Cc@x");
        assert_eq!(percent("a/../b?c#d@x.y"), "a%2F..%2Fb%3Fc%23d%40x.y");
        assert_eq!(percent("é"), "%C3%A9");
    }
}
