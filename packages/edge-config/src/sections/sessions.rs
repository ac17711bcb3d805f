//! The section `sessions`.

use super::{credentials, issuers};
use crate::edge::Sessions;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use crate::reader::path;

pub(crate) fn sessions(context: Context<'_>, node: &Node) -> Option<Sessions> {
    let mut fields = Fields::of(context, node, "`sessions`");
    let cookie = fields
        .required("cookie", "name the cookie with the access token")
        .and_then(|n| reader::cookie_name(context, n));
    let refresh_cookie = credentials::refresh_cookie(context, &mut fields, cookie.as_deref());
    let bearer = fields.optional("bearer").map_or(Some(false), |n| reader::boolean(context, n, "`bearer`"));
    let issuers = issuers::issuers(context, &mut fields);
    let revocations = match fields.optional("revocations") {
        None => Some(None),
        Some(n) => path(context, n, "`revocations`").map(Some),
    };
    fields.finish();
    Some(Sessions {
        cookie: cookie?,
        refresh_cookie: refresh_cookie?,
        bearer: bearer?,
        issuers: issuers?,
        revocations: revocations?,
    })
}
