//! Where Envoy listens, and where the authorizer answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::declared::Declared;
use crate::edge::{Authorizer, Exposure, Listener, Tls};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::backends::endpoints;
use crate::reader::{choice, path};

/// A warm decision takes well under a millisecond; Envoy's own default for an authorizer is the same 200 ms.
const AUTHORIZER_TIMEOUT: Duration = Duration::from_millis(200);

const ADDRESS_MEND: &str = "write an address with a port, such as 127.0.0.1:8080";

pub(crate) fn listener(context: Context<'_>, name: &str, node: &Node) -> Option<Listener> {
    let mut fields = Fields::of(context, node, format!("listener `{name}`"));
    if name == "stats" {
        let problem = "a listener is called `stats`, which is what scrapers read";
        context.faults.report(fields.place, problem, "give it another name, or use the section `stats`");
    }
    let address = fields
        .required("address", ADDRESS_MEND)
        .and_then(|n| reader::parsed(context, n, &format!("the address of listener `{name}`"), ADDRESS_MEND));
    let exposure =
        fields.required("exposure", "say who can reach it: `public` or `internal`").and_then(|n| {
            choice(
                context,
                n,
                "the exposure",
                &[("public", Exposure::Public), ("internal", Exposure::Internal)],
            )
        });
    let tls = match fields.optional("tls") {
        None => Some(None),
        Some(n) => tls(context, n, name).map(Some),
    };
    fields.finish();
    Some(Listener { address: address?, exposure: exposure?, tls: tls? })
}

fn tls(context: Context<'_>, node: &Node, name: &str) -> Option<Tls> {
    let what = format!("`tls` of listener `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let certificate = fields
        .required("certificate", "name the PEM file with the certificate chain")
        .and_then(|n| path(context, n, &format!("the certificate of {what}")));
    let key = fields
        .required("key", "name the PEM file with the private key")
        .and_then(|n| path(context, n, &format!("the key of {what}")));
    fields.finish();
    Some(Tls { certificate: certificate?, key: key? })
}

/// `stats: { address: … }`
pub(crate) fn stats(context: Context<'_>, node: &Node) -> Option<SocketAddr> {
    let mut fields = Fields::of(context, node, "`stats`");
    let address = fields
        .required("address", ADDRESS_MEND)
        .and_then(|n| reader::parsed(context, n, "the address of `stats`", ADDRESS_MEND));
    fields.finish();
    address
}

/// Reports two things of Envoy's at one address: it would start neither.
pub(crate) fn check_addresses(
    context: Context<'_>,
    tree: &Node,
    listeners: &Declared<Listener>,
    admin: Option<SocketAddr>,
    stats: Option<SocketAddr>,
) {
    let named = listeners.good.iter().map(|(name, l)| (format!("listener `{name}`"), l.address));
    let own = [("`admin`", admin), ("`stats`", stats)];
    let own = own.into_iter().filter_map(|(name, address)| Some((name.to_owned(), address?)));
    let mut seen: BTreeMap<SocketAddr, String> = BTreeMap::new();
    for (name, address) in named.chain(own) {
        if let Some(other) = seen.insert(address, name.clone()) {
            let problem = format!("{other} and {name} are both at {address}");
            context.faults.report(tree.place, problem, "give one of them another port");
        }
    }
}

pub(crate) fn admin(context: Context<'_>, node: &Node) -> Option<SocketAddr> {
    let address: SocketAddr = reader::parsed(context, node, "`admin`", ADDRESS_MEND)?;
    if !address.ip().is_loopback() {
        let problem =
            format!("`admin` is {address}: whoever reaches it can stop the edge and read its configuration");
        context.faults.report(node.place, problem, "give it a loopback address, such as 127.0.0.1:9901");
    }
    Some(address)
}

pub(crate) fn authorizer(context: Context<'_>, node: &Node) -> Option<Authorizer> {
    let mut fields = Fields::of(context, node, "`authorizer`");
    let addresses = endpoints(context, &mut fields, "`authorizer`", "the authorizer");
    let timeout = fields
        .optional("timeout_ms")
        .map_or(Some(AUTHORIZER_TIMEOUT), |n| reader::millis(context, n, "`timeout_ms`", 1, 10_000));
    // Several may answer behind one address; fewer than there are addresses cannot.
    let count = addresses.as_ref().map_or(1, Vec::len);
    let least = u64::try_from(count).unwrap_or(1);
    let replicas = fields
        .optional("replicas")
        .map_or(Some(least), |n| reader::number(context, n, "`replicas`", least, 1_000))
        .and_then(|count| u32::try_from(count).ok());
    fields.finish();
    Some(Authorizer { addresses: addresses?, timeout: timeout?, replicas: replicas? })
}
