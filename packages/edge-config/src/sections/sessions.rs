//! How sessions are recognised.

use crate::credentials;
use crate::edge::Sessions;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::path;

pub(crate) fn sessions(context: Context<'_>, node: &Node) -> Option<Sessions> {
    let mut fields = Fields::of(context, node, "`sessions`");
    let cookie = fields
        .required("cookie", "name the cookie with the access token")
        .and_then(|n| cookie_name(context, n));
    let bearer = fields.optional("bearer").map_or(Some(false), |n| reader::boolean(context, n, "`bearer`"));
    let issuers = credentials::issuers(context, &mut fields);
    let revocations = match fields.optional("revocations") {
        None => Some(None),
        Some(n) => path(context, n, "`revocations`").map(Some),
    };
    fields.finish();
    Some(Sessions { cookie: cookie?, bearer: bearer?, issuers: issuers?, revocations: revocations? })
}

pub(crate) fn cookie_name(context: Context<'_>, node: &Node) -> Option<String> {
    let text = reader::text(context, node, "the cookie's name")?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(token) {
        return Some(text.to_owned());
    }
    context.faults.report(
        node.place,
        format!("the cookie's name is {text:?}"),
        "write a token as RFC 6265 §4.1.1 has it",
    );
    None
}
