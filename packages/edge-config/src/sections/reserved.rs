//! Header names that only the edge may write.

use crate::edge::Reserved;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

/// Identity and forwarding headers that every edge must reserve: without them P2 would not hold.
const MUST_RESERVE: [&str; 4] =
    ["x-madome-identity", identity::headers::TENANT, "x-forwarded-for", "x-envoy-original-path"];

/// Headers that clients must be able to send.
const MUST_NOT_RESERVE: [&str; 12] = [
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
    identity::headers::REQUEST_ID,
];

/// Headers in which proxies and frameworks expect a client's address, host, path or method. A backend that trusts one of
/// them would believe the client.
const TRUSTED_BY_BACKENDS: [&str; 15] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
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

/// The names of a file without `reserved_headers`: what the edge writes, and what backends commonly trust.
pub(crate) fn by_default() -> Reserved {
    let names = TRUSTED_BY_BACKENDS.into_iter().chain([identity::headers::TENANT]);
    let prefixes = ["x-madome-", "x-forwarded-", "x-envoy-"];
    Reserved {
        names: names.map(str::to_owned).collect(),
        prefixes: prefixes.into_iter().map(str::to_owned).collect(),
    }
}

pub(crate) fn reserved(context: Context<'_>, node: &Node) -> Option<Reserved> {
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
    let (names, prefixes) = (names_of("names"), names_of("prefixes"));
    for must_not in MUST_NOT_RESERVE {
        let hit = names
            .iter()
            .find(|(n, _)| n == must_not)
            .or_else(|| prefixes.iter().find(|(p, _)| must_not.starts_with(p.as_str())));
        if let Some((reserved, place)) = hit {
            let problem = format!("`{reserved}` is reserved, but clients must be able to send `{must_not}`");
            context.faults.report(*place, problem, "remove it");
        }
    }
    for must in MUST_RESERVE {
        let covered = names.iter().any(|(n, _)| n == must)
            || prefixes.iter().any(|(p, _)| must.starts_with(p.as_str()));
        if !covered {
            let problem = format!("`{must}` is not reserved: a client could forge it");
            context.faults.report(
                fields.place,
                problem,
                "add it to `names`, or a prefix of it to `prefixes`",
            );
        }
    }
    fields.finish();
    let plain = |named: Vec<(String, crate::fault::Place)>| named.into_iter().map(|(name, _)| name).collect();
    Some(Reserved { names: plain(names), prefixes: plain(prefixes) })
}
