//! Paths whose segments every backend counts in the same way.

/// The path of `target`, if every backend finds the same segments at the same positions in it; `None` otherwise.
///
/// A backend may decode a path, merge slashes, read `\\` as `/`, drop `;parameters` and remove dot segments, in any order.
/// `/t/a/../b/books` names `a` as it is written and `b` behind such a backend. So a path whose segments could move names
/// nothing: one with an empty segment before its end, with `.` or `..`, or with a separator or a `?` behind an encoding.
pub(super) fn only(target: &str) -> Option<&str> {
    let path = target.split(['?', '#']).next()?;
    let mut segments = path.strip_prefix('/')?.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if !is_fixed(segment, is_last) {
            return None;
        }
    }
    Some(path)
}

/// Whether no reading of `segment` moves other segments. The last one may be empty: a final slash moves nothing.
fn is_fixed(segment: &str, is_last: bool) -> bool {
    if segment.is_empty() {
        return is_last;
    }
    let bytes = decoded(segment);
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\' | b'?' | b'#' | 0);
    let name = bytes.split(|byte| *byte == b';').next().unwrap_or_default();
    !bytes.iter().any(is_separator) && !matches!(name, b"" | b"." | b"..")
}

/// `segment` with every whole `%XX` decoded once.
fn decoded(segment: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = (byte == b'%').then(|| after.split_first_chunk::<2>()).flatten();
        let value = digits.and_then(|(digits, after)| {
            // A sign would be a number for the parser, and is not a digit.
            let hex = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
            let text = std::str::from_utf8(hex).ok()?;
            Some((u8::from_str_radix(text, 16).ok()?, after))
        });
        let (byte, after) = value.unwrap_or((byte, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_segments_that_could_move_names_nothing() {
        for path in [
            "/t/a/books",
            "/t/a",
            "/t/a/",
            "/",
            "/t/a%20b/x",
            "/t/a/file;v=1",
            "/t/a/100%",
            "/t/a/x%25",
            "/t/...",
            "/t/%C3%BC/x",
        ] {
            assert_eq!(only(path), Some(path));
            assert_eq!(only(&format!("{path}?x=/../y")), Some(path));
        }
        for path in [
            "",
            "*",
            "t/a",
            "//t/a",
            "/t//a",
            "/t/a//x",
            "/t/a/../b/books",
            "/t/./a",
            "/t/a/%2e%2e/b",
            "/t/a/.%2E/b",
            "/t/a/..;x/b",
            "/t/a/..%3bx/b",
            "/t/a%2Fb",
            "/t/a%5cb",
            "/t/a\\b",
            "/t/a%3Fb",
            "/t/a%23b",
            "/t/a/;/b",
            "/t/a%00",
        ] {
            assert_eq!(only(path), None, "{path}");
        }
    }
}
