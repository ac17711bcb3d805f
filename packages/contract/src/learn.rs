//! Makes a golden answer from one answer, a second one to the same request, and the rules.

mod lines;

use std::collections::BTreeMap;

use comparison::compare::{Difference, coding, compare, json_values, trailers};
use comparison::overlooked::Overlooked;
use edge_config::edge::DifferenceKind;
use http_wire::answer::{Answer, Body};

use crate::golden::{Content, Recorded, content, is_text, json_template, json_volatile};
use crate::rules::{Place, Rules, Volatile};
use crate::shape::{JsonShape, Shape};
use crate::template::{Template, find, of_both, words};
use lines::lines;

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
    let Inside { content: body, packed_anew } = body(first, second, &volatile, &mut unfit);
    if packed_anew || matches!(&body, Content::Text(template) if template.is_volatile()) {
        free_length(&mut headers);
    }
    let mut recorded = Recorded {
        version: first.version,
        status: first.status,
        reason: first.reason.clone(),
        framing: first.framing,
        headers,
        body,
        packed_anew,
        trailers: end,
    };
    let mut unstable = second.map(|second| unstable(request, &recorded, second, rules)).unwrap_or_default();
    // The comparison has found the same content in both.
    let differ = unstable.len();
    unstable.retain(|difference| difference.kind != DifferenceKind::BodyEncoding);
    if unstable.len() < differ {
        recorded.packed_anew = true;
        free_length(&mut recorded.headers);
        if let Some(text) = packed_text(first) {
            recorded.body = Content::Text(Template::literal(&text));
        }
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

/// A body as it is recorded.
struct Inside {
    content: Content,
    /// Whether the content is what the compressed bytes unpack to.
    packed_anew: bool,
}

fn body(first: &Answer, second: Option<&Answer>, rules: &[&Volatile], unfit: &mut Vec<String>) -> Inside {
    let plain = |content| Inside { content, packed_anew: false };
    if rules.iter().any(|rule| rule.place == Place::Body) {
        return plain(Content::Text(Template::volatile(Shape::Any)));
    }
    if let Some(text) = packed_text(first) {
        let other = second.and_then(packed_text);
        let template = text_template(&text, other.as_deref(), rules, unfit);
        // A volatile value changes every compressed byte after it, so only what is in them can be compared.
        if template.is_volatile() {
            return Inside { content: Content::Text(template), packed_anew: true };
        }
        return plain(content(&first.body));
    }
    let own = content(&first.body);
    let (Content::Text(_), Body::Whole(text)) = (&own, &first.body) else { return plain(own) };
    let other = second.and_then(|second| match &second.body {
        Body::Whole(bytes) => Some(bytes.as_slice()),
        Body::Digest { .. } => None,
    });
    plain(Content::Text(text_template(text, other, rules, unfit)))
}

/// The text in a compressed body; nothing when it is not compressed, or not by a coding that is known, or no text.
fn packed_text(answer: &Answer) -> Option<Vec<u8>> {
    coding::content(answer).filter(|text| is_text(text))
}

fn text_template(
    text: &[u8],
    other: Option<&[u8]>,
    rules: &[&Volatile],
    unfit: &mut Vec<String>,
) -> Template {
    json(text, other, rules, unfit).unwrap_or_else(|| {
        let learned = other.filter(|other| *other != text).map(|other| of_both(text, other));
        rules.iter().fold(learned.unwrap_or_else(|| Template::literal(text)), |template, rule| {
            after(template, rule, unfit)
        })
    })
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
            Place::Header(_)
            | Place::Cookie(_)
            | Place::CookieAttribute { .. }
            | Place::After(_)
            | Place::Body => false,
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
