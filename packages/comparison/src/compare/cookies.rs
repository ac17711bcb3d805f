//! Compares `Set-Cookie` by the cookie's name: the value is often random, the attributes never are.

use std::collections::BTreeMap;

use edge_config::edge::DifferenceKind;

use super::Found;
use crate::answer::Answer;

/// One `Set-Cookie`.
struct Cookie<'a> {
    value: &'a [u8],
    /// The attributes in order, each with its name in lower case and as it was written.
    attributes: Vec<(String, &'a [u8])>,
    /// Everything after the value.
    rest: &'a [u8],
}

pub(super) fn compare(reference: &Answer, shadow: &Answer, found: &mut Found) {
    let (one, other) = (names(reference), names(shadow));
    let (ours, theirs) = (by_name(reference), by_name(shadow));
    let none = Vec::new();
    for (name, cookies) in &ours {
        let others = theirs.get(name).unwrap_or(&none);
        for cookie in cookies.iter().skip(others.len()) {
            found.add(DifferenceKind::SetCookieMissing, name, Some(cookie.rest.to_vec()), None);
        }
        for (cookie, other) in cookies.iter().zip(others) {
            if cookie.value != other.value {
                let (reference, shadow) = (Some(cookie.value.to_vec()), Some(other.value.to_vec()));
                found.add(DifferenceKind::SetCookieValue, name, reference, shadow);
            }
            attributes(name, cookie, other, found);
        }
    }
    for (name, cookies) in &theirs {
        let known = ours.get(name).map_or(0, Vec::len);
        for cookie in cookies.iter().skip(known) {
            found.add(DifferenceKind::SetCookieExtra, name, None, Some(cookie.rest.to_vec()));
        }
    }
    let common = |names: Vec<String>, side: &BTreeMap<String, Vec<Cookie<'_>>>| {
        names.into_iter().filter(|name| side.contains_key(name)).collect::<Vec<_>>()
    };
    let (one, other) = (common(one, &theirs), common(other, &ours));
    if let Some((first, instead)) = one.iter().zip(&other).find(|(a, b)| a != b) {
        let (reference, shadow) = (first.clone().into_bytes(), instead.clone().into_bytes());
        found.add(DifferenceKind::HeaderOrder, "set-cookie", Some(reference), Some(shadow));
    }
}

/// Attribute by attribute, so that an `Expires` that moves with the clock does not hide a missing `HttpOnly`.
fn attributes(name: &str, one: &Cookie<'_>, other: &Cookie<'_>, found: &mut Found) {
    if one.rest == other.rest {
        return;
    }
    let mut found_one = false;
    let of = |cookie: &Cookie<'_>, name: &str| {
        cookie.attributes.iter().find(|(n, _)| n == name).map(|(_, text)| text.to_vec())
    };
    for (attribute, _) in one.attributes.iter().chain(&other.attributes) {
        let (ours, theirs) = (of(one, attribute), of(other, attribute));
        if ours != theirs {
            found_one = true;
            found.add(DifferenceKind::SetCookieAttributes, format!("{name}; {attribute}"), ours, theirs);
        }
    }
    let order = |cookie: &Cookie<'_>| cookie.attributes.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    // Other order, other spaces: the same attributes in other bytes.
    if !found_one || (order(one).len() == order(other).len() && order(one) != order(other)) {
        let (reference, shadow) = (Some(one.rest.to_vec()), Some(other.rest.to_vec()));
        found.add(DifferenceKind::SetCookieAttributes, name, reference, shadow);
    }
}

fn lines(answer: &Answer) -> impl Iterator<Item = (String, Cookie<'_>)> {
    answer.headers.iter().filter(|line| line.is("set-cookie")).map(|line| {
        let value = line.value.as_slice();
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (pair, rest) = (value.get(..end).unwrap_or_default(), value.get(end..).unwrap_or_default());
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = String::from_utf8_lossy(pair.get(..equals).unwrap_or_default()).trim().to_owned();
        let attributes = rest.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|a| !a.is_empty());
        let attributes = attributes.map(|text| {
            let name = text.split(|byte| *byte == b'=').next().unwrap_or_default();
            (String::from_utf8_lossy(name).trim().to_ascii_lowercase(), text)
        });
        let value = pair.get(equals + 1..).unwrap_or_default();
        (name, Cookie { value, attributes: attributes.collect(), rest })
    })
}

fn names(answer: &Answer) -> Vec<String> {
    lines(answer).map(|(name, _)| name).collect()
}

fn by_name(answer: &Answer) -> BTreeMap<String, Vec<Cookie<'_>>> {
    let mut named: BTreeMap<String, Vec<Cookie<'_>>> = BTreeMap::new();
    for (name, cookie) in lines(answer) {
        named.entry(name).or_default().push(cookie);
    }
    named
}
