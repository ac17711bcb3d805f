//! Which part of a file a request wants: conditions first, ranges last, as RFC 9110 13.2.2 orders them.

use headers::{ETag, HeaderMapExt as _, IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince};
use http::header::{IF_RANGE, RANGE};
use http::{HeaderMap, Method};
use http_range::{HttpRange, HttpRangeParseError};

use crate::content::Content;

/// The most ranges of one answer. A document viewer asks for two or three. More are answered with the whole file, which
/// RFC 9110 14.2 allows, because many small ranges cost more than the file.
const MAX_RANGES: usize = 16;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first byte.
    pub(super) start: u64,
    /// Its length in bytes, at least one.
    pub(super) length: u64,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The whole file.
    Whole,
    /// One part.
    One(Span),
    /// Several parts, in the order of the request.
    Several(Vec<Span>),
    /// Nothing: the client has these bytes.
    Unchanged,
    /// Nothing: the file is not the one that the client means.
    Failed,
    /// Nothing: the ranges lie outside.
    Outside,
}

/// Chooses what to answer to a request with `headers` for `content`.
pub(super) fn wanted(method: &Method, headers: &HeaderMap, content: &Content) -> Wanted {
    let tag = &content.tag;
    match (headers.typed_get::<IfMatch>(), headers.typed_get::<IfUnmodifiedSince>(), content.modified) {
        (Some(condition), ..) if !condition.precondition_passes(tag) => return Wanted::Failed,
        (None, Some(condition), Some(modified)) if !condition.precondition_passes(modified) => {
            return Wanted::Failed;
        }
        _ => {}
    }
    match (headers.typed_get::<IfNoneMatch>(), headers.typed_get::<IfModifiedSince>(), content.modified) {
        (Some(condition), ..) if !condition.precondition_passes(tag) => return Wanted::Unchanged,
        (None, Some(condition), Some(modified)) if !condition.is_modified(modified) => {
            return Wanted::Unchanged;
        }
        _ => {}
    }
    // HEAD has no ranges (RFC 9110, 14.2).
    if *method == Method::GET && same_file(headers, tag, content) {
        ranges(headers, content.length)
    } else {
        Wanted::Whole
    }
}

/// Reports whether ranges may be answered: `If-Range` names this very file, or there is none. A date must be the very same one
/// (RFC 9110, 13.1.5): a file that replaces another can be older, and a client would join the parts of two files.
fn same_file(headers: &HeaderMap, tag: &ETag, content: &Content) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let modified = content.modified.map(IfRange::date);
    let same_tag = |condition: &IfRange| !condition.is_modified(Some(tag), None);
    headers
        .typed_get::<IfRange>()
        .is_some_and(|condition| same_tag(&condition) || modified.is_some_and(|same| same == condition))
}

fn ranges(headers: &HeaderMap, length: u64) -> Wanted {
    // Two lines are not a valid list of ranges, so both are ignored.
    let mut lines = headers.get_all(RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Wanted::Whole };
    let Some(line) = line.to_str().ok().map(bounded).filter(|line| !has_backward_range(line)) else {
        return Wanted::Whole;
    };
    let spans: Vec<Span> = match HttpRange::parse_bytes(line.as_bytes(), length) {
        // A list without a range.
        Ok(ranges) if ranges.is_empty() => return Wanted::Whole,
        Ok(ranges) => ranges.iter().map(|range| Span { start: range.start, length: range.length }).collect(),
        Err(HttpRangeParseError::NoOverlap) => return Wanted::Outside,
        // Another unit, or no range at all: RFC 9110 14.2 has it ignored.
        Err(HttpRangeParseError::InvalidRange) => return Wanted::Whole,
    };
    let spans: Vec<Span> = spans.into_iter().filter(|span| span.length > 0).collect();
    let total = spans.iter().fold(0_u64, |total, span| total.saturating_add(span.length));
    match spans.as_slice() {
        [] => Wanted::Outside,
        [one] => Wanted::One(*one),
        // Parts that overlap could make a small file into a large answer.
        several if several.len() > MAX_RANGES || total > length => Wanted::Whole,
        _ => Wanted::Several(spans),
    }
}

/// Returns the line with each number above those of the library as the largest one: it is behind the end of every file either
/// way, and the library would ignore the line.
fn bounded(line: &str) -> String {
    /// The largest number that the library reads.
    const LARGEST: &str = "18446744073709551615";
    /// Every number with as many digits is smaller.
    const SAFE_DIGITS: usize = 19;
    let mut text = String::with_capacity(line.len());
    for part in line.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let end = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = part.strip_suffix(end).unwrap_or(part);
        let is_large = digits.trim_start_matches('0').len() > SAFE_DIGITS;
        text.push_str(if is_large { LARGEST } else { digits });
        text.push_str(end);
    }
    text
}

