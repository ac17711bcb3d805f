//! Names and values as hurl writes them: a comment after them, and characters behind a backslash.

/// `text` without the comment at its end, and with its escaped characters.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '#' => break,
            '\\' => match rest.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some('u') => out.extend(code_point(&mut rest)),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// `{1f600}` after `\u`.
fn code_point(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let (digits, after) = rest.as_str().strip_prefix('{')?.split_once('}')?;
    *rest = after.chars();
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

/// `name: value`: the colon that divides them has no backslash before it.
pub(super) fn pair(line: &str) -> Option<(String, String)> {
    let is_escaped = |at: usize| line.get(..at).is_some_and(|before| before.ends_with('\\'));
    let at = line.match_indices(':').map(|(at, _)| at).find(|at| !is_escaped(*at) && *at > 0)?;
    let (name, value) = line.split_at(at);
    Some((plain(name), plain(value.get(1..).unwrap_or_default())))
}

/// A request line without the comment after it. A `#` within a URL begins its fragment.
pub(super) fn without_comment(line: &str) -> &str {
    line.split_once(" #").map_or(line, |(before, _)| before).trim_end()
}
