//! Escapes untrusted text for places where some bytes have a meaning.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What the name of a directory keeps.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'+').remove(b'@');

/// Returns `text` as the name of one directory: without a separator, and never `.`, `..` or hidden.
pub(crate) fn directory_name(text: &str) -> String {
    let name = utf8_percent_encode(text, NAME).to_string();
    name.strip_prefix('.').map_or_else(|| name.clone(), |rest| format!("%2E{rest}"))
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
    }
}
