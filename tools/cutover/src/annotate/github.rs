//! Workflow commands of GitHub Actions: `::error file=…,line=…::message`.

use std::fmt::Write as _;

use super::{Level, Report};

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.annotations {
        let level = match one.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        };
        let title = format!("cutover {}: {}", report.command, one.rule);
        let place = one.place.map(|(line, column)| format!(",line={line},col={column}")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "::{level} file={}{place},title={}::{}",
            property(&one.file.display().to_string()),
            property(&title),
            data(&one.whole())
        );
    }
    text
}

/// A message ends at a line break, and `%` begins an escape.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property also ends at a comma, and the list of them at a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_message_or_its_property() {
        assert_eq!(data("50% of\r\n::error::x"), "50%25 of%0D%0A::error::x");
        assert_eq!(property("a,line=1:b"), "a%2Cline=1%3Ab");
    }
}
