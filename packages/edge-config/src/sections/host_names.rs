//! The form of a host name.

/// Whether `text` is a host name in lower case: up to 253 bytes, in labels of up to 63 (RFC 1123 §2.1), with `_` as in names of
/// containers.
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}
