//! The section `listeners`, and Envoy's admin and stats addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::declared::Declared;
use crate::edge::{Clients, Exposure, Http10, Listener, Reach, Redirect, Tls, Underscores};
use crate::fault::Place;
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};

use super::authorizer::certificate_names;
use super::{certificates, hsts, proxies, wire};
use crate::reader::{choice, path};

const ADDRESS_MEND: &str = "write an address with a port, such as 127.0.0.1:8080 or [::1]:8080";

/// Envoy opens a socket for each of them on every worker. A machine has a few networks, each with IPv4 and IPv6.
const MOST_ADDRESSES: usize = 16;

pub(crate) fn listener(context: Context<'_>, name: &str, node: &Node) -> Option<Listener> {
    let mut fields = Fields::of(context, node, format!("listener `{name}`"));
    if name == "stats" {
        let problem = "a listener is named `stats`, which is the name of the listener for scrapers";
        context.faults.report(fields.place, problem, "give it another name, or use the section `stats`");
    }
    let addresses = addresses(context, &mut fields, name);
    // Public is the stricter one: internal paths are closed there.
    let exposure = fields.optional("exposure").map_or(Some(Exposure::Public), |n| {
        choice(context, n, "the exposure", &[("public", Exposure::Public), ("internal", Exposure::Internal)])
    });
    let tls = match fields.optional("tls") {
        None => Some(None),
        Some(n) => tls(context, n, name).map(Some),
    };
    let private_network = match fields.optional("network") {
        None => Some(false),
        Some(n) => choice(context, n, "`network`", &[("private", true)]),
    };
    let http_10 =
        fields.optional("http_1_0").map_or(Some(Http10::default()), |n| proxies::http_10(context, n));
    let trusted_proxies = match fields.optional("trusted_proxies") {
        None => Some(None),
        Some(n) => proxies::trusted(context, n, name).map(Some),
    };
    let proxy_protocol = match fields.optional("proxy_protocol") {
        None => Some(None),
        Some(n) => proxies::protocol(context, n).map(Some),
    };
    let underscores = match fields.optional("underscores") {
        None => Some(Underscores::default()),
        Some(n) => underscores(context, n, name),
    };
    let hsts_node = fields.optional("hsts");
    let hsts =
        hsts_node.map_or(Some(None), |n| hsts::read(context, n, &format!("listener `{name}`")).map(Some));
    let redirect_node = fields.optional("redirect");
    let redirect = match redirect_node {
        None => Some(None),
        Some(n) => redirect(context, n, name).map(Some),
    };
    let wire = wire::limits(context, fields.optional("wire"), name);
    let place = fields.place;
    fields.finish();
    let (address, further_addresses) = addresses?;
    let listener = Listener {
        address,
        further_addresses,
        exposure: exposure?,
        tls: tls?,
        private_network: private_network?,
        http_10: http_10?,
        trusted_proxies: trusted_proxies?,
        proxy_protocol: proxy_protocol?,
        underscores: underscores?,
        hsts: hsts?,
        redirect: redirect?,
        wire: wire?,
    };
    check_network(context, name, place, &listener);
    proxies::check(context, name, place, &listener);
    if let (Some(node), false) = (hsts_node, listener.may_be_https()) {
        let problem = format!("listener `{name}` has `hsts` and neither `tls` nor `trusted_proxies`");
        context.faults.report(
            node.place,
            problem,
            "move it to a listener with `tls`, or name the balancer that ends TLS: browsers ignore it in the clear",
        );
    }
    if let Some(node) = redirect_node {
        check_redirect(context, name, node, &listener);
    }
    Some(listener)
}

