//! Texts with volatile values: `{"id":"«uuid»"}`.
//!
//! A golden file is its own rule. Where it has a placeholder, another answer may have any value of that shape; everything
//! else must be equal. [`Template::normal`] writes the placeholder into the other answer where its value has the shape, so
//! that the comparison needs to know nothing about placeholders. A literal `«` is written twice.

use comparison::compare::json_values;

use crate::shape::Shape;

/// `«`.
const OPEN: &[u8] = "«".as_bytes();
/// `»`.
const CLOSE: &[u8] = "»".as_bytes();

/// How much of a literal is looked for to find the end of a value, or the place at which two texts agree again.
const ANCHOR_BYTES: usize = 12;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Literal(Vec<u8>),
    /// Any value of this shape.
    Volatile(Shape),
}

/// A text with volatile values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// A text without volatile values.
    #[must_use]
    pub fn literal(bytes: &[u8]) -> Self {
        Self::default().and(bytes)
    }

    /// One volatile value.
    #[must_use]
    pub fn volatile(shape: Shape) -> Self {
        Self(vec![Piece::Volatile(shape)])
    }

    /// This, and then `bytes`.
    #[must_use]
    pub fn and(mut self, bytes: &[u8]) -> Self {
        match self.0.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Literal(last)) => last.extend_from_slice(bytes),
            Some(Piece::Volatile(_)) | None => self.0.push(Piece::Literal(bytes.to_vec())),
        }
        self
    }

    /// This, and then a volatile value.
    #[must_use]
    pub fn and_volatile(mut self, shape: Shape) -> Self {
        // Two volatile values without a byte between them are one.
        match self.0.last_mut() {
            Some(Piece::Volatile(last)) => *last = Shape::Any,
            Some(Piece::Literal(_)) | None => self.0.push(Piece::Volatile(shape)),
        }
        self
    }

    /// This, and then `other`.
    #[must_use]
    pub fn and_all(self, other: &Self) -> Self {
        other.0.iter().fold(self, |whole, piece| match piece {
            Piece::Literal(bytes) => whole.and(bytes),
            Piece::Volatile(shape) => whole.and_volatile(*shape),
        })
    }

    /// Whether it has a volatile value.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Volatile(_)))
    }

    /// Its parts: a literal, which may be empty, and the volatile value after it, if any.
    #[must_use]
    pub fn parts(&self) -> Vec<(&[u8], Option<Shape>)> {
        let mut parts: Vec<(&[u8], Option<Shape>)> = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => parts.push((bytes, None)),
                Piece::Volatile(shape) => match parts.last_mut() {
                    Some((_, after @ None)) => *after = Some(*shape),
                    Some(_) | None => parts.push((&[], Some(*shape))),
                },
            }
        }
        parts
    }

    /// Reads a text in which `«` begins a placeholder and `««` is a literal one.
    ///
    /// # Errors
    /// A sentence: a placeholder without an end, or of an unknown shape.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(at) = find(rest, OPEN) {
            template = template.and(rest.get(..at).unwrap_or_default());
            rest = rest.get(at + OPEN.len()..).unwrap_or_default();
            if let Some(after) = rest.strip_prefix(OPEN) {
                (template, rest) = (template.and(OPEN), after);
                continue;
            }
            let end = find(rest, CLOSE)
                .ok_or("a placeholder has no end: write `»` after it, or `««` for a literal `«`")?;
            let name = String::from_utf8_lossy(rest.get(..end).unwrap_or_default());
            let shape = Shape::read(&name).ok_or_else(|| {
                format!("«{name}» is not a shape: write one of {}", crate::shape::SPELLINGS)
            })?;
            template = template.and_volatile(shape);
            rest = rest.get(end + CLOSE.len()..).unwrap_or_default();
        }
        Ok(template.and(rest))
    }

    /// The text that [`Template::read`] reads.
    #[must_use]
    pub fn escaped(&self) -> Vec<u8> {
        self.written(|bytes, out| {
            let mut rest = bytes;
            while let Some(at) = find(rest, OPEN) {
                let (before, after) = rest.split_at(at + OPEN.len());
                out.extend_from_slice(before);
                out.extend_from_slice(OPEN);
                rest = after;
            }
            out.extend_from_slice(rest);
        })
    }

    /// The text with its placeholders, for the comparison.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        self.written(|bytes, out| out.extend_from_slice(bytes))
    }

    fn written(&self, literal: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(bytes) => literal(bytes, &mut out),
                Piece::Volatile(shape) => out.extend_from_slice(format!("«{shape}»").as_bytes()),
            }
        }
        out
    }

    /// `other` with placeholders where it has values of their shapes. In JSON a value belongs to its place.
    #[must_use]
    pub fn normal(&self, other: &[u8]) -> Vec<u8> {
        if !self.is_volatile() {
            return other.to_vec();
        }
        self.json(other).unwrap_or_else(|| self.aligned(other))
    }

    /// The same for JSON; nothing when one of the two is not.
    fn json(&self, other: &[u8]) -> Option<Vec<u8>> {
        let own = self.escaped();
        let (places, others) = (json_values(&own)?, json_values(other)?);
        let mut out = Vec::with_capacity(other.len());
        let mut done = 0;
        let mut seen = std::collections::BTreeMap::new();
        let mut wanted: std::collections::BTreeMap<&str, Vec<Self>> = std::collections::BTreeMap::new();
        for place in &places {
            let template = Self::read(own.get(place.span.clone())?).ok()?;
            wanted.entry(&place.pointer).or_default().push(template);
        }
        for value in &others {
            let count: &mut usize = seen.entry(value.pointer.as_str()).or_default();
            let template = wanted.get(value.pointer.as_str()).and_then(|all| all.get(*count));
            *count += 1;
            let Some(template) = template.filter(|template| template.is_volatile()) else { continue };
            out.extend_from_slice(other.get(done..value.span.start)?);
            out.extend(template.value(other.get(value.span.clone())?));
            done = value.span.end;
        }
        out.extend_from_slice(other.get(done..)?);
        Some(out)
    }

    /// One JSON value with placeholders. `"«json integer»"` stands for a value without quotation marks.
    fn value(&self, raw: &[u8]) -> Vec<u8> {
        match self.0.as_slice() {
            [Piece::Literal(open), Piece::Volatile(shape @ Shape::Json(_)), Piece::Literal(close)]
                if open == b"\"" && close == b"\"" =>
            {
                if shape.is_of(raw) {
                    self.text()
                } else {
                    raw.to_vec()
                }
            }
            _ => self.aligned(raw),
        }
    }

    /// Walks through both texts from one literal to the next.
    fn aligned(&self, other: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(other.len());
        let mut rest = other;
        for (index, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Literal(bytes) => {
                    let Some(after) = past(bytes, rest, &mut out) else {
                        out.extend_from_slice(rest);
                        return out;
                    };
                    rest = after;
                }
                Piece::Volatile(shape) => {
                    let end = match self.0.get(index + 1) {
                        Some(Piece::Literal(next)) => find(rest, next.get(..ANCHOR_BYTES).unwrap_or(next)),
                        Some(Piece::Volatile(_)) | None => Some(rest.len()),
                    };
                    let end = end.unwrap_or_else(|| word(rest));
                    let (value, after) = rest.split_at(end.min(rest.len()));
                    if shape.is_of(value) {
                        out.extend_from_slice(format!("«{shape}»").as_bytes());
                    } else {
                        out.extend_from_slice(value);
                    }
                    rest = after;
                }
            }
        }
        out.extend_from_slice(rest);
        out
    }
}

