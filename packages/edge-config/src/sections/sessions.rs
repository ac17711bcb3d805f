//! The section `sessions`.

use std::time::Duration;

use super::{credentials, issuers};
use crate::edge::{CookieReading, Duplicates, Sessions};
use crate::node::{Node, Value};
use crate::notes::Shape;
use crate::reader::{self, Context, Fields, choice};

use crate::reader::path;

/// `patience` is how long Envoy waits for the authorizer.
pub(crate) fn sessions(context: Context<'_>, node: &Node, patience: Option<Duration>) -> Option<Sessions> {
    let mut fields = Fields::of(context, node, "`sessions`");
    let cookie =
        fields.required("cookie", "name the cookie with the access token").and_then(|n| cookie(context, n));
    let (cookie, reading) = cookie.unzip();
    let refresh_cookie = credentials::refresh_cookie(context, &mut fields, cookie.as_deref());
    let bearer = fields.optional("bearer").map_or(Some(false), |n| reader::boolean(context, n, "`bearer`"));
    let issuers = issuers::issuers(context, node, &mut fields, patience);
    let (issuers, opaque) = issuers.unzip();
    let revocations = match fields.optional("revocations") {
        None => Some(None),
        Some(n) => path(context, n, "`revocations`").map(Some),
    };
    fields.finish();
    Some(Sessions {
        cookie: cookie?,
        reading: reading?,
        refresh_cookie: refresh_cookie?,
        bearer: bearer?,
        issuers: issuers?,
        opaque: opaque?,
        revocations: revocations?,
    })
}

/// `cookie: sid`, or `cookie: { name: sid, split: true, duplicates: last }`.
fn cookie(context: Context<'_>, node: &Node) -> Option<(String, CookieReading)> {
    let Value::Map(_) = &node.value else {
        return Some((reader::cookie_name(context, node)?, CookieReading::default()));
    };
    let mut fields = Fields::of(context, node, "`cookie` of `sessions`");
    let name = fields
        .required("name", "name the cookie with the access token: `name: sid`")
        .and_then(|n| reader::cookie_name(context, n));
    let split = match fields.optional("split") {
        None => Some(None),
        Some(n) => split(context, n),
    };
    let choices = [("last", Duplicates::Last), ("first", Duplicates::First), ("refuse", Duplicates::Refuse)];
    let duplicates = match fields.optional("duplicates") {
        None => Some(Duplicates::default()),
        Some(n) => choice(context, n, "`duplicates` of the cookie", &choices),
    };
    fields.finish();
    Some((name?, CookieReading { split: split?, duplicates: duplicates? }))
}

/// `true` stands for the separator that most libraries use, a dot.
fn split(context: Context<'_>, node: &Node) -> Option<Option<char>> {
    context.expects(node, || Shape::Boolean);
    context.expects(node, || Shape::Text);
    match &node.value {
        Value::Bool(split) => return Some(split.then_some('.')),
        Value::Text(text) => {
            let separators = ['.', '_', '-'];
            if let Some(separator) = separators.into_iter().find(|one| text.chars().eq([*one])) {
                return Some(Some(separator));
            }
        }
        Value::Null | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {}
    }
    let mend = "write `true` for `name.0`, `name.1`, or what separates name and number: one of \".\", \"_\" and \"-\"";
    context.faults.report(node.place, "`split` of the cookie is not a separator".to_owned(), mend);
    None
}