/// `address: 127.0.0.1:8080`, or several in `addresses`: the first one, and the others.
fn addresses(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    name: &str,
) -> Option<(SocketAddr, Vec<SocketAddr>)> {
    let what = format!("the address of listener `{name}`");
    let Some(list) = fields.optional("addresses") else {
        let one = fields.required("address", ADDRESS_MEND)?;
        return Some((reader::parsed(context, one, &what, ADDRESS_MEND)?, Vec::new()));
    };
    if let Some(one) = fields.optional("address") {
        let problem = format!("listener `{name}` has both `address` and `addresses`");
        context.faults.report(one.place, problem, "list all of them in `addresses`");
        return None;
    }
    let elements = reader::list(context, list, &format!("`addresses` of listener `{name}`"));
    if elements.is_empty() || elements.len() > MOST_ADDRESSES {
        if matches!(list.value, Value::List(_)) {
            let problem = format!("listener `{name}` lists {} addresses", elements.len());
            context.faults.report(list.place, problem, format!("list 1 to {MOST_ADDRESSES}"));
        }
        return None;
    }
    let read = elements.iter().map(|element| reader::parsed(context, element, &what, ADDRESS_MEND));
    // Every one is read, so that every fault is reported.
    let read: Vec<Option<SocketAddr>> = read.collect();
    let mut all = read.into_iter().collect::<Option<Vec<SocketAddr>>>()?.into_iter();
    Some((all.next()?, all.collect()))
}

