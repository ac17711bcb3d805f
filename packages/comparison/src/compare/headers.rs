//! Compares header lines by number, values, case and order. `Set-Cookie` has rules of its own.

use std::collections::BTreeMap;

use edge_config::edge::DifferenceKind;

use super::Found;
use crate::answer::{Answer, Framing, Line};

/// Headers that belong to each hop (RFC 9110 §7.6.1) and not to the answer.
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"];

pub(super) fn compare(reference: &Answer, shadow: &Answer, found: &mut Found) {
    // The length of a body is compared with the body. After HEAD there is only the length; if only one of the two has it,
    // that is framing.
    let states = |answer: &Answer| answer.header("content-length").is_some();
    let without_body = reference.framing == Framing::None && shadow.framing == Framing::None;
    let length_counts = without_body && states(reference) && states(shadow);
    let counts = |line: &&Line| {
        !HOP_BY_HOP.iter().any(|name| line.is(name)) && (length_counts || !line.is("content-length"))
    };
    let one: Vec<&Line> = reference.headers.iter().filter(counts).collect();
    let other: Vec<&Line> = shadow.headers.iter().filter(counts).collect();
    lines(&one, &other, found);
}

/// Compares the trailers, which have the same rules.
pub(super) fn trailers(reference: &Answer, shadow: &Answer, found: &mut Found) {
    let (one, other): (Vec<&Line>, Vec<&Line>) =
        (reference.trailers.iter().collect(), shadow.trailers.iter().collect());
    lines(&one, &other, found);
}

fn lines(one: &[&Line], other: &[&Line], found: &mut Found) {
    let (ours, theirs) = (by_name(one), by_name(other));
    for (name, lines) in &ours {
        if name != "set-cookie" {
            named(name, lines, theirs.get(name).map(Vec::as_slice).unwrap_or_default(), found);
        }
        case(name, lines, theirs.get(name).map(Vec::as_slice).unwrap_or_default(), found);
    }
    for (name, lines) in theirs.iter().filter(|(name, _)| !ours.contains_key(*name) && *name != "set-cookie")
    {
        named(name, &[], lines, found);
    }
    order(one, other, &ours, &theirs, found);
}

fn by_name<'a>(lines: &[&'a Line]) -> BTreeMap<String, Vec<&'a Line>> {
    let mut named: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        named.entry(line.lower()).or_default().push(line);
    }
    named
}

/// Compares the lines of one name.
fn named(name: &str, ours: &[&Line], theirs: &[&Line], found: &mut Found) {
    let value = |line: &&Line| Some(line.value.clone());
    for line in ours.iter().skip(theirs.len()) {
        found.add(DifferenceKind::HeaderMissing, name, value(line), None);
    }
    for line in theirs.iter().skip(ours.len()) {
        found.add(DifferenceKind::HeaderExtra, name, None, value(line));
    }
    // Its value is the moment of the answer by definition (RFC 9110 §6.6.1).
    if name == "date" {
        return;
    }
    let sorted = |lines: &[&Line]| {
        let mut values: Vec<Vec<u8>> = lines.iter().map(|line| line.value.clone()).collect();
        values.sort();
        values
    };
    let same = |(one, other): (&&Line, &&Line)| one.value == other.value;
    if ours.len() == theirs.len() && !ours.iter().zip(theirs).all(same) && sorted(ours) == sorted(theirs) {
        found.add(
            DifferenceKind::HeaderOrder,
            name,
            ours.first().and_then(value),
            theirs.first().and_then(value),
        );
        return;
    }
    for (one, other) in ours.iter().zip(theirs).filter(|(one, other)| one.value != other.value) {
        found.add(DifferenceKind::HeaderValue, name, value(one), value(other));
    }
}

fn case(name: &str, ours: &[&Line], theirs: &[&Line], found: &mut Found) {
    for (one, other) in ours.iter().zip(theirs).filter(|(one, other)| one.name != other.name) {
        found.add(DifferenceKind::HeaderCase, name, Some(one.name.clone()), Some(other.name.clone()));
    }
}

type Named<'a> = BTreeMap<String, Vec<&'a Line>>;

/// Compares the order of the lines that both have: a missing line moves no other.
fn order(one: &[&Line], other: &[&Line], ours: &Named<'_>, theirs: &Named<'_>, found: &mut Found) {
    let common = |lines: &[&Line]| {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut names = Vec::new();
        for line in lines {
            let name = line.lower();
            let count = |side: &Named<'_>| side.get(&name).map_or(0, Vec::len);
            let least = count(ours).min(count(theirs));
            let so_far = seen.entry(name.clone()).or_default();
            *so_far += 1;
            if *so_far <= least {
                names.push(name);
            }
        }
        names
    };
    let (one, other) = (common(one), common(other));
    if let Some((first, instead)) = one.iter().zip(&other).find(|(a, b)| a != b) {
        let (reference, shadow) = (first.clone().into_bytes(), instead.clone().into_bytes());
        found.add(DifferenceKind::HeaderOrder, "", Some(reference), Some(shadow));
    }
}
