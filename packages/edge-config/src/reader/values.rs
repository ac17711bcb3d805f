//! The values of fields: text, names, numbers, sizes, times, choices and paths, each read with a fault for every other form.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{Context, DEFAULT_HOME};
use crate::edge::{InvalidPercent, Percent};
use crate::fault::{Place, suggest};
use crate::node::{Node, Value};
use crate::notes::Shape;

pub(super) const NAME_RULE: &str =
    "names have 1 to 64 lower-case letters, digits and `-`, and begin with a letter or digit";

/// Whether `name` is a valid name in the edge file.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
}

/// Text, exactly as written.
pub(crate) fn text<'a>(context: Context<'a>, node: &'a Node, what: &str) -> Option<&'a str> {
    context.expects(node, || Shape::Text);
    text_of(context, node, what)
}

fn text_of<'a>(context: Context<'a>, node: &'a Node, what: &str) -> Option<&'a str> {
    match &node.value {
        Value::Text(text) => Some(text),
        value @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_)) => {
            context.faults.report(
                node.place,
                format!("{what} is {}", value.kind()),
                "write text, in quotes if necessary",
            );
            None
        }
    }
}

/// A name in the edge file.
pub(crate) fn name(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    context.expects(node, || Shape::Name);
    let text = text_of(context, node, what)?;
    if is_name(text) {
        return Some(text.to_owned());
    }
    context.faults.report(node.place, format!("{what} {text:?} is not a valid name"), NAME_RULE);
    None
}

/// `true` or `false`.
pub(crate) fn boolean(context: Context<'_>, node: &Node, what: &str) -> Option<bool> {
    context.expects(node, || Shape::Boolean);
    match &node.value {
        Value::Bool(value) => Some(*value),
        value @ (Value::Null
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_)) => {
            context.faults.report(node.place, format!("{what} is {}", value.kind()), "write true or false");
            None
        }
    }
}

/// A whole number within bounds.
pub(crate) fn number(context: Context<'_>, node: &Node, what: &str, least: u64, most: u64) -> Option<u64> {
    context.expects(node, || Shape::Number { least, most });
    if let Value::Int(number) = node.value
        && let Ok(number) = u64::try_from(number)
        && (least..=most).contains(&number)
    {
        return Some(number);
    }
    let shown = if let Value::Int(n) = node.value { n.to_string() } else { node.value.kind().to_owned() };
    context.faults.report(
        node.place,
        format!("{what} is {shown}"),
        format!("write a whole number from {least} to {most}"),
    );
    None
}

/// A percentage from 0 to 100 with at most three decimals.
pub(crate) fn percent(context: Context<'_>, node: &Node, what: &str) -> Option<Percent> {
    context.expects(node, || Shape::Percent);
    // The shortest text of a decimal number is the one in the file, without zeros at the end.
    let text = match &node.value {
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other @ (Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_)) => {
            other.kind().to_owned()
        }
    };
    let percent = text.parse().ok();
    if percent.is_none() {
        context.faults.report(node.place, format!("{what} is {text}"), InvalidPercent.to_string());
    }
    percent
}

/// A size in bytes, within bounds: a number, or text such as `256KiB`.
pub(crate) fn bytes(context: Context<'_>, node: &Node, what: &str, least: u64, most: u64) -> Option<u64> {
    let Value::Text(text) = &node.value else { return number(context, node, what, least, most) };
    context.expects(node, || Shape::Text);
    let (digits, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1_024),
        (None, Some(digits)) => (digits, 1_024 * 1_024),
        (None, None) => ("", 1),
    };
    let size = digits.trim_end().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let size = size.filter(|size| (least..=most).contains(size));
    if size.is_none() {
        let mend = format!("write a size of {least} to {most} bytes, such as 65536 or `64KiB`");
        context.faults.report(node.place, format!("{what} is {text:?}"), mend);
    }
    size
}

/// Whether `node` is a number, of whatever kind.
pub(crate) const fn is_number(node: &Node) -> bool {
    matches!(node.value, Value::Int(_) | Value::Float(_))
}

/// A duration in milliseconds, within bounds.
pub(crate) fn millis(
    context: Context<'_>,
    node: &Node,
    what: &str,
    least: u64,
    most: u64,
) -> Option<Duration> {
    number(context, node, what, least, most).map(Duration::from_millis)
}

/// Text in which `${NAME:-default}` is replaced from the environment, parsed.
pub(crate) fn parsed<T: FromStr>(context: Context<'_>, node: &Node, what: &str, mend: &str) -> Option<T> {
    context.expects(node, || Shape::Expanded(std::any::type_name::<T>()));
    let raw = text_of(context, node, what)?;
    let text = expand(context, node.place, raw)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let shown = if text == raw { format!("{text:?}") } else { format!("{text:?} (from {raw:?})") };
        context.faults.report(node.place, format!("{what} is {shown}"), mend);
    }
    parsed
}

/// Replaces `${NAME}` and `${NAME:-default}`; an empty variable counts as unset, as in a shell's `:-`.
fn expand(context: Context<'_>, place: Place, text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, tail)) = after.split_once('}') else {
            context.faults.report(
                place,
                format!("{text:?} opens `${{` and does not close it"),
                "write `${NAME:-default}`",
            );
            return None;
        };
        let (variable, default) = match inside.split_once(":-") {
            Some((variable, default)) => (variable, Some(default)),
            None => (inside, None),
        };
        let value = (context.environment)(variable).filter(|value| !value.is_empty());
        let own = (variable == "CUTOVER_HOME").then_some(DEFAULT_HOME);
        let Some(value) = value.or_else(|| default.or(own).map(str::to_owned)) else {
            context.faults.report(
                place,
                format!("the environment variable {variable} is not set"),
                format!("set it, or give a default: `${{{variable}:-…}}`"),
            );
            return None;
        };
        out.push_str(before);
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Some(out)
}

/// One of a few words, each with its meaning.
pub(crate) fn choice<T: Copy>(
    context: Context<'_>,
    node: &Node,
    what: &str,
    choices: &[(&'static str, T)],
) -> Option<T> {
    context.expects(node, || Shape::Choice(choices.iter().map(|(name, _)| *name).collect()));
    let text = text_of(context, node, what)?;
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let mend = suggest(text, choices.iter().map(|(name, _)| *name));
        context.faults.report(node.place, format!("{what} is {text:?}"), mend);
    }
    found
}

/// A path of the file system.
pub(crate) fn path(context: Context<'_>, node: &Node, what: &str) -> Option<PathBuf> {
    let text: String = parsed(context, node, what, "write a path")?;
    if text.is_empty() {
        context.faults.report(node.place, format!("{what} is empty"), "write a path");
        return None;
    }
    Some(PathBuf::from(text))
}

/// The name of a cookie.
pub(crate) fn cookie_name(context: Context<'_>, node: &Node) -> Option<String> {
    let text = text(context, node, "the cookie's name")?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(token) {
        return Some(text.to_owned());
    }
    context.faults.report(
        node.place,
        format!("the cookie's name is {text:?}"),
        "write a token (RFC 6265 §4.1.1)",
    );
    None
}
