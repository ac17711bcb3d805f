//! One difference, as a person reads it: what differs, from which byte on, and both sides there.

use comparison::compare::{Difference, coding, json_values};
use comparison::redact::{Redactor, Secrets, is_sensitive};
use edge_config::edge::DifferenceKind;
use http_wire::answer::{Answer, Body, Framing, Version};
use serde::Serialize;

/// How much of a long value is shown around the first differing character.
const WINDOW_CHARS: usize = 80;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind, as in the comparator's report, or `framing`.
    pub kind: &'static str,
    /// Its place: a header, a cookie and its attribute, a pointer into JSON, the words before it.
    pub place: String,
    /// What the reference has there.
    pub expected: Option<String>,
    /// What the tested server has there.
    pub actual: Option<String>,
    /// The first differing byte of the body or value, as a sentence; empty when the values say all.
    pub at: String,
}

/// The finding of `difference` between the answers `one` and `other`.
pub(super) fn of(
    difference: &Difference,
    one: &Answer,
    other: &Answer,
    redactor: &Redactor,
    secrets: &Secrets,
) -> Finding {
    let shown = redactor.whole(difference, secrets);
    let (expected, actual, at) = match (shown.reference, shown.shadow) {
        (Some(expected), Some(actual)) => {
            let (expected, actual, at) = window(&expected, &actual);
            (Some(expected), Some(actual), at)
        }
        (expected, actual) => (expected.map(|text| start(&text)), actual.map(|text| start(&text)), None),
    };
    let at = match difference.kind {
        DifferenceKind::BodyMissing
        | DifferenceKind::BodyExtra
        | DifferenceKind::BodyValue
        | DifferenceKind::BodyType
        | DifferenceKind::BodyOrder
        | DifferenceKind::BodyFormat
        | DifferenceKind::BodyText
        | DifferenceKind::BodyBytes
        | DifferenceKind::BodyEncoding => first_byte(&one.body, &other.body),
        DifferenceKind::HeaderValue | DifferenceKind::SetCookieAttributes | DifferenceKind::HeaderCase => {
            at.map(|at| format!("from character {at} on")).unwrap_or_default()
        }
        DifferenceKind::NoAnswer
        | DifferenceKind::Status
        | DifferenceKind::Reason
        | DifferenceKind::HeaderMissing
        | DifferenceKind::HeaderExtra
        | DifferenceKind::HeaderOrder
        | DifferenceKind::SetCookieMissing
        | DifferenceKind::SetCookieExtra
        | DifferenceKind::SetCookieValue => String::new(),
    };
    Finding { kind: shown.kind, place: redactor.place(&difference.place, secrets), expected, actual, at }
}

