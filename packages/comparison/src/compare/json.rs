//! Compares JSON by its bytes: every scalar with its pointer, exactly as it was written.
//!
//! A parser that returns values would read `1.0` as `1`, drop the first of two members of one name, and lose spaces and
//! order. A client may depend on each of these bytes.

mod number;
mod reader;

use std::collections::BTreeMap;

use edge_config::edge::DifferenceKind;

use super::Found;

/// A document.
pub(super) struct Document<'a> {
    /// The scalars and empty containers, in the order of the text.
    leaves: Vec<Leaf<'a>>,
    /// The text between them: names, brackets, spaces.
    between: Vec<&'a [u8]>,
}

struct Leaf<'a> {
    /// The pointer (RFC 6901), with the true index.
    pointer: String,
    /// The same with `*` for every index: noise in one element is noise in all.
    place: String,
    raw: &'a [u8],
}

impl<'a> Document<'a> {
    /// Reads an object or array; nothing when the text is neither, is not JSON, or is too large.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        reader::read(bytes)
    }
}

/// A scalar or an empty container of a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonValue {
    /// Its pointer (RFC 6901).
    pub pointer: String,
    /// The same with `*` for every index.
    pub place: String,
    /// The bytes that it takes in the text.
    pub span: std::ops::Range<usize>,
}

/// The scalars and empty containers of an object or array, in the order of the text; nothing when the text is neither, is
/// not JSON, or is too large to compare as JSON.
#[must_use]
pub fn json_values(bytes: &[u8]) -> Option<Vec<JsonValue>> {
    let document = Document::read(bytes)?;
    let mut values = Vec::with_capacity(document.leaves.len());
    let mut at = 0;
    for (leaf, before) in document.leaves.iter().zip(&document.between) {
        let start = at + before.len();
        at = start + leaf.raw.len();
        values.push(JsonValue { pointer: leaf.pointer.clone(), place: leaf.place.clone(), span: start..at });
    }
    Some(values)
}

pub(super) fn compare(ours: &Document<'_>, theirs: &Document<'_>, found: &mut Found) {
    let (one, other) = (by_pointer(ours), by_pointer(theirs));
    let none = Vec::new();
    let mut all_common = true;
    for leaf in &ours.leaves {
        let same = one.get(leaf.pointer.as_str()).unwrap_or(&none);
        let others = other.get(leaf.pointer.as_str()).unwrap_or(&none);
        // Each pointer once; a name that occurs twice is compared pair by pair.
        if same.first().is_none_or(|first| !std::ptr::eq(*first, leaf)) {
            continue;
        }
        for missing in same.iter().skip(others.len()) {
            all_common = false;
            found.add(DifferenceKind::BodyMissing, &missing.place, Some(missing.raw.to_vec()), None);
        }
        for (one, other) in same.iter().zip(others).filter(|(one, other)| one.raw != other.raw) {
            let kind = if kind_of(one.raw) != kind_of(other.raw) {
                DifferenceKind::BodyType
            } else if means_the_same(one.raw, other.raw) {
                DifferenceKind::BodyFormat
            } else {
                DifferenceKind::BodyValue
            };
            found.add(kind, &one.place, Some(one.raw.to_vec()), Some(other.raw.to_vec()));
        }
    }
    for leaf in &theirs.leaves {
        let same = other.get(leaf.pointer.as_str()).unwrap_or(&none);
        let known = one.get(leaf.pointer.as_str()).map_or(0, Vec::len);
        if same.iter().skip(known).any(|extra| std::ptr::eq(*extra, leaf)) {
            all_common = false;
            found.add(DifferenceKind::BodyExtra, &leaf.place, None, Some(leaf.raw.to_vec()));
        }
    }
    order(ours, theirs, &one, &other, all_common, found);
}

type Leaves<'d, 'a> = BTreeMap<&'d str, Vec<&'d Leaf<'a>>>;

fn by_pointer<'d, 'a>(document: &'d Document<'a>) -> Leaves<'d, 'a> {
    let mut named: Leaves<'d, 'a> = BTreeMap::new();
    for leaf in &document.leaves {
        named.entry(&leaf.pointer).or_default().push(leaf);
    }
    named
}

/// Compares the order of the values that both have, and the text between them.
fn order(
    ours: &Document<'_>,
    theirs: &Document<'_>,
    one: &Leaves<'_, '_>,
    other: &Leaves<'_, '_>,
    all_common: bool,
    found: &mut Found,
) {
    let common = |document: &Document<'_>, side: &Leaves<'_, '_>| -> Vec<(String, String)> {
        let leaves = document.leaves.iter().filter(|leaf| side.contains_key(leaf.pointer.as_str()));
        leaves.map(|leaf| (leaf.pointer.clone(), leaf.place.clone())).collect()
    };
    let (first, second) = (common(ours, other), common(theirs, one));
    if let Some((a, b)) = first.iter().zip(&second).find(|(a, b)| a.0 != b.0) {
        let shown = |pair: &(String, String)| Some(pair.0.clone().into_bytes());
        found.add(DifferenceKind::BodyOrder, &a.1, shown(a), shown(b));
        return;
    }
    // With an additional or missing member, the text between differs for that reason alone.
    if !all_common {
        return;
    }
    if let Some((a, b)) = ours.between.iter().zip(&theirs.between).find(|(a, b)| a != b) {
        found.add(DifferenceKind::BodyFormat, "", Some(a.to_vec()), Some(b.to_vec()));
    }
}

/// The type of a value, by its first byte. Another type is more than another value: where times are noise, a `null` is
/// still a difference.
fn kind_of(raw: &[u8]) -> u8 {
    match raw.first() {
        Some(b'0'..=b'9' | b'-') => b'0',
        Some(b't' | b'f') => b't',
        Some(first) => *first,
        None => 0,
    }
}

/// Whether two texts are spellings of one value.
fn means_the_same(one: &[u8], other: &[u8]) -> bool {
    if one.first() == Some(&b'"') && other.first() == Some(&b'"') {
        let text = |raw: &[u8]| serde_json::from_slice::<String>(raw).ok();
        return text(one).is_some_and(|one| Some(one) == text(other));
    }
    // Both are empty containers, with other spaces inside.
    if matches!(one.first(), Some(b'{' | b'[')) {
        return true;
    }
    number::exact(one).is_some_and(|one| Some(one) == number::exact(other))
}
