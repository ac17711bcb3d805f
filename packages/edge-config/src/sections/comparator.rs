//! The section `comparator`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::edge::{Backend, Comparator, DifferenceKind, Ignore, Ignored, Protocol, Route};
use crate::fault::suggest;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

const ADDRESS_MEND: &str = "write a loopback address with a port, such as 127.0.0.1:9291";

/// Next to the authorizer's ports, and free on a machine that runs the platform.
const ADDRESS_PORT: u16 = 9291;
const ADMIN_PORT: u16 = 9292;

/// Every copy costs a backend that carries all of the traffic one or two more requests. A tenth of the safe requests does
/// not harm it, and shows a common difference within seconds.
const SAMPLE_PERCENT: u32 = 10;

pub(crate) fn read(context: Context<'_>, node: &Node) -> Option<Comparator> {
    let mut fields = Fields::of(context, node, "`comparator`");
    let address = fields
        .required("address", "give the address for the copies: `address: 127.0.0.1:9291`")
        .and_then(|n| loopback(context, n, "the comparator's address", "copies carry credentials"));
    let admin = fields
        .required("admin", "give the address of its report: `admin: 127.0.0.1:9292`")
        .and_then(|n| loopback(context, n, "`admin` of the comparator", "it shows samples of answers"));
    if let (Some(one), Some(other)) = (address, admin)
        && one == other
        && one.port() != 0
    {
        let problem = format!("the comparator's `address` and `admin` are both {one}");
        context.faults.report(node.place, problem, "give them different ports");
    }
    let sample_percent = fields.optional("sample_percent").map_or(Some(SAMPLE_PERCENT), |n| {
        reader::number(context, n, "`sample_percent`", 1, 100).and_then(|percent| u32::try_from(percent).ok())
    });
    let version_header = fields.optional("version_header").map(|n| header_name(context, n, "version_header"));
    let elements =
        fields.optional("ignore").map(|n| reader::list(context, n, "`ignore`")).unwrap_or_default();
    let ignore = elements.iter().filter_map(|element| ignored(context, element)).collect();
    fields.finish();
    let version_header = match version_header {
        None => None,
        Some(name) => Some(name?),
    };
    Some(Comparator {
        address: address?,
        admin: admin?,
        sample_percent: sample_percent?,
        ignore,
        version_header,
    })
}

fn loopback(context: Context<'_>, node: &Node, what: &str, why: &str) -> Option<SocketAddr> {
    let address: SocketAddr = reader::parsed(context, node, what, ADDRESS_MEND)?;
    if !address.ip().is_loopback() {
        context.faults.report(node.place, format!("{what} is {address}: {why}"), ADDRESS_MEND);
    }
    Some(address)
}

fn ignored(context: Context<'_>, node: &Node) -> Option<Ignore> {
    let mut fields = Fields::of(context, node, "an element of `ignore`");
    let route = fields.optional("route").map(|n| reader::name(context, n, "the route"));
    let header = fields.optional("header");
    let cookie = fields.optional("cookie");
    let json = fields.optional("json");
    let kind = fields.optional("kind");
    fields.finish();
    let what = match (header, cookie, json, kind) {
        (Some(n), None, None, None) => header_name(context, n, "header").map(Ignored::Header),
        (None, Some(n), None, None) => reader::cookie_name(context, n).map(Ignored::Cookie),
        (None, None, Some(n), None) => pointer(context, n).map(Ignored::Json),
        (None, None, None, Some(n)) => kind_of(context, n).map(Ignored::Kind),
        _ => {
            let problem =
                "an element of `ignore` needs one of `header`, `cookie`, `json` and `kind`".to_owned();
            context.faults.report(
                node.place,
                problem,
                "give exactly one of them: `{ header: x-powered-by }`",
            );
            None
        }
    };
    match route {
        None => Some(Ignore { route: None, what: what? }),
        Some(route) => Some(Ignore { route: Some(route?), what: what? }),
    }
}

fn header_name(context: Context<'_>, node: &Node, field: &str) -> Option<String> {
    let name = reader::text(context, node, &format!("`{field}`"))?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Some(name.to_owned());
    }
    let mend = "write a header's name in lower case, such as x-powered-by";
    context.faults.report(node.place, format!("`{field}` is {name:?}"), mend);
    None
}

fn pointer(context: Context<'_>, node: &Node) -> Option<String> {
    let text = reader::text(context, node, "`json`")?;
    let index = |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    let mend = if !text.starts_with('/') {
        "begin it with `/`, such as /items/*/etag"
    } else if text.split('/').any(index) {
        "write `*` for an index: noise in one element is noise in all"
    } else {
        return Some(text.to_owned());
    };
    context.faults.report(node.place, format!("`json` is {text:?}"), mend);
    None
}

fn kind_of(context: Context<'_>, node: &Node) -> Option<DifferenceKind> {
    let text = reader::text(context, node, "`kind`")?;
    let found = DifferenceKind::ALL.iter().find(|kind| kind.as_str() == text).copied();
    if found.is_none() {
        let mend = suggest(text, DifferenceKind::ALL.iter().map(|kind| kind.as_str()));
        context.faults.report(node.place, format!("`kind` is {text:?}"), mend);
    }
    found
}

/// The default comparator of an edge that has shadows.
pub(crate) fn unsaid(routes: &[Route]) -> Option<Comparator> {
    routes.iter().any(|route| route.shadow.is_some()).then(|| Comparator {
        address: SocketAddr::from(([127, 0, 0, 1], ADDRESS_PORT)),
        admin: SocketAddr::from(([127, 0, 0, 1], ADMIN_PORT)),
        sample_percent: SAMPLE_PERCENT,
        ignore: Vec::new(),
        version_header: None,
    })
}

/// Reports ignored routes that do not exist, and shadows of gRPC backends.
pub(crate) fn check(
    context: Context<'_>,
    comparator: Option<&Comparator>,
    routes: &[Route],
    backends: &BTreeMap<String, Backend>,
    tree: &Node,
) {
    // Every gRPC request is a POST, so none would ever be copied.
    for route in routes.iter().filter(|route| route.reference().is_some()) {
        for name in route.reference().into_iter().chain(route.shadow.as_deref()) {
            if backends.get(name).is_some_and(|backend| backend.protocol == Protocol::Grpc) {
                context.faults.report(
                    tree.place,
                    format!(
                        "route `{}` has a shadow, and backend `{name}` speaks gRPC, whose requests are all POST",
                        route.name
                    ),
                    "only GET and HEAD are compared: remove `shadow`",
                );
            }
        }
    }
    for name in comparator.iter().flat_map(|c| &c.ignore).filter_map(|ignore| ignore.route.as_deref()) {
        if !routes.iter().any(|route| route.name == name) {
            let mend = suggest(name, routes.iter().map(|route| route.name.as_str()));
            let problem = format!("`ignore` of the comparator names route `{name}`, which does not exist");
            context.faults.report(tree.place, problem, mend);
        }
    }
}
