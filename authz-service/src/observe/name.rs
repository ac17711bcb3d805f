//! Shortens names for display.

/// Names from the wire come from a rendered configuration; a longer one does not, and is cut.
const MAX_NAME_BYTES: usize = 128;

/// `name`, cut when it is too long.
pub(super) fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}
