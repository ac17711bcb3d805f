//! Header names that only the edge may write.

use crate::edge::Reserved;
use crate::fault::{Place, suggest};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::identity::Own;

/// Headers by which many backends and frameworks read the client's address, the path or the method instead of the request
/// itself. A client could choose its address with them, or have another path served than the policy was chosen for. An edge
/// file can let single ones pass (`pass`).
const MISLEADING: [&str; 15] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Headers that clients must be able to send.
const MUST_NOT_RESERVE: [&str; 11] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "range",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// The reserved names: the edge's `own`, the misleading ones, and those of the section `reserved_headers`, if there is one.
pub(crate) fn reserved(context: Context<'_>, node: Option<&Node>, own: Own<'_>) -> Reserved {
    let mut reserved = own.reserved();
    let listed = node.map(|node| listed(context, node, own)).unwrap_or_default();
    let misleading = MISLEADING.into_iter().filter(|name| !listed.pass.iter().any(|pass| pass == name));
    reserved.names.extend(misleading.map(str::to_owned));
    reserved.names.extend(listed.names);
    reserved.prefixes.extend(listed.prefixes);
    for names in [&mut reserved.names, &mut reserved.prefixes] {
        names.sort();
        names.dedup();
    }
    reserved
}

/// The section.
#[derive(Default)]
struct Listed {
    names: Vec<String>,
    prefixes: Vec<String>,
    /// Misleading names that clients may send.
    pass: Vec<String>,
}

fn listed(context: Context<'_>, node: &Node, own: Own<'_>) -> Listed {
    let mut fields = Fields::of(context, node, "`reserved_headers`");
    let mut names_of = |field: &'static str| {
        let mut names = Vec::new();
        for element in fields
            .optional(field)
            .map(|n| reader::list(context, n, &format!("`{field}`")))
            .unwrap_or_default()
        {
            let Some(name) = reader::text(context, element, "a reserved header") else { continue };
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || !name.bytes().all(plain) {
                let problem = format!("the reserved header is {name:?}");
                context.faults.report(
                    element.place,
                    problem,
                    "write lower-case letters, digits and `-`; this covers every other spelling",
                );
                continue;
            }
            names.push((name.to_owned(), element.place));
        }
        names
    };
    let (names, prefixes, pass) = (names_of("names"), names_of("prefixes"), names_of("pass"));
    let must_not = MUST_NOT_RESERVE.into_iter().chain([own.request_id.header.as_str()]);
    for must_not in must_not {
        let hit = names
            .iter()
            .find(|(n, _)| n == must_not)
            .or_else(|| prefixes.iter().find(|(p, _)| must_not.starts_with(p.as_str())));
        if let Some((reserved, place)) = hit {
            let problem = format!("`{reserved}` is reserved, but clients must be able to send `{must_not}`");
            context.faults.report(*place, problem, "remove it");
        }
    }
    for (name, place) in &pass {
        if !MISLEADING.contains(&name.as_str()) {
            let problem = format!("`pass` of `reserved_headers` names `{name}`");
            context.faults.report(*place, problem, suggest(name, MISLEADING));
        } else if names.iter().any(|(reserved, _)| reserved == name)
            || prefixes.iter().any(|(prefix, _)| name.starts_with(prefix.as_str()))
        {
            let problem = format!("`{name}` is reserved and in `pass`");
            context.faults.report(*place, problem, "write it in one of the two");
        }
    }
    fields.finish();
    let plain = |named: Vec<(String, Place)>| named.into_iter().map(|(name, _)| name).collect();
    Listed { names: plain(names), prefixes: plain(prefixes), pass: plain(pass) }
}