/// Copies from `rest` what stands for `literal`, and returns what follows; nothing when the two never agree again.
fn past<'a>(literal: &[u8], rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    if let Some(after) = rest.strip_prefix(literal) {
        out.extend_from_slice(literal);
        return Some(after);
    }
    // They differ somewhere in the literal: its last bytes are where they agree again.
    let anchor = literal.get(literal.len().saturating_sub(ANCHOR_BYTES)..).unwrap_or(literal);
    let end = find(rest, anchor).filter(|_| anchor.len() >= 4)? + anchor.len();
    let (before, after) = rest.split_at(end);
    out.extend_from_slice(before);
    Some(after)
}

/// The length of the word at the beginning.
fn word(text: &[u8]) -> usize {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.:+".contains(byte) || !byte.is_ascii();
    text.iter().take_while(part).count()
}

/// The place of `wanted` in `text`.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// The words of a text: dates, runs of letters, digits and `_-.:+`, and every other byte by itself.
#[must_use]
pub fn words(text: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = crate::shape::http_date(rest).unwrap_or_else(|| word(rest).max(1));
        let (first, after) = rest.split_at(length.min(rest.len()));
        words.push(first);
        rest = after;
    }
    words
}

/// The template of two texts of which neither is wrong: what differs is volatile, with the narrowest shape of both.
#[must_use]
pub fn of_both(one: &[u8], other: &[u8]) -> Template {
    let (ours, theirs) = (words(one), words(other));
    if ours.len() == theirs.len() {
        return ours.iter().zip(&theirs).fold(Template::default(), |whole, (a, b)| {
            if a == b { whole.and(a) } else { whole.and_volatile(Shape::of_both(a, b)) }
        });
    }
    // Words were added or removed: everything between the common beginning and the common end is volatile.
    let start = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let most = ours.len().min(theirs.len()) - start;
    let end = ours.iter().rev().zip(theirs.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let part = |words: &[&[u8]], from: usize, to: usize| words.get(from..to).unwrap_or_default().concat();
    let middle = |words: &[&[u8]]| part(words, start, words.len() - end);
    Template::literal(&part(&ours, 0, start))
        .and_volatile(Shape::of_both(&middle(&ours), &middle(&theirs)))
        .and(&part(&ours, ours.len() - end, ours.len()))
}

#[cfg(test)]
mod tests;