/// Reports whether a range ends before it begins: then the line is not valid, and ignored (RFC 9110, 14.1.1 and 14.2). The
/// library checks this for ranges inside the file alone.
fn has_backward_range(line: &str) -> bool {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (_, ranges) = line.split_once('=').unwrap_or_default();
    ranges.split(',').filter_map(|range| range.split_once('-')).any(
        |(first, last)| matches!((number(first), number(last)), (Some(first), Some(last)) if last < first),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::format::Format;

    /// A file of 100 bytes, changed on 2022-01-31 at 17:12:00.
    fn content() -> Content {
        Content {
            file: tempfile::tempfile().unwrap(),
            length: 100,
            format: Format::Png,
            tag: "\"a\"".parse().unwrap(),
            modified: Some(UNIX_EPOCH + Duration::from_secs(1_643_649_120)),
        }
    }

    fn on(lines: &[(&str, &str)]) -> Wanted {
        on_method(&Method::GET, lines)
    }

    fn on_method(method: &Method, lines: &[(&str, &str)]) -> Wanted {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        wanted(method, &headers, &content())
    }

    fn one(start: u64, length: u64) -> Wanted {
        Wanted::One(Span { start, length })
    }

    const BEFORE: &str = "Mon, 31 Jan 2022 17:11:59 GMT";
    const THEN: &str = "Mon, 31 Jan 2022 17:12:00 GMT";
    const AFTER: &str = "Tue, 01 Feb 2022 17:12:00 GMT";

    #[test]
    fn one_range_is_a_part() {
        assert_eq!(on(&[("range", "bytes=0-9")]), one(0, 10));
        assert_eq!(on(&[("range", "bytes=90-")]), one(90, 10));
        assert_eq!(on(&[("range", "bytes=-10")]), one(90, 10));
        assert_eq!(on(&[("range", "bytes=-1000")]), one(0, 100));
        assert_eq!(on(&[("range", "bytes=50-1000")]), one(50, 50));
        assert_eq!(on(&[("range", "bytes=0-9,500-")]), one(0, 10));
        assert_eq!(on(&[("range", "bytes=10-99999999999999999999")]), one(10, 90));
        assert_eq!(on(&[("range", "bytes=-99999999999999999999")]), one(0, 100));
        assert_eq!(on(&[("range", "bytes=000000000000000000000005-6")]), one(5, 2));
    }

    #[test]
    fn several_ranges_are_several_parts_in_the_order_of_the_request() {
        let parts = vec![Span { start: 90, length: 10 }, Span { start: 0, length: 1 }];
        assert_eq!(on(&[("range", "bytes=90-99, 0-0")]), Wanted::Several(parts));
    }

    #[test]
    fn ranges_that_would_be_more_than_the_file_are_the_file() {
        let many = (0..17).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(",");
        assert_eq!(on(&[("range", &format!("bytes={many}"))]), Wanted::Whole);
        assert_eq!(on(&[("range", "bytes=0-,0-")]), Wanted::Whole);
    }

    #[test]
    fn ranges_that_are_none_are_ignored_and_ranges_outside_are_not() {
        for line in
            ["items=0-1", "bytes=a-b", "bytes=9-0", "bytes=500-1", "bytes", "bytes=", "bytes=,", "bytes=1"]
        {
            assert_eq!(on(&[("range", line)]), Wanted::Whole, "{line}");
        }
        assert_eq!(on(&[("range", "bytes=0-1"), ("range", "bytes=2-3")]), Wanted::Whole);
        assert_eq!(on_method(&Method::HEAD, &[("range", "bytes=0-1")]), Wanted::Whole);
        for line in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(on(&[("range", line)]), Wanted::Outside, "{line}");
        }
    }

    #[test]
    fn a_range_of_another_file_is_the_whole_file() {
        assert_eq!(on(&[("range", "bytes=0-9"), ("if-range", "\"a\"")]), one(0, 10));
        assert_eq!(on(&[("range", "bytes=0-9"), ("if-range", THEN)]), one(0, 10));
        for other in ["\"b\"", "W/\"a\"", BEFORE, AFTER, "nonsense"] {
            assert_eq!(on(&[("range", "bytes=0-9"), ("if-range", other)]), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn conditions_come_before_ranges_and_tags_before_dates() {
        assert_eq!(on(&[("if-none-match", "\"b\", \"a\""), ("range", "bytes=0-9")]), Wanted::Unchanged);
        assert_eq!(on(&[("if-none-match", "W/\"a\"")]), Wanted::Unchanged);
        assert_eq!(on(&[("if-none-match", "\"b\""), ("if-modified-since", THEN)]), Wanted::Whole);
        assert_eq!(on(&[("if-modified-since", THEN)]), Wanted::Unchanged);
        assert_eq!(on(&[("if-modified-since", BEFORE)]), Wanted::Whole);
        assert_eq!(on(&[("if-match", "\"b\"")]), Wanted::Failed);
        assert_eq!(on(&[("if-match", "*")]), Wanted::Whole);
        assert_eq!(on(&[("if-unmodified-since", BEFORE)]), Wanted::Failed);
        assert_eq!(on(&[("if-match", "\"a\""), ("if-unmodified-since", BEFORE)]), Wanted::Whole);
    }
}
