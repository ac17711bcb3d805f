//! Header lines and trailers: what is volatile in the value of each.

use std::collections::BTreeMap;

use http_wire::answer::Line;

use crate::golden::line_key;
use crate::rules::{Place, Volatile};
use crate::shape::Shape;
use crate::template::{Template, of_both};

/// The lines with their volatile parts. The n-th line of a name belongs to the n-th one of that name in the second answer.
pub(super) fn lines(
    own: &[Line],
    again: Option<&[Line]>,
    rules: &[&Volatile],
    unfit: &mut Vec<String>,
) -> Vec<(Vec<u8>, Template)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = Vec::with_capacity(own.len());
    for line in own {
        let key = line_key(&line.name, &line.value);
        let number = seen.entry(key.clone()).or_default();
        let partner = again.and_then(|again| {
            again.iter().filter(|other| line_key(&other.name, &other.value) == key).nth(*number)
        });
        *number += 1;
        let template = match key.strip_prefix("set-cookie ") {
            Some(cookie) => set_cookie(line, cookie, partner, rules, unfit),
            None => value(line, &key, partner, rules, unfit),
        };
        out.push((line.name.clone(), template));
    }
    out
}

fn value(
    line: &Line,
    key: &str,
    partner: Option<&Line>,
    rules: &[&Volatile],
    unfit: &mut Vec<String>,
) -> Template {
    let rule = rules.iter().find(|rule| matches!(&rule.place, Place::Header(name) if name == key));
    match rule {
        Some(rule) => declared(&line.value, rule, key, unfit),
        None if key == "date" && Shape::HttpDate.is_of(&line.value) => Template::volatile(Shape::HttpDate),
        None => learned(&line.value, partner.map(|partner| partner.value.as_slice())),
    }
}

/// A `Set-Cookie`. What is declared about its value says nothing about its attributes, which stay under comparison, and what is
/// declared about one attribute nothing about the others.
fn set_cookie(
    line: &Line,
    cookie: &str,
    partner: Option<&Line>,
    rules: &[&Volatile],
    unfit: &mut Vec<String>,
) -> Template {
    let of_value = rules.iter().find(|rule| match &rule.place {
        Place::Header(name) => name == "set-cookie",
        Place::Cookie(name) => name == cookie,
        Place::CookieAttribute { .. } | Place::Json(_) | Place::After(_) | Place::Body => false,
    });
    let of_attribute = |name: &str| {
        rules.iter().find(|rule| match &rule.place {
            Place::CookieAttribute { cookie: of, attribute } => of == cookie && attribute == name,
            Place::Header(_) | Place::Cookie(_) | Place::Json(_) | Place::After(_) | Place::Body => false,
        })
    };
    let parts = parts(&line.value);
    let others = partner.map(|partner| self::parts(&partner.value));
    // With other attributes in the second answer, no part has a partner: all of the line is learned as one text.
    let same = others.filter(|others| {
        others.len() == parts.len() && parts.iter().zip(others).all(|(own, other)| own.0 == other.0)
    });
    if let Some(partner) = partner.filter(|_| same.is_none()) {
        return of_both(&line.value, &partner.value);
    }
    let mut out = Template::default();
    for (index, (before, own)) in parts.iter().enumerate() {
        let other = same.as_ref().and_then(|same| same.get(index)).map(|(_, other)| *other);
        let name = attribute_name(before);
        let rule = if index == 0 { of_value } else { of_attribute(&name) };
        let template = match rule {
            Some(rule) => {
                let place = if index == 0 { String::new() } else { format!("; {name}") };
                declared(own, rule, &format!("set-cookie {cookie}{place}"), unfit)
            }
            None => learned(own, other),
        };
        out = out.and(before).and_all(&template);
    }
    out
}

/// The value with its shape, if it has the declared one.
fn declared(own: &[u8], rule: &Volatile, place: &str, unfit: &mut Vec<String>) -> Template {
    if rule.shape.is_of(own) {
        return Template::volatile(rule.shape);
    }
    unfit.push(format!("{place}: the value does not have the shape `{}` of its rule", rule.shape));
    Template::literal(own)
}

fn learned(own: &[u8], other: Option<&[u8]>) -> Template {
    match other {
        Some(other) if other != own => of_both(own, other),
        Some(_) | None => Template::literal(own),
    }
}

/// The value of a `Set-Cookie` in pieces: the bytes up to an `=`, and the value after it, up to the next `;`. One without `=`
/// has an empty value.
fn parts(line: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut parts = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        // The `;` that ended the part before stands at the beginning of this one.
        let end = rest.iter().skip(1).position(|byte| *byte == b';').map_or(rest.len(), |at| at + 1);
        let (part, after) = rest.split_at(end);
        let equals = part.iter().position(|byte| *byte == b'=').map_or(part.len(), |at| at + 1);
        parts.push(part.split_at(equals));
        rest = after;
    }
    parts
}

/// `expires` of `; Expires=`.
fn attribute_name(before: &[u8]) -> String {
    let name = before.strip_suffix(b"=").unwrap_or(before);
    let name = name.strip_prefix(b";").unwrap_or(name).trim_ascii();
    String::from_utf8_lossy(name).to_ascii_lowercase()
}
