//! Names the differences of two answers, with the engine of the comparator and of `cutover contract`.

use comparison::answer::{self, Body, Framing, Line, Version};
use comparison::compare::{Difference, compare};

use super::Answer;

impl Answer {
    /// Every difference from `reference`, as `kind place: expected, actual`.
    #[must_use]
    pub fn differences_from(&self, reference: &Self) -> Vec<String> {
        let side = |value: &Option<Vec<u8>>| {
            value
                .as_ref()
                .map_or("absent".to_owned(), |value| format!("{:?}", String::from_utf8_lossy(value)))
        };
        let line = |Difference { kind, place, reference, shadow }: &Difference| {
            format!("{kind} {place}: {}, {}", side(reference), side(shadow))
        };
        compare(&reference.as_read(), &self.as_read()).differences.iter().map(line).collect()
    }

    /// The answer as the engine reads one. How its body was framed is not kept.
    fn as_read(&self) -> answer::Answer {
        let reason = self.status_line.get(13..).unwrap_or_default().to_vec();
        let lines = self.headers.iter();
        answer::Answer {
            version: Version::One(u8::from(self.status_line.starts_with(b"HTTP/1.1"))),
            status: self.status,
            reason,
            headers: lines.map(|(name, value)| Line { name: name.clone(), value: value.clone() }).collect(),
            framing: Framing::Length,
            body: Body::Whole(self.body.clone()),
            trailers: Vec::new(),
        }
    }
}
