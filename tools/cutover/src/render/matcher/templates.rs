//! The branch of the route tree for paths with parameters.
//!
//! Envoy can look up the literal beginning of such a path, but what follows a parameter is only in reach of regular
//! expressions, and Envoy tries these one after the other. So many routes behind one beginning are arranged as a search
//! tree: an expression for a range of letters decides which half of them can match at all. Ten thousand routes behind
//! `/t/{tenant}/` cost about twenty short expressions, each linear in the length of the path (RE2).

use std::fmt::Write as _;

use edge_config::edge::{PathMatch, Segment};
use serde_json::{Value, json};

use super::{Leaf, header, object, one};

/// The most routes that are tried one after the other.
const FEW: usize = 4;

/// One segment for a parameter: visible ASCII without `/` and `?`.
const ANY_SEGMENT: &str = "[!-.0->@-~]+";

/// Any bytes, also those that are not UTF-8.
const ANY: &str = r"\C*";

/// The literal beginning of a template, up to its first parameter; `None` for a path without parameters.
pub(super) fn beginning(path: &PathMatch) -> Option<&str> {
    let (beginning, _) = path.path().split_once('{')?;
    path.is_template().then_some(beginning)
}

/// The expression for the whole path, without its query.
pub(super) fn expression(path: &PathMatch) -> String {
    let mut text = String::new();
    for segment in path.segments() {
        push(&mut text, segment);
    }
    match path {
        PathMatch::Exact(_) => text,
        PathMatch::Prefix(_) => format!("{text}(?:/{ANY})?"),
    }
}

/// The fields for templates with one literal `beginning`, the most specific first.
pub(super) fn fields(beginning: &str, leaves: &[Leaf]) -> Vec<Value> {
    let mut before = String::new();
    let mut passed = 0;
    for literal in beginning.trim_end_matches('/').split('/').skip(1) {
        push(&mut before, Segment::Literal(literal));
        passed += 1;
    }
    let open = leaves.iter().map(|leaf| Open { rest: leaf.path.segments().skip(passed).collect(), leaf });
    let mut open: Vec<Open<'_>> = open.collect();
    // Stable, so the order among routes of one path stays as it is.
    open.sort_by(|a, b| a.leaf.path.specificity().cmp(&b.leaf.path.specificity()));
    below(&before, &open)
}

/// A template and the part of it that is not in the expression yet.
#[derive(Clone)]
struct Open<'l> {
    rest: Vec<Segment<'l>>,
    leaf: &'l Leaf,
}

/// The fields for the templates that continue after `before`, an expression for the beginning of a path.
fn below(before: &str, open: &[Open<'_>]) -> Vec<Value> {
    let (mut literals, mut parameters, mut ends) =
        (Vec::<(&str, Vec<Open<'_>>)>::new(), Vec::new(), Vec::new());
    for one in open {
        let further = || Open { rest: one.rest.iter().skip(1).copied().collect(), leaf: one.leaf };
        match one.rest.first() {
            Some(Segment::Literal(text)) => match literals.last_mut() {
                Some((last, group)) if last == text => group.push(further()),
                Some(_) | None => literals.push((text, vec![further()])),
            },
            Some(Segment::Parameter(_)) => parameters.push(further()),
            None => ends.push(one.leaf),
        }
    }
    let mut fields = by_literal(before, &literals);
    if !parameters.is_empty() {
        let after = format!("{before}/{ANY_SEGMENT}");
        let inner = below(&after, &parameters);
        fields.extend(guarded(inner, parameters.len(), || format!("{after}(?:[/?]{ANY})?")));
    }
    fields.extend(ends.into_iter().map(|leaf| leaf.clone().field(path_is(before, &leaf.path))));
    fields
}

/// The fields for templates whose next segment is a literal, sorted by it.
fn by_literal(before: &str, groups: &[(&str, Vec<Open<'_>>)]) -> Vec<Value> {
    let count: usize = groups.iter().map(|(_, open)| open.len()).sum();
    let direct = |(literal, open): &(&str, Vec<Open<'_>>)| {
        let mut after = before.to_owned();
        push(&mut after, Segment::Literal(literal));
        below(&after, open)
    };
    if count <= FEW || groups.len() < 2 {
        return groups.iter().flat_map(direct).collect();
    }
    let common = groups.iter().map(|(literal, _)| *literal).reduce(common_start).unwrap_or_default();
    // Sorted, so a literal that is the common start itself comes first.
    if let Some((first, rest)) = groups.split_first()
        && first.0 == common
    {
        let mut fields = direct(first);
        fields.extend(by_literal(before, rest));
        return fields;
    }
    let next = |(literal, _): &(&str, Vec<Open<'_>>)| literal.as_bytes().get(common.len()).copied();
    let mut passed = 0;
    let middle = groups.iter().position(|group| {
        passed += group.1.len();
        passed * 2 >= count
    });
    // All groups of one letter stay together: the cut is at the end of a letter near the middle, but never at the end.
    let letter = middle.and_then(|at| groups.get(at)).and_then(next);
    let mut cut = groups.iter().position(|group| next(group) > letter).unwrap_or(groups.len());
    if cut == groups.len() {
        cut = groups.iter().position(|group| next(group) == letter).unwrap_or_default();
    }
    let (low, high) = groups.split_at(cut);
    let mut fields = Vec::new();
    for half in [low, high] {
        let (Some(first), Some(last)) = (half.first().and_then(next), half.last().and_then(next)) else {
            continue;
        };
        let size = half.iter().map(|(_, open)| open.len()).sum();
        let mut start = before.to_owned();
        push(&mut start, Segment::Literal(common));
        let range = || format!(r"{start}[\x{first:02x}-\x{last:02x}]{ANY}");
        fields.extend(guarded(by_literal(before, half), size, range));
    }
    fields
}

/// `fields` for `count` routes, behind `expression` unless they are few.
fn guarded(fields: Vec<Value>, count: usize, expression: impl Fn() -> String) -> Vec<Value> {
    if count <= FEW {
        return fields;
    }
    let inner = json!({ "matcher_list": { "matchers": fields } });
    vec![object([("predicate", matches(&expression())), ("on_match", object([("matcher", inner)]))])]
}

fn common_start<'t>(one: &'t str, other: &'t str) -> &'t str {
    let length = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    one.get(..length).unwrap_or_default()
}

fn push(expression: &mut String, segment: Segment<'_>) {
    expression.push('/');
    match segment {
        Segment::Parameter(_) => expression.push_str(ANY_SEGMENT),
        Segment::Literal(text) => {
            for c in text.chars() {
                if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | ':') {
                    expression.push(c);
                } else {
                    // Writing to a String cannot fail.
                    let _ = write!(expression, r"\x{:02x}", u32::from(c));
                }
            }
        }
    }
}

/// The condition that a path with its query has the segments of `before` and ends as `path` allows.
fn path_is(before: &str, path: &PathMatch) -> Value {
    let end = match path {
        PathMatch::Exact(_) => "[?]",
        PathMatch::Prefix(_) => "[/?]",
    };
    matches(&format!("{before}(?:{end}{ANY})?"))
}

fn matches(expression: &str) -> Value {
    one(&header("path", ":path"), &json!({ "safe_regex": { "google_re2": {}, "regex": expression } }))
}
