//! The section `sessions`.

use std::time::Duration;

use super::{credentials, issuers};
use crate::edge::{CookieReading, Duplicates, Sessions, TokenEncoding, WebsocketProtocol};
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
    let websocket_protocol = match fields.optional("websocket_protocol") {
        None => Some(None),
        Some(n) => {
            if bearer == Some(false) {
                let problem = "`websocket_protocol` of `sessions` has no effect without `bearer: true`";
                let mend = "add `bearer: true`: the token counts as a bearer token";
                context.faults.report(n.place, problem.to_owned(), mend);
            }
            websocket_protocol(context, n).map(Some)
        }
    };
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
        websocket_protocol: websocket_protocol?,
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

/// `websocket_protocol: "bearer."`, or `{ prefix: base64url.bearer.authorization.k8s.io., encoding: base64url }`.
fn websocket_protocol(context: Context<'_>, node: &Node) -> Option<WebsocketProtocol> {
    const WHAT: &str = "`websocket_protocol`";
    context.expects(node, || Shape::Text);
    if let Value::Text(_) = &node.value {
        let prefix = prefix(context, node, WHAT)?;
        return Some(WebsocketProtocol { prefix, encoding: TokenEncoding::default() });
    }
    let mut fields = Fields::of(context, node, WHAT);
    let prefix = fields
        .required("prefix", "name the beginning of the protocol that is a token: `prefix: bearer.`")
        .and_then(|n| prefix(context, n, "`prefix` of `websocket_protocol`"));
    let choices = [("plain", TokenEncoding::Plain), ("base64url", TokenEncoding::Base64url)];
    let encoding = match fields.optional("encoding") {
        None => Some(TokenEncoding::default()),
        Some(n) => choice(context, n, "`encoding` of `websocket_protocol`", &choices),
    };
    fields.finish();
    Some(WebsocketProtocol { prefix: prefix?, encoding: encoding? })
}

/// The beginning of a protocol's name, which is a token (RFC 6455 §11.3.4).
fn prefix(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=WebsocketProtocol::MAX_PREFIX).contains(&text.len()) && text.bytes().all(token) {
        return Some(text.to_owned());
    }
    let problem = format!("{what} cannot begin a protocol: {text:?}");
    let mend = format!(
        "write 1 to {} letters, digits or characters of !#$%&'*+-.^_`|~, such as `bearer.`",
        WebsocketProtocol::MAX_PREFIX
    );
    context.faults.report(node.place, problem, mend);
    None
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
