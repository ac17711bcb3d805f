//! The paths of routes and internal paths: `exact`, `prefix` and `path`.

use crate::edge::{PathMatch, Segment};
use crate::fault::Place;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

/// The longest path in segments. A lookup goes at most this deep, and no API needs more.
const MAX_SEGMENTS: usize = 64;

/// The most parameters of a path. Each can double the places in which a lookup has to look.
const MAX_PARAMETERS: usize = 8;

/// What a field accepts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `exact`: no parameters.
    Exact,
    /// `prefix`: parameters, and no slash at the end.
    Prefix,
    /// `path`: parameters.
    Path,
}

/// Reads the one field of `exact`, `prefix` and `path` that the mapping at `place` has.
pub(crate) fn read(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    place: Place,
    what: &str,
) -> Option<PathMatch> {
    let (exact, prefix, path) =
        (fields.optional("exact"), fields.optional("prefix"), fields.optional("path"));
    match (exact, prefix, path) {
        (Some(node), None, None) => one(context, node, what, Form::Exact).map(PathMatch::Exact),
        (None, Some(node), None) => one(context, node, what, Form::Prefix).map(PathMatch::Prefix),
        (None, None, Some(node)) => one(context, node, what, Form::Path).map(PathMatch::Exact),
        (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            let problem = format!("{what} needs one of `exact`, `prefix` and `path`");
            context.faults.report(place, problem, "give exactly one of them");
            None
        }
    }
}

/// Reads a path that has only one spelling. A client may send any path, but a route must be written in one way.
fn one(context: Context<'_>, node: &Node, what: &str, form: Form) -> Option<String> {
    let text = reader::text(context, node, &format!("the path of {what}"))?;
    let report = |mend: &str| {
        context.faults.report(node.place, format!("the path of {what} is {text:?}"), mend);
        None
    };
    if !text.starts_with('/') {
        return report("begin it with `/`");
    }
    if text.contains('*') {
        return report("name a parameter for a whole segment, such as `/users/{user}`, or use `prefix`");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic())
        || text.contains(['%', '?', '#', '\\', ';', '"', '<', '>', '|', '^', '`'])
    {
        return report("write the plain path: visible ASCII without escapes, query, parameters or wildcards");
    }
    if text.contains("//") || text.split('/').any(|segment| segment == "." || segment == "..") {
        return report("write it without empty, `.` or `..` segments");
    }
    if text.split('/').skip(1).count() > MAX_SEGMENTS {
        return report(&format!("write at most {MAX_SEGMENTS} segments"));
    }
    if text.contains(['{', '}'])
        && let Err(mend) = check_parameters(text, form)
    {
        return report(&mend);
    }
    if form == Form::Prefix && text != "/" && text.ends_with('/') {
        context.faults.report(
            node.place,
            format!("the prefix {text:?} ends with `/`"),
            "leave the slash out: a prefix takes whole segments, including the path itself",
        );
        return None;
    }
    Some(text.to_owned())
}

/// Checks the parameters of a path with braces.
///
/// # Errors
/// How to fix it.
fn check_parameters(text: &str, form: Form) -> Result<(), String> {
    if form == Form::Exact {
        return Err(format!(
            "`exact` has no parameters: write `path: {text:?}` to let `{{…}}` stand for one segment"
        ));
    }
    let path = PathMatch::Exact(text.to_owned());
    let mut names: Vec<&str> = Vec::new();
    for segment in path.segments() {
        match segment {
            Segment::Literal(text) if text.contains(['{', '}']) => {
                return Err(format!(
                    "a parameter is a whole segment, and `{text}` is only partly one: write `/{{name}}/`"
                ));
            }
            Segment::Literal(_) => {}
            Segment::Parameter("") => {
                return Err("give each parameter a name, such as `{user}`".to_owned());
            }
            Segment::Parameter(name) if !is_parameter(name) => {
                return Err(format!(
                    "the parameter `{{{name}}}` is not a valid name: write 1 to 64 letters, digits, `-` and `_`"
                ));
            }
            Segment::Parameter(name) if names.contains(&name) => {
                return Err(format!("`{{{name}}}` is there twice: give each parameter its own name"));
            }
            Segment::Parameter(name) => names.push(name),
        }
    }
    if names.len() > MAX_PARAMETERS {
        return Err(format!("name at most {MAX_PARAMETERS} parameters"));
    }
    Ok(())
}

/// Whether `name` is a valid name of a parameter.
pub(crate) fn is_parameter(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The section `internal_paths`.
pub(crate) fn internal(context: Context<'_>, node: &Node) -> Vec<PathMatch> {
    let mut paths = Vec::new();
    for element in reader::list(context, node, "`internal_paths`") {
        let mut fields = Fields::of(context, element, "an internal path");
        let path = read(context, &mut fields, element.place, "an internal path");
        if let Some(PathMatch::Prefix(prefix)) = &path
            && prefix == "/"
        {
            context.faults.report(
                element.place,
                "the internal path `/` would close every public route",
                "name the internal paths alone",
            );
        }
        paths.extend(path);
        fields.finish();
    }
    paths
}