/// Makes the differences of a text one: the lines in which the two bodies begin to differ. Words alone say less to a person,
/// and every word after an inserted one would be another difference.
pub(super) fn one_text(
    findings: &mut Vec<Finding>,
    one: &Answer,
    other: &Answer,
    redactor: &Redactor,
    secrets: &Secrets,
) {
    let is_text = |finding: &Finding| finding.kind == DifferenceKind::BodyText.as_str();
    let (Body::Whole(ours), Body::Whole(theirs)) = (&one.body, &other.body) else { return };
    let Some(first) = findings.iter().position(is_text) else { return };
    let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let line = |bytes: &[u8]| {
        let before = bytes.get(..at).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = bytes.get(start..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let line = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        redactor.document(&line, secrets)
    };
    let (expected, actual, _) = window(&line(ours), &line(theirs));
    let mut seen = 0;
    findings.retain(|finding| {
        seen += usize::from(is_text(finding));
        !is_text(finding) || seen == 1
    });
    if let Some(finding) = findings.get_mut(first) {
        (finding.expected, finding.actual) = (Some(expected), Some(actual));
    }
}

/// The finding of another framing.
pub(super) fn framing(one: &Answer, other: &Answer) -> Finding {
    let word = |framing: Framing| match framing {
        Framing::None => "none",
        Framing::Length => "content-length",
        Framing::Chunked => "chunked",
        Framing::Close => "the end of the connection",
        Framing::Frames => "the last frame",
    };
    let side = |answer: &Answer| Some(word(answer.framing).to_owned());
    let (expected, actual) = (side(one), side(other));
    Finding { kind: "framing", place: String::new(), expected, actual, at: String::new() }
}

/// Both values around their first differing character, and its number, from 1.
fn window(one: &str, other: &str) -> (String, String, Option<usize>) {
    let at = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let part = |text: &str| {
        let from = at.saturating_sub(WINDOW_CHARS / 2);
        let all = text.chars().count();
        if all <= 2 * WINDOW_CHARS {
            return text.to_owned();
        }
        let before = if from > 0 { "…" } else { "" };
        let after = if all > from + WINDOW_CHARS { "…" } else { "" };
        let part: String = text.chars().skip(from).take(WINDOW_CHARS).collect();
        format!("{before}{part}{after}")
    };
    (part(one), part(other), (one != other).then_some(at + 1))
}

fn start(text: &str) -> String {
    window(text, text).0
}

/// `byte 12 of the body (line 2, column 3)`: where the two bodies begin to differ.
fn first_byte(one: &Body, other: &Body) -> String {
    let (Body::Whole(one), Body::Whole(other)) = (one, other) else { return String::new() };
    let at = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    if at == one.len() && at == other.len() {
        return String::new();
    }
    let before = one.get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    let ends = match (at == one.len(), at == other.len()) {
        (true, false) => ", where the expected body ends",
        (false, true) => ", where the actual body ends",
        _ => "",
    };
    format!("byte {} of the body (line {line}, column {column}){ends}", at + 1)
}

/// The answer with its compressed body unpacked, if that is text.
pub(super) fn readable(mut answer: Answer) -> Answer {
    if let Some(text) = coding::content(&answer).filter(|content| crate::golden::is_text(content)) {
        answer.body = Body::Whole(text);
    }
    answer
}

/// The values of JSON members with the name of a secret, so that no report shows them.
pub(super) fn secret_values(answers: &[&Answer]) -> Vec<String> {
    let mut found = Vec::new();
    for answer in answers {
        let Body::Whole(bytes) = &answer.body else { continue };
        for value in json_values(bytes).unwrap_or_default() {
            if value.place.split('/').any(is_sensitive) {
                let raw = bytes.get(value.span).unwrap_or_default();
                found.extend(serde_json::from_slice::<String>(raw).ok());
            }
        }
    }
    found
}

/// A whole answer as text: status line, header lines, body.
pub(super) fn side(answer: &Answer) -> String {
    let version = match answer.version {
        Version::One(minor) => format!("HTTP/1.{minor}"),
        Version::Two => "HTTP/2".to_owned(),
    };
    let mut text = format!("{version} {} {}\n", answer.status, String::from_utf8_lossy(&answer.reason));
    let lines = |lines: &[http_wire::answer::Line], text: &mut String| {
        for line in lines {
            let (name, value) = (String::from_utf8_lossy(&line.name), String::from_utf8_lossy(&line.value));
            text.push_str(&format!("{name}: {value}\n"));
        }
    };
    lines(&answer.headers, &mut text);
    text.push('\n');
    match &answer.body {
        Body::Whole(bytes) if crate::golden::is_text(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
        Body::Whole(bytes) => text.push_str(&format!("({} bytes that are not text)", bytes.len())),
        Body::Digest { length, .. } => text.push_str(&format!("({length} bytes)")),
    }
    if !answer.trailers.is_empty() {
        text.push('\n');
        lines(&answer.trailers, &mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shown_where_it_differs() {
        let one = format!("{}X{}", "a".repeat(200), "b".repeat(200));
        let other = one.replace('X', "Y");
        let (expected, actual, at) = window(&one, &other);
        assert_eq!(at, Some(201));
        assert!(
            expected.contains('X') && actual.contains('Y') && expected.chars().count() < 90,
            "{expected}"
        );
        assert_eq!(window("ab", "ac"), ("ab".to_owned(), "ac".to_owned(), Some(2)));
    }

    #[test]
    fn the_first_differing_byte_has_its_line_and_column() {
        let whole = |text: &str| Body::Whole(text.as_bytes().to_vec());
        assert_eq!(first_byte(&whole("ab\ncd"), &whole("ab\ncx")), "byte 5 of the body (line 2, column 2)");
        let lost = first_byte(&whole("ab\n"), &whole("ab"));
        assert_eq!(lost, "byte 3 of the body (line 1, column 3), where the actual body ends");
        assert_eq!(first_byte(&whole("ab"), &whole("ab")), "", "it was only compressed in another way");
    }
}
