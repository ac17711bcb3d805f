//! The same edge file without its leases: every request a full check.

/// `text` without every `lease:` entry, in flow maps and in block maps; [`None`] when it has none.
pub(crate) fn taken_out(text: &str) -> Option<String> {
    let mut rest = text.to_owned();
    let mut found = false;
    let mut from = 0;
    while let Some(start) = entry(&rest, from) {
        let (start, end) = if flow(&rest, start) {
            (start, flow_end(&rest, start))
        } else {
            (line_start(&rest, start), block_end(&rest, start))
        };
        rest.replace_range(start..end, "");
        found = true;
        from = start;
    }
    found.then_some(rest)
}

/// Where the next entry `lease:` begins, outside comments.
fn entry(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let start = at + text.get(at..)?.find("lease:")?;
        let line = text.get(..start)?.rsplit('\n').next().unwrap_or_default();
        let is_key = line.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '{' || c == ',');
        if is_key && !line.trim_start().starts_with('#') && !line.contains(" #") {
            return Some(start);
        }
        at = start + 1;
    }
}

/// Whether the entry stands in a flow map of its own line (`{ kind: session, lease: … }`).
fn flow(text: &str, start: usize) -> bool {
    text.get(..start).and_then(|before| before.rsplit('\n').next()).is_some_and(|line| line.contains('{'))
}

/// The end of a flow entry: the comma after its value, or the bracket that closes the map.
fn flow_end(text: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices().skip_while(|(at, _)| *at < start) {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' if depth > 0 => depth -= 1,
            ',' if depth == 0 => return at + 1,
            '}' | ']' => return at,
            _ => {}
        }
    }
    text.len()
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
}

/// The end of a block entry: the next line that is not deeper than it.
fn block_end(text: &str, start: usize) -> usize {
    let depth = start - line_start(text, start);
    let mut at = start;
    for (number, line) in text.get(start..).unwrap_or_default().split_inclusive('\n').enumerate() {
        let indent = line.len() - line.trim_start().len();
        if number > 0 && !line.trim().is_empty() && indent <= depth {
            break;
        }
        at += line.len();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::taken_out;

    #[test]
    fn a_file_without_leases_has_none_to_take_out() {
        assert_eq!(taken_out("policies:\n  signed-in: { kind: session }\n  release: 1\n"), None);
    }

    #[test]
    fn flow_entries_go_and_their_neighbours_stay() {
        let text = "a: { kind: session, lease: { seconds: 30, uses: [1, 2] }, role: 1 }\nb: { kind: session, lease: 30s }\n";
        let out = taken_out(text).unwrap();
        assert_eq!(out, "a: { kind: session,  role: 1 }\nb: { kind: session, }\n");
    }

    #[test]
    fn a_block_entry_goes_with_what_is_below_it() {
        let text = "policies:\n  signed-in:\n    kind: session\n    lease:\n      seconds: 30\n\n      uses: 100\n    role: 1\n";
        let out = taken_out(text).unwrap();
        assert_eq!(out, "policies:\n  signed-in:\n    kind: session\n    role: 1\n");
    }

    #[test]
    fn comments_and_longer_names_are_left_alone() {
        let text = "# lease: not one\nrelease: 1\nx: 1 # lease: neither\nlease: 5\ny: 2\n";
        assert_eq!(taken_out(text).unwrap(), "# lease: not one\nrelease: 1\nx: 1 # lease: neither\ny: 2\n");
    }
}
