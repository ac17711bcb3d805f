//! Where requests can go.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::edge::Backend;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::hosts::is_host_name;

/// A backend that does not accept a connection on the same network within a quarter of a second will not.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// Long enough for a search in a cold legacy database, short enough that a stuck backend frees its requests.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) fn backend(context: Context<'_>, name: &str, node: &Node) -> Option<Backend> {
    let what = format!("backend `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    if name == "sticky" {
        let problem = "a backend is called `sticky`, which means something else among the shares of a route";
        context.faults.report(fields.place, problem, "give it another name");
    }
    let endpoint = fields
        .required("address", "write a host and a port, such as 127.0.0.1:3000 or legacy.internal:3000")
        .and_then(|n| {
            reader::parsed::<Endpoint>(
                context,
                n,
                &format!("the address of {what}"),
                "write a host and a port, such as 127.0.0.1:3000",
            )
        });
    let connect_timeout = fields
        .optional("connect_timeout_ms")
        .map_or(Some(CONNECT_TIMEOUT), |n| reader::millis(context, n, "`connect_timeout_ms`", 1, 60_000));
    let request_timeout = fields
        .optional("request_timeout_ms")
        .map_or(Some(REQUEST_TIMEOUT), |n| reader::millis(context, n, "`request_timeout_ms`", 1, 3_600_000));
    let request_headers =
        fields.optional("request_headers").map(|n| constant_headers(context, n, &what)).unwrap_or_default();
    fields.finish();
    let Endpoint { host, port } = endpoint?;
    Some(Backend {
        host,
        port,
        audience: name.to_owned(),
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
        request_headers,
    })
}

struct Endpoint {
    host: String,
    port: u16,
}

impl std::str::FromStr for Endpoint {
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

/// Names that a constant header may not have: they carry credentials, the message's framing or its address,
/// and setting one would change what the client sent.
const NOT_CONSTANT: [&str; 13] = [
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
    "x-request-id",
];

fn constant_headers(context: Context<'_>, node: &Node, what: &str) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, place, value) in reader::entries(context, node, &format!("`request_headers` of {what}")) {
        if NOT_CONSTANT.contains(&name) {
            let problem = format!("{what} sets `{name}`, which belongs to the client's message");
            context.faults.report(place, problem, "the edge passes messages on as they are: remove it");
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