/// `refuse`, `drop` or `{ pass: [x_app_version] }`. The guard checks the names: it knows what is reserved.
fn underscores(context: Context<'_>, node: &Node, name: &str) -> Option<Underscores> {
    if !matches!(node.value, Value::Map(_)) {
        let drops = choice(context, node, "`underscores`", &[("refuse", false), ("drop", true)])?;
        return Some(if drops { Underscores::Drop } else { Underscores::Refuse });
    }
    let what = format!("`underscores` of listener `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let list = fields.required("pass", "list the names that pass: `{ pass: [x_app_version] }`");
    fields.finish();
    let mut names = Vec::new();
    for element in reader::list(context, list?, &format!("`pass` of {what}")) {
        names.push(reader::text(context, element, &format!("a name in {what}"))?.to_owned());
    }
    Some(Underscores::Pass(names))
}

/// `https`, or `{ https: 8443 }`.
fn redirect(context: Context<'_>, node: &Node, name: &str) -> Option<Redirect> {
    let what = format!("`redirect` of listener `{name}`");
    if !matches!(node.value, Value::Map(_)) {
        return choice(context, node, &what, &[("https", Redirect { port: None })]);
    }
    let mut fields = Fields::of(context, node, &*what);
    let port = fields
        .required("https", "write the port of https that clients use: `redirect: { https: 443 }`")
        .and_then(|n| reader::number(context, n, &format!("the port in {what}"), 1, u64::from(u16::MAX)));
    fields.finish();
    Some(Redirect { port: Some(u16::try_from(port?).ok()?) })
}

/// Checks that a redirect leads from the clear to an encrypted listener of clients.
fn check_redirect(context: Context<'_>, name: &str, node: &Node, listener: &Listener) {
    if listener.tls.is_some() {
        let problem = format!("listener `{name}` has `tls` and redirects to https");
        context.faults.report(node.place, problem, "remove `redirect`: its requests are encrypted already");
    }
    if listener.exposure == Exposure::Internal {
        let problem = format!("listener `{name}` is internal and redirects to https");
        context.faults.report(node.place, problem, "remove `redirect`: services do not follow redirects");
    }
}

/// Checks the network of a listener. An internal listener opens internal paths to every service that introduces itself,
/// and its messages may be unencrypted. So the listener is on this machine, or clients present certificates, or the edge
/// file declares the network private to the platform.
fn check_network(context: Context<'_>, name: &str, place: Place, listener: &Listener) {
    let Listener { exposure, tls, private_network, .. } = listener;
    let asks_clients =
        tls.as_ref().and_then(|tls| tls.clients.as_ref()).is_some_and(|clients| clients.required);
    let beyond = listener.addresses().find(|address| Reach::of_address(address.ip()) != Reach::Machine);
    match exposure {
        Exposure::Public if *private_network => context.faults.report(
            place,
            format!("listener `{name}` is public and has `network: private`"),
            "remove `network`: it only allows an internal listener without client certificates",
        ),
        Exposure::Internal if beyond.is_some() && !asks_clients && !private_network => context.faults.report(
            place,
            format!(
                "listener `{name}` is internal and listens on {}, which other machines reach",
                beyond.unwrap_or(listener.address)
            ),
            "require client certificates (`tls: { certificate: …, key: …, client_ca: … }`), use a loopback address, or \
             declare that only the platform's own machines reach it: `network: private`",
        ),
        Exposure::Public | Exposure::Internal => {}
    }
}

fn tls(context: Context<'_>, node: &Node, name: &str) -> Option<Tls> {
    let what = format!("`tls` of listener `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let certificates = certificates::read(context, &mut fields, &what);
    let ca = fields.optional("client_ca").map(|n| path(context, n, &format!("`client_ca` of {what}")));
    let required_node = fields.optional("client_certificate");
    let required = required_node.map_or(Some(true), |n| {
        let choices = [("required", true), ("optional", false)];
        choice(context, n, &format!("`client_certificate` of {what}"), &choices)
    });
    if let (Some(node), None) = (required_node, &ca) {
        let problem = format!("{what} has `client_certificate` and names no authorities");
        context.faults.report(
            node.place,
            problem,
            "name the file with their certificates: `client_ca: clients.pem`",
        );
    }
    let names_node = fields.optional("client_names");
    let names = names_node
        .map_or(Some(Vec::new()), |n| certificate_names(context, n, &format!("`client_names` of {what}")));
    if let (Some(node), None) = (names_node, &ca) {
        let problem = format!("{what} has `client_names` but requires no client certificate");
        context.faults.report(node.place, problem, "name the authorities, too: `client_ca: clients.pem`");
    }
    let revoked_node = fields.optional("client_crl");
    let revoked = match revoked_node {
        None => Some(None),
        Some(node) => path(context, node, &format!("`client_crl` of {what}")).map(Some),
    };
    fields.finish();
    match (revoked_node, revoked.as_ref(), ca.as_ref()) {
        (Some(node), _, None) => {
            let problem = format!("{what} has `client_crl` but requires no client certificate");
            context.faults.report(node.place, problem, "name the authorities, too: `client_ca: clients.pem`");
        }
        (Some(node), Some(Some(revoked)), Some(Some(ca))) if revoked.parent() != ca.parent() => {
            let problem = format!("`client_crl` of {what} is not in the directory of `client_ca`");
            let mend = "put both files into one directory: Envoy watches that of `client_ca`, and would not notice a new list";
            context.faults.report(node.place, problem, mend);
        }
        _ => {}
    }
    let clients = match ca {
        None => None,
        Some(ca) => Some(Clients { required: required?, ca: ca?, revoked: revoked?, names: names? }),
    };
    Some(Tls { certificates: certificates?, clients })
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

/// Reports two listeners of Envoy at one address: Envoy would start neither.
pub(crate) fn check_addresses(
    context: Context<'_>,
    tree: &Node,
    listeners: &Declared<Listener>,
    admin: Option<SocketAddr>,
    stats: Option<SocketAddr>,
) {
    let of = |(name, listener): (&String, &Listener)| -> Vec<(String, SocketAddr)> {
        listener.addresses().map(|address| (format!("listener `{name}`"), address)).collect()
    };
    let named = listeners.good.iter().flat_map(of);
    let own = [("`admin`", admin), ("`stats`", stats)];
    let own = own.into_iter().filter_map(|(name, address)| Some((name.to_owned(), address?)));
    let mut seen: BTreeMap<SocketAddr, String> = BTreeMap::new();
    for (name, address) in named.chain(own) {
        if let Some(other) = seen.insert(address, name.clone()) {
            let problem = format!("{other} and {name} are both at {address}");
            context.faults.report(tree.place, problem, "give one of them another port");
        }
    }
    // On Linux, a socket that takes both takes the port of the other family, too.
    for (name, listener) in &listeners.good {
        for address in listener.addresses().filter(|address| listener.takes_ipv4_too(*address)) {
            let taken = seen.iter().find(|(other, _)| other.is_ipv4() && other.port() == address.port());
            let Some((other, whose)) = taken else { continue };
            let problem =
                format!("listener `{name}` is at {address}, which takes IPv4, too, and {whose} at {other}");
            context.faults.report(tree.place, problem, "give one of them another port");
        }
    }
}

pub(crate) fn admin(context: Context<'_>, node: &Node) -> Option<SocketAddr> {
    let address: SocketAddr = reader::parsed(context, node, "`admin`", ADDRESS_MEND)?;
    if !address.ip().is_loopback() {
        let problem = format!(
            "`admin` is {address}: a client that reaches it can stop the edge and read its configuration"
        );
        context.faults.report(node.place, problem, "give it a loopback address, such as 127.0.0.1:9901");
    }
    Some(address)
}
