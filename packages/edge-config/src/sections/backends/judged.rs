//! The answers of a backend that count as failures or as refusals.

use std::collections::BTreeSet;

use crate::edge::{GRPC_STATUSES, GrpcErrors, SignIn};
use crate::fault::suggest;
use crate::node::{Node, Value};
use crate::notes::Shape;
use crate::reader::{self, Context};

/// `grpc_errors: [unavailable, 13]`. An empty list is allowed: then no gRPC status is a failure.
pub(super) fn grpc_errors(context: Context<'_>, node: &Node, what: &str) -> GrpcErrors {
    let mut statuses = BTreeSet::new();
    for element in reader::list(context, node, &format!("`grpc_errors` of {what}")) {
        let Some(status) = status(context, element, what) else { continue };
        if !statuses.insert(status) {
            let problem = format!("`grpc_errors` of {what} lists {status} twice, as a number or by its name");
            context.faults.report(element.place, problem, "list it once");
        }
    }
    GrpcErrors(statuses)
}

fn status(context: Context<'_>, node: &Node, what: &str) -> Option<u8> {
    context.expects(node, || Shape::Number { least: 1, most: 16 });
    context.expects(node, || Shape::Choice(GRPC_STATUSES.into_iter().skip(1).collect()));
    const MEND: &str = "write a status from 1 to 16, or its name, such as unavailable";
    let found = match &node.value {
        Value::Int(number) => u8::try_from(*number).ok().filter(|number| (1..=16).contains(number)),
        Value::Text(name) => {
            let at = GRPC_STATUSES.iter().position(|known| *known == name.to_ascii_lowercase());
            let number = at.and_then(|at| u8::try_from(at).ok());
            if number.is_none() {
                let mend = suggest(name, GRPC_STATUSES.into_iter().skip(1));
                let problem = format!("`grpc_errors` of {what} has {name:?}, which is not a gRPC status");
                context.faults.report(node.place, problem, mend);
                return None;
            }
            number
        }
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
            let problem = format!("`grpc_errors` of {what} has {}", node.value.kind());
            context.faults.report(node.place, problem, MEND);
            return None;
        }
    };
    match found {
        Some(0) | None => {
            let shown = match &node.value {
                Value::Int(number) => number.to_string(),
                Value::Text(_)
                | Value::Null
                | Value::Bool(_)
                | Value::Float(_)
                | Value::List(_)
                | Value::Map(_) => "ok".to_owned(),
            };
            let problem = format!("`grpc_errors` of {what} has {shown}, which cannot be an error");
            context.faults.report(node.place, problem, MEND);
            None
        }
        found => found,
    }
}

/// Longer than the path of any sign-in page.
const MAX_SIGN_IN_BYTES: usize = 256;

/// `sign_in: [/login, https://id.example.com/]`.
pub(super) fn sign_in(context: Context<'_>, node: &Node, what: &str) -> Vec<SignIn> {
    let mut pages = Vec::new();
    let elements = reader::list(context, node, &format!("`sign_in` of {what}"));
    if matches!(&node.value, Value::List(elements) if elements.is_empty()) {
        let problem = format!("`sign_in` of {what} has no page");
        context.faults.report(
            node.place,
            problem,
            "list the pages of its redirects, such as /login, or remove it",
        );
    }
    for element in elements {
        let Some(text) = reader::text(context, element, &format!("a page in `sign_in` of {what}")) else {
            continue;
        };
        if let Some(mend) = wrong_page(text) {
            context.faults.report(element.place, format!("`sign_in` of {what} has {text:?}"), mend);
            continue;
        }
        let page = SignIn(text.to_owned());
        if pages.contains(&page) {
            let problem = format!("`sign_in` of {what} lists {text:?} twice");
            context.faults.report(element.place, problem, "list it once");
            continue;
        }
        pages.push(page);
    }
    pages
}

/// The fix for a text that is not the beginning of a `Location`.
fn wrong_page(text: &str) -> Option<&'static str> {
    // `%` could start a second spelling of a letter; quotes would end the text in the log's expression.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/.-_~:@!$&()*+,;=[]".contains(&b);
    let after_scheme = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_path = text.starts_with('/') && !text.starts_with("//");
    if text.contains(['?', '#']) {
        Some("write it without a query and fragment: it matches every query")
    } else if !is_path && after_scheme.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some("begin it with `/`, or write a whole URL, such as https://id.example.com/login")
    } else if text == "/" {
        Some("name the page: with `/` every redirect would be a refusal")
    } else if text.len() > MAX_SIGN_IN_BYTES {
        Some("write at most 256 characters: a beginning is enough")
    } else if text.bytes().all(plain) {
        None
    } else {
        Some("write visible ASCII without quotes, escapes and wildcards")
    }
}
