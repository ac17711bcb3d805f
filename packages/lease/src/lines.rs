//! Text in lines, as grants and feeds are written: readable in a log, and read without copying.

use std::str::{FromStr, Split};

/// A text that cannot be read. The reader does without the lease, or treats the feed as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {what} of this version: {field} is missing or wrong")]
pub struct Malformed {
    pub(crate) what: &'static str,
    pub(crate) field: &'static str,
}

/// A value that cannot be written: it contains a line break or is too long. No lease is granted then, and every request
/// is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} has a line break, is empty, or is too long or too many")]
pub struct Unfit {
    pub(crate) field: &'static str,
}

pub(crate) struct Reader<'a> {
    what: &'static str,
    lines: Split<'a, char>,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(what: &'static str, text: &'a str) -> Self {
        Self { what, lines: text.split('\n') }
    }

    pub(crate) fn malformed(&self, field: &'static str) -> Malformed {
        Malformed { what: self.what, field }
    }

    pub(crate) fn line(&mut self, field: &'static str) -> Result<&'a str, Malformed> {
        self.lines.next().ok_or(Malformed { what: self.what, field })
    }

    pub(crate) fn number<T: FromStr>(&mut self, field: &'static str) -> Result<T, Malformed> {
        self.line(field)?.parse().map_err(|_| self.malformed(field))
    }

    /// The number of items that follow.
    pub(crate) fn count(&mut self, field: &'static str, most: usize) -> Result<usize, Malformed> {
        let count = self.number(field)?;
        if count <= most { Ok(count) } else { Err(self.malformed(field)) }
    }

    /// Checks that the text ends here, with a line break.
    pub(crate) fn finish(mut self) -> Result<(), Malformed> {
        match (self.lines.next(), self.lines.next()) {
            (Some(""), None) => Ok(()),
            _ => Err(self.malformed("the end")),
        }
    }
}

pub(crate) fn put(out: &mut String, field: &'static str, value: &str) -> Result<(), Unfit> {
    if value.contains(['\n', '\r', '\0']) {
        return Err(Unfit { field });
    }
    out.push_str(value);
    out.push('\n');
    Ok(())
}

pub(crate) fn put_number(out: &mut String, value: impl std::fmt::Display) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{value}");
}
