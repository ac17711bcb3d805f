//! What HTTP/2 carries of an HTTP/1.1 answer.

use http_wire::answer::{Answer, Framing, Line};

/// Brings an answer into the form in which HTTP/2 carries it: names in lower case, the standard reason phrase, lines of one
/// name together at the place of the first. Of an answer that came over HTTP/2 this changes nothing.
pub(super) fn carried(answer: &mut Answer) {
    let reason = http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    answer.reason = reason.unwrap_or_default().as_bytes().to_vec();
    let mut lines: Vec<Line> = Vec::with_capacity(answer.headers.len());
    for mut line in std::mem::take(&mut answer.headers) {
        line.name.make_ascii_lowercase();
        let last = lines.iter().rposition(|other| other.name == line.name);
        match last {
            Some(at) => lines.insert(at + 1, line),
            None => lines.push(line),
        }
    }
    answer.headers = lines;
    for line in &mut answer.trailers {
        line.name.make_ascii_lowercase();
    }
    if answer.framing != Framing::None {
        answer.framing = Framing::Frames;
    }
}
