//! Finds all differences between two answers to one request. It is pure and knows neither noise nor ignored differences.

mod body;
pub mod coding;
mod cookies;
mod headers;
mod json;
mod text;

use std::collections::BTreeMap;

use edge_config::edge::DifferenceKind;

pub use json::{JsonValue, json_values};

use crate::answer::Answer;

/// Further different places count as one difference at the place `…`: a person does not read them all, and unlisted
/// differences must not look like agreement.
pub const MAX_DIFFERENCES: usize = 512;

/// The kept length of one value. Much longer than in a sample: credentials are recognised before the value is shortened to
/// that, and no credential is longer than a request's whole head.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its kind.
    pub kind: DifferenceKind,
    /// Its place: the name of a header or cookie, a pointer into JSON with `*` for every index, or the words before it.
    /// Empty when the kind alone is enough.
    pub place: String,
    /// The reference's value there, if any.
    pub reference: Option<Vec<u8>>,
    /// The shadow's value there, if any.
    pub shadow: Option<Vec<u8>>,
}

/// A difference that no client relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// How the end of the body is marked.
    Framing,
    /// The HTTP version.
    Version,
    /// The trailers. They are a note where they end at the edge; [`trailers`](fn@trailers) lists their differences.
    Trailers,
}

impl Note {
    /// Its spelling in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::Version => "version",
            Self::Trailers => "trailers",
        }
    }
}

/// The comparison of two answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The first difference of each kind and place, in the order in which answers are read.
    pub differences: Vec<Difference>,
    /// The notes.
    pub notes: Vec<Note>,
}

/// Compares `shadow` with `reference`.
#[must_use]
pub fn compare(reference: &Answer, shadow: &Answer) -> Comparison {
    let mut found = Found::default();
    let digits = |answer: &Answer| Some(answer.status.to_string().into_bytes());
    if reference.status != shadow.status {
        found.add(DifferenceKind::Status, "", digits(reference), digits(shadow));
    }
    if reference.reason != shadow.reason {
        let (one, other) = (reference.reason.clone(), shadow.reason.clone());
        found.add(DifferenceKind::Reason, "", Some(one), Some(other));
    }
    headers::compare(reference, shadow, &mut found);
    cookies::compare(reference, shadow, &mut found);
    body::compare(reference, shadow, &mut found);
    let mut notes = Vec::new();
    if reference.framing != shadow.framing {
        notes.push(Note::Framing);
    }
    if reference.version != shadow.version {
        notes.push(Note::Version);
    }
    if !trailers(reference, shadow).is_empty() {
        notes.push(Note::Trailers);
    }
    Comparison { differences: found.differences, notes }
}

/// The differences of the trailers. Their places begin with the word `trailer`.
#[must_use]
pub fn trailers(reference: &Answer, shadow: &Answer) -> Vec<Difference> {
    let mut found = Found::default();
    headers::trailers(reference, shadow, &mut found);
    let named = |mut difference: Difference| {
        difference.place = format!("trailer {}", difference.place).trim_end().to_owned();
        difference
    };
    found.differences.into_iter().map(named).collect()
}

/// The comparison when the shadow did not answer.
#[must_use]
pub fn unanswered(why: &str) -> Comparison {
    let mut found = Found::default();
    found.add(DifferenceKind::NoAnswer, "", None, Some(why.as_bytes().to_vec()));
    Comparison { differences: found.differences, notes: Vec::new() }
}

/// The differences so far.
#[derive(Debug, Default)]
struct Found {
    differences: Vec<Difference>,
    known: BTreeMap<(DifferenceKind, String), ()>,
}

impl Found {
    fn add(
        &mut self,
        kind: DifferenceKind,
        place: impl Into<String>,
        reference: Option<Vec<u8>>,
        shadow: Option<Vec<u8>>,
    ) {
        let mut place = place.into();
        if self.known.len() >= MAX_DIFFERENCES && !self.known.contains_key(&(kind, place.clone())) {
            place = "…".to_owned();
        }
        if self.known.insert((kind, place.clone()), ()).is_some() {
            return;
        }
        self.differences.push(Difference { kind, place, reference: cut(reference), shadow: cut(shadow) });
    }
}

/// Shortens a long value at the end of a word: half of a credential would not be recognised as one.
fn cut(value: Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut value = value?;
    if value.len() > MAX_VALUE_BYTES {
        value.truncate(MAX_VALUE_BYTES);
        while value.last().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            value.pop();
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests;
