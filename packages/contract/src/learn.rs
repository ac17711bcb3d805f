//! Makes a golden answer from one answer, a second one to the same request, and the rules.

use std::collections::BTreeMap;

use comparison::compare::{Difference, compare, json_values, trailers};
use comparison::overlooked::Overlooked;
use edge_config::edge::DifferenceKind;
use http_wire::answer::{Answer, Body, Line};

use crate::golden::{Content, Recorded, content, json_template, json_volatile, line_key};
use crate::rules::{Place, Rules, Volatile};
use crate::shape::{JsonShape, Shape};
use crate::template::{Template, find, of_both, words};

/// A golden answer, and why it may not be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The answer with its volatile parts.
    pub recorded: Recorded,
    /// Rules whose shape the value does not have, as sentences.
    pub unfit: Vec<String>,
    /// The places at which the second answer differs from the first in a way that no shape covers.
    pub unstable: Vec<String>,
}

/// Learns from `first` and `second`. Without a second answer only the rules say what is volatile.
#[must_use]
pub fn learn(request: &str, first: &Answer, second: Option<&Answer>, rules: &Rules) -> Learned {
    let volatile: Vec<&Volatile> = rules.volatile_of(request).collect();
    let mut unfit = Vec::new();
    let mut headers =
        lines(&first.headers, second.map(|answer| answer.headers.as_slice()), &volatile, &mut unfit);
    let end = lines(&first.trailers, second.map(|answer| answer.trailers.as_slice()), &volatile, &mut unfit);
    let body = body(first, second, &volatile, &mut unfit);
    if matches!(&body, Content::Text(template) if template.is_volatile()) {
        free_length(&mut headers);
    }
    let mut recorded = Recorded {
        version: first.version,
        status: first.status,
        reason: first.reason.clone(),
        framing: first.framing,
        headers,
        body,
        packed_anew: false,
        trailers: end,
    };
    let mut unstable = second.map(|second| unstable(request, &recorded, second, rules)).unwrap_or_default();
    // The comparison has found the same content in both.
    let differ = unstable.len();
    unstable.retain(|difference| difference.kind != DifferenceKind::BodyEncoding);
    recorded.packed_anew = unstable.len() < differ;
    if recorded.packed_anew {
        free_length(&mut recorded.headers);
    }
    let unstable =
        unstable.iter().map(|one| format!("{} {}", one.kind, one.place).trim_end().to_owned()).collect();
    Learned { recorded, unfit, unstable }
}

/// Lets any length pass: it follows the body, which is compared itself.
fn free_length(headers: &mut [(Vec<u8>, Template)]) {
    let of_length = headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
    of_length.for_each(|(_, value)| *value = Template::volatile(Shape::Integer));
}

/// Where `second` still differs from what was recorded.
fn unstable(request: &str, recorded: &Recorded, second: &Answer, rules: &Rules) -> Vec<Difference> {
    let ignored = rules.ignored_of(request);
    let overlooked = Overlooked::listed(&ignored, request);
    let (mut one, mut other) = (recorded.answer(), recorded.normal(second));
    overlooked.strip(&mut one);
    overlooked.strip(&mut other);
    let mut differences = compare(&one, &other).differences;
    if !rules.ignores_trailers {
        differences.extend(trailers(&one, &other));
    }
    differences.retain(|difference| !overlooked.covers(difference));
    differences
}

fn lines(
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
        out.push((line.name.clone(), value(line, &key, partner, rules, unfit)));
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
    let cookie = key.strip_prefix("set-cookie ");
    // The rest of a `Set-Cookie`, its attributes, stays under comparison whatever is declared about its value.
    let (head, own, rest) = cookie.map_or((&[][..], line.value.as_slice(), &[][..]), |_| cookie_parts(line));
    let rule = rules.iter().find(|rule| match &rule.place {
        Place::Header(name) => name == key || (cookie.is_some() && name == "set-cookie"),
        Place::Cookie(name) => cookie == Some(name.as_str()),
        Place::Json(_) | Place::After(_) | Place::Body => false,
    });
    let learned = |own: &[u8], other: Option<&[u8]>| match other {
        Some(other) if other != own => of_both(own, other),
        Some(_) | None => Template::literal(own),
    };
    let Some(rule) = rule else {
        let is_date = key == "date" && Shape::HttpDate.is_of(&line.value);
        if is_date {
            return Template::volatile(Shape::HttpDate);
        }
        return learned(&line.value, partner.map(|partner| partner.value.as_slice()));
    };
    let template = if rule.shape.is_of(own) {
        Template::volatile(rule.shape)
    } else {
        unfit.push(format!("{key}: the value does not have the shape `{}` of its rule", rule.shape));
        Template::literal(own)
    };
    let again = partner.map(cookie_parts).map(|(_, _, rest)| rest);
    let rest = if cookie.is_some() { learned(rest, again) } else { Template::literal(rest) };
    Template::literal(head).and_all(&template).and_all(&rest)
}

