//! The section `authorizer`: its addresses, and how it and Envoy authenticate each other.
//!
//! The authorizer trusts Envoy's data about a request (its route, the source address, the uses of a lease), and Envoy
//! writes the authorizer's answer over the headers of a request. So either both are on one machine, or each authenticates
//! itself with a certificate.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::edge::{Authorizer, AuthorizerAddress, AuthorizerTls};
use crate::fault::Place;
use crate::node::Node;
use crate::reader::{self, Context, Fields, path};

use super::backends::addresses;
use super::host_names::is_host_name;

/// A warm decision takes well under a millisecond; Envoy's own default for an authorizer is the same 200 ms.
const TIMEOUT: Duration = Duration::from_millis(200);

const ADDRESS_MEND: &str =
    "write a host and a port, such as 127.0.0.1:9191, or a Unix socket, such as unix:/run/cutover/authz.sock";

/// Enough for a handful of replicas; more are better covered by one name that all certificates have.
const MAX_NAMES: usize = 64;

pub(crate) fn authorizer(context: Context<'_>, node: &Node) -> Option<Authorizer> {
    let mut fields = Fields::of(context, node, "`authorizer`");
    let listed = addresses::<AuthorizerAddress>(
        context,
        &mut fields,
        ("`authorizer`", "the authorizer"),
        ADDRESS_MEND,
    );
    let tls_node = fields.optional("tls");
    let tls = tls_node.map(|n| tls(context, n, listed.as_deref().unwrap_or_default()));
    if let Some(listed) = &listed {
        check(context, listed, tls_node);
    }
    let timeout = fields
        .optional("timeout_ms")
        .map_or(Some(TIMEOUT), |n| reader::millis(context, n, "`timeout_ms`", 1, 10_000));
    // Several replicas may be behind one address, but there cannot be fewer replicas than addresses.
    let count = listed.as_ref().map_or(1, Vec::len);
    let least = u64::try_from(count).unwrap_or(1);
    let replicas = fields
        .optional("replicas")
        .map_or(Some(least), |n| reader::number(context, n, "`replicas`", least, 1_000))
        .and_then(|count| u32::try_from(count).ok());
    fields.finish();
    let tls = match tls {
        None => None,
        Some(tls) => Some(tls?),
    };
    let addresses = listed?.into_iter().map(|(_, address)| address).collect();
    Some(Authorizer { addresses, tls, timeout: timeout?, replicas: replicas? })
}

/// Reports addresses that do not fit together, and those at which another machine could answer or query.
fn check(context: Context<'_>, listed: &[(Place, AuthorizerAddress)], tls: Option<&Node>) {
    let named = listed.iter().any(|(_, address)| !address.is_fixed());
    for (place, address) in listed {
        match address {
            AuthorizerAddress::Unix(_) if named => context.faults.report(
                *place,
                format!("{address} is listed with an address that has a host name, and Envoy cannot resolve a path"),
                "write IP addresses instead of names, or leave the Unix socket out",
            ),
            AuthorizerAddress::Unix(_) if tls.is_some() => context.faults.report(
                *place,
                format!("`authorizer` has `tls`, and {address} is a Unix socket, which needs none"),
                "leave `tls` out, or give network addresses only",
            ),
            AuthorizerAddress::Network(_) if tls.is_none() && !address.is_local() => context.faults.report(
                *place,
                format!(
                    "the authorizer is queried without encryption at {address}, which is not on this machine: a machine on \
                     the way can read and forge decisions"
                ),
                "add `tls: { ca: …, certificate: …, key: … }`, or use a loopback address or a Unix socket \
                 (unix:/path)",
            ),
            AuthorizerAddress::Unix(_) | AuthorizerAddress::Network(_) => {}
        }
    }
}

fn tls(context: Context<'_>, node: &Node, listed: &[(Place, AuthorizerAddress)]) -> Option<AuthorizerTls> {
    const WHAT: &str = "`tls` of `authorizer`";
    let mut fields = Fields::of(context, node, WHAT);
    let mut file = |name: &'static str, mend: &str| -> Option<PathBuf> {
        fields.required(name, mend).and_then(|n| path(context, n, &format!("`{name}` of {WHAT}")))
    };
    let ca = file("ca", "name the PEM file with the authorities of the authorizer's certificate");
    let certificate = file("certificate", "name the PEM file with Envoy's certificate chain");
    let key = file("key", "name the PEM file with the private key of that certificate");
    let names = match fields.optional("names") {
        Some(n) => certificate_names(context, n, &format!("`names` of {WHAT}")),
        None => Some(unsaid(listed)),
    };
    fields.finish();
    Some(AuthorizerTls { ca: ca?, certificate: certificate?, key: key?, names: names? })
}

/// The default names of the certificate: the hosts of the addresses.
fn unsaid(listed: &[(Place, AuthorizerAddress)]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (_, address) in listed {
        match address {
            AuthorizerAddress::Network(endpoint) if !names.contains(&endpoint.host) => {
                names.push(endpoint.host.clone());
            }
            AuthorizerAddress::Network(_) | AuthorizerAddress::Unix(_) => {}
        }
    }
    names
}

/// Reads the names of which a certificate must have one.
pub(super) fn certificate_names(context: Context<'_>, node: &Node, what: &str) -> Option<Vec<String>> {
    let elements = reader::list(context, node, what);
    if elements.is_empty() || elements.len() > MAX_NAMES {
        let problem = format!("{what} lists {} names", elements.len());
        context.faults.report(node.place, problem, format!("list 1 to {MAX_NAMES}, or leave it out"));
        return None;
    }
    let mut names = Vec::with_capacity(elements.len());
    for element in elements {
        let name = reader::text(context, element, &format!("a name in {what}"))?;
        if !is_host_name(name) && name.parse::<IpAddr>().is_err() {
            context.faults.report(
                element.place,
                format!("a name in {what} is {name:?}"),
                "write a lower-case DNS name or an IP address, as the certificate has it",
            );
            return None;
        }
        names.push(name.to_owned());
    }
    Some(names)
}
