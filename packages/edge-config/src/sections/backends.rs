//! The section `backends`.

mod address;
mod judged;
mod tls;

pub(super) use tls::client as client_certificate;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::edge::{Backend, Credentials, Endpoint, GrpcErrors, Protocol};
use crate::fault::Place;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::host_names::is_host_name;
use super::identity::Own;
use super::{resilience, wire};
use crate::reader::choice;
use address::Address;

/// A backend on the same network that does not accept a connection within a quarter of a second will not accept it at all.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// The same over TLS. A handshake takes two more round trips and a signature, and a backend with a public certificate may be
/// further away.
const TLS_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Long enough for a search in a cold legacy database, short enough that a stuck backend frees its requests.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Shorter than any backend keeps an idle connection, so that no request uses one that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Where backends say that they are another backend's process: the place, and the name of the backend.
pub(crate) type SameProcess = Vec<(Place, String)>;

pub(crate) fn backend(
    context: Context<'_>,
    name: &str,
    node: &Node,
    own: Own<'_>,
    same: &mut SameProcess,
) -> Option<Backend> {
    let what = format!("backend `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    if name == "sticky" {
        let problem = "a backend is named `sticky`, which has another meaning among the shares of a route";
        context.faults.report(fields.place, problem, "give it another name");
    }
    if super::kinds::is_kind(name) {
        let problem =
            format!("a backend is named `{name}`, which is a kind of credential in `to` of a route");
        context.faults.report(fields.place, problem, "give it another name");
    }
    let listed = addresses::<Address>(context, &mut fields, (&what, &what), ENDPOINT_MEND);
    let protocols = [
        ("http1", Protocol::Http1),
        ("http2", Protocol::Http2),
        ("auto", Protocol::Auto),
        ("grpc", Protocol::Grpc),
    ];
    let protocol_node = fields.optional("protocol");
    let protocol =
        protocol_node.map_or(Some(Protocol::Http1), |n| choice(context, n, "`protocol`", &protocols));
    let tls_node = fields.optional("tls");
    let encrypted = address::is_encrypted(context, &what, listed.as_deref().unwrap_or_default(), tls_node);
    let endpoints: Option<Vec<Endpoint>> =
        listed.map(|listed| listed.into_iter().map(|(_, address)| address.endpoint).collect());
    let tls = if encrypted { tls::tls(context, tls_node, &what).map(Some) } else { Some(None) };
    if let (Some(Some(tls)), Some(endpoints)) = (&tls, &endpoints)
        && tls.sni.is_none()
    {
        tls::check(context, tls_node.unwrap_or(node), &what, endpoints);
    }
    if let (Some(Protocol::Auto), Some(protocol), false) = (protocol, protocol_node, encrypted) {
        context.faults.report(
            protocol.place,
            format!("{what} has `protocol: auto` and no TLS: the protocol is agreed upon in the handshake"),
            "write `http1` or `http2`, or an address with https://",
        );
    }
    let audience = fields.optional("audience").map_or_else(
        || Some(name.to_owned()),
        |n| {
            let audience = reader::text(context, n, &format!("the `audience` of {what}"))?;
            same.push((n.place, name.to_owned()));
            Some(audience.to_owned())
        },
    );
    let host = fields.optional("host").map_or(Some(None), |n| authority(context, n, &what).map(Some));
    let mut timeout = |name: &'static str, default: Duration, most: u64| {
        fields
            .optional(name)
            .map_or(Some(default), |n| reader::millis(context, n, &format!("`{name}`"), 1, most))
    };
    let request_timeout = timeout("request_timeout_ms", REQUEST_TIMEOUT, 3_600_000);
    // A shorter limit for answers also shortens the default for connections.
    let most = if encrypted { TLS_CONNECT_TIMEOUT } else { CONNECT_TIMEOUT };
    let unsaid = request_timeout.map_or(most, |request| request.min(most));
    let connect_timeout = timeout("connect_timeout_ms", unsaid, 60_000);
    let idle_timeout = timeout("idle_timeout_ms", IDLE_TIMEOUT, 3_600_000);
    if let (Some(connect), Some(request)) = (connect_timeout, request_timeout)
        && request < connect
    {
        let problem = format!("{what} may take longer to connect than to answer");
        context.faults.report(
            fields.place,
            problem,
            "raise `request_timeout_ms`, or lower `connect_timeout_ms`",
        );
    }
    let circuit = resilience::circuit(context, fields.optional("circuit"), &what);
    let retries = resilience::retries(context, fields.optional("retries"), &what);
    let ejection = resilience::ejection(context, fields.optional("ejection"), &what);
    let health = fields
        .optional("health")
        .and_then(|n| resilience::health(context, n, &what, protocol.unwrap_or(Protocol::Http1)));
    let request_headers = fields
        .optional("request_headers")
        .map(|n| constant_headers(context, n, &what, own))
        .unwrap_or_default();
    let grpc_errors = fields
        .optional("grpc_errors")
        .map_or_else(GrpcErrors::default, |n| judged::grpc_errors(context, n, &what));
    let sign_in = fields.optional("sign_in").map(|n| judged::sign_in(context, n, &what)).unwrap_or_default();
    let ways = [("keep", Credentials::Keep), ("remove", Credentials::Remove)];
    let credentials = fields.optional("credentials").map_or(Some(Credentials::default()), |n| {
        reader::choice(context, n, &format!("`credentials` of {what}"), &ways)
    });
    let answer = wire::answer(context, fields.optional("answer"), &what);
    fields.finish();
    Some(Backend {
        endpoints: endpoints?,
        protocol: protocol?,
        tls: tls?,
        host: host?,
        audience: audience?,
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
        idle_timeout: idle_timeout?,
        circuit,
        retries,
        ejection,
        health,
        request_headers,
        grpc_errors,
        sign_in,
        credentials: credentials?,
        answer: answer?,
    })
}