/// `sid=`, the value, and the attributes.
fn cookie_parts(line: &Line) -> (&[u8], &[u8], &[u8]) {
    let end = line.value.iter().position(|byte| *byte == b';').unwrap_or(line.value.len());
    let (pair, rest) = line.value.split_at(end);
    let equals = pair.iter().position(|byte| *byte == b'=').map_or(pair.len(), |at| at + 1);
    let (head, value) = pair.split_at(equals);
    (head, value, rest)
}

fn body(first: &Answer, second: Option<&Answer>, rules: &[&Volatile], unfit: &mut Vec<String>) -> Content {
    let own = content(&first.body);
    if rules.iter().any(|rule| rule.place == Place::Body) {
        return Content::Text(Template::volatile(Shape::Any));
    }
    let (Content::Text(_), Body::Whole(text)) = (&own, &first.body) else { return own };
    let other = second.and_then(|second| match &second.body {
        Body::Whole(bytes) => Some(bytes.as_slice()),
        Body::Digest { .. } => None,
    });
    let template = json(text, other, rules, unfit).unwrap_or_else(|| {
        let learned = other.filter(|other| other != text).map(|other| of_both(text, other));
        rules.iter().fold(learned.unwrap_or_else(|| Template::literal(text)), |template, rule| {
            after(template, rule, unfit)
        })
    });
    Content::Text(template)
}

/// JSON: a value is volatile by its place.
fn json(text: &[u8], other: Option<&[u8]>, rules: &[&Volatile], unfit: &mut Vec<String>) -> Option<Template> {
    let others = other.and_then(|other| Some((other, json_values(other)?)));
    if other.is_some() && others.is_none() {
        return None;
    }
    let mut by_pointer: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    if let Some((other, values)) = &others {
        for value in values {
            let raw = other.get(value.span.clone()).unwrap_or_default();
            by_pointer.entry(&value.pointer).or_default().push(raw);
        }
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    json_template(text, |value, raw| {
        let number = seen.entry(value.pointer.clone()).or_default();
        let partner = by_pointer.get(value.pointer.as_str()).and_then(|all| all.get(*number)).copied();
        *number += 1;
        let rule = rules.iter().find(|rule| match &rule.place {
            Place::Json(pointer) => comparison::overlooked::is_below(&value.place, pointer),
            Place::Header(_) | Place::Cookie(_) | Place::After(_) | Place::Body => false,
        });
        if let Some(rule) = rule {
            // In JSON `any` is any value, and not only any text.
            let shape = if rule.shape == Shape::Any { Shape::Json(JsonShape::Any) } else { rule.shape };
            let fits = match (shape, inner(raw)) {
                (Shape::Json(_), _) => shape.is_of(raw),
                (shape, Some(text)) => shape.is_of(text),
                (_, None) => false,
            };
            if fits {
                return Some(json_volatile(shape));
            }
            let place = &value.place;
            unfit.push(format!("{place}: the value does not have the shape `{}` of its rule", rule.shape));
            return None;
        }
        let other = partner.filter(|other| *other != raw)?;
        Some(match (inner(raw), inner(other)) {
            (Some(one), Some(other)) => Template::literal(b"\"").and_all(&of_both(one, other)).and(b"\""),
            _ => json_volatile(Shape::of_json(raw, other)),
        })
    })
}

/// A JSON text without its quotation marks.
fn inner(raw: &[u8]) -> Option<&[u8]> {
    raw.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Declares the word after a text volatile, wherever it occurs.
fn after(template: Template, rule: &Volatile, unfit: &mut Vec<String>) -> Template {
    let Place::After(mark) = &rule.place else { return template };
    let mut out = Template::default();
    let mut found = false;
    for (literal, shape) in template.parts() {
        let mut rest = literal;
        while let Some(at) = find(rest, mark.as_bytes()).map(|at| at + mark.len()) {
            let (before, behind) = rest.split_at(at.min(rest.len()));
            out = out.and(before);
            // At the end of a literal the word is volatile already.
            let word = words(behind).first().map_or(&[][..], |word| *word);
            found |= !word.is_empty() || shape.is_some();
            rest = behind.get(word.len()..).unwrap_or_default();
            if word.is_empty() {
                break;
            }
            if rule.shape.is_of(word) {
                out = out.and_volatile(rule.shape);
            } else {
                unfit.push(format!("after {mark:?}: the word does not have the shape `{}`", rule.shape));
                out = out.and(word);
            }
        }
        out = out.and(rest);
        if let Some(shape) = shape {
            out = out.and_volatile(shape);
        }
    }
    if !found && rule.request.is_some() {
        unfit.push(format!("the body does not have {mark:?}"));
    }
    out
}

#[cfg(test)]
mod tests;