/// Checks the backends that have the audience of another one: both are the same process. A backend elsewhere could use the
/// identities of its requests at the other one.
pub(crate) fn check_audiences(
    context: Context<'_>,
    backends: &BTreeMap<String, Backend>,
    same: &SameProcess,
) {
    for (place, name) in same {
        let Some(backend) = backends.get(name) else { continue };
        let other = backends.get(&backend.audience);
        let is_same = other
            .is_some_and(|other| other.audience == backend.audience && other.endpoints == backend.endpoints);
        if !is_same {
            let problem = format!(
                "backend `{name}` has the audience `{}`, which is no backend at the same addresses",
                backend.audience
            );
            let mend =
                "name the backend that is the same process under another protocol, or remove `audience`";
            context.faults.report(*place, problem, mend);
        }
    }
}

/// Reads the host of a backend's own requests: a name in lower case or an IPv4 address, and perhaps a port.
fn authority(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, &format!("the `host` of {what}"))?;
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    if is_host_name(name) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Some(text.to_owned());
    }
    let mend =
        "write the host as the backend knows it, in lower case, such as shop.internal or shop.internal:8443";
    context.faults.report(node.place, format!("the `host` of {what} is {text:?}"), mend);
    None
}

const ENDPOINT_MEND: &str = "write a host and a port, such as 127.0.0.1:3000 or legacy.internal:3000, or a URL without a path, such as \
     https://orders.internal:8443";

/// Reads `address: …`, or `addresses: […]`, each with its place. `what` names the section and `whom` its subject; `mend`
/// shows how an address is written.
pub(super) fn addresses<T: FromStr + PartialEq + fmt::Display>(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    (what, whom): (&str, &str),
    mend: &str,
) -> Option<Vec<(Place, T)>> {
    let one = |n: &Node| {
        reader::parsed::<T>(context, n, &format!("the address of {whom}"), mend)
            .map(|address| (n.place, address))
    };
    let (address, addresses) = (fields.optional("address"), fields.optional("addresses"));
    let list = match (address, addresses) {
        (Some(n), None) => return one(n).map(|address| vec![address]),
        (None, Some(n)) => n,
        (Some(_), Some(_)) => {
            let problem = format!("{what} has both `address` and `addresses`");
            context.faults.report(fields.place, problem, "give exactly one of them");
            return None;
        }
        (None, None) => {
            context.faults.report(fields.place, format!("{what} has no `address`"), mend);
            return None;
        }
    };
    let mut listed: Vec<(Place, T)> = Vec::new();
    for element in reader::list(context, list, &format!("`addresses` of {what}")) {
        let (place, address) = one(element)?;
        if listed.iter().any(|(_, known)| *known == address) {
            let problem = format!("{what} lists {address} twice");
            context.faults.report(element.place, problem, "list it once");
        }
        listed.push((place, address));
    }
    if listed.is_empty() {
        context.faults.report(list.place, format!("{what} has no address"), mend);
        return None;
    }
    Some(listed)
}

impl FromStr for Endpoint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(())?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if is_host_name(bare) || bare.parse::<std::net::IpAddr>().is_ok() {
            Ok(Self { host: bare.to_owned(), port })
        } else {
            Err(())
        }
    }
}

/// Names that a constant header may not have: they carry credentials, the message's framing or its address, and setting
/// one would change the client's message.
const NOT_CONSTANT: [&str; 12] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn constant_headers(context: Context<'_>, node: &Node, what: &str, own: Own<'_>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, place, value) in reader::entries(context, node, &format!("`request_headers` of {what}")) {
        if NOT_CONSTANT.contains(&name) {
            let problem = format!("{what} sets `{name}`, which belongs to the client's message");
            context.faults.report(place, problem, "remove it: the edge forwards messages unchanged");
        } else {
            own.check_constant(context, name, place, what);
        }
        if let Some(text) = reader::text(context, value, &format!("the value of `{name}`")) {
            if text.is_empty() || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) || text.contains('%') {
                let problem = format!("the value of `{name}` is {text:?}");
                context.faults.report(value.place, problem, "write visible ASCII without `%`");
            }
            headers.insert(name.to_owned(), text.to_owned());
        }
    }
    headers
}
