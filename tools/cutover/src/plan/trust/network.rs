//! Which authorizer decides, where the edge listens, and where it sends.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use edge_config::edge::{
    Authorizer, AuthorizerTls, Backend, BackendTls, Clients, Comparator, Credentials, Endpoint, Exposure,
    Listener, Reach, Tls, Tracing, TrustIncoming, Underscores,
};

use super::super::found::{Aspects, Protection};
use super::clients;

/// Compares the authorizers. Another authorizer may decide otherwise about every request that is not public.
pub(super) fn authorizer(old: &Authorizer, new: &Authorizer) -> Aspects {
    let mut noted = Aspects::default();
    let Authorizer { addresses, tls, timeout, replicas } = new;
    if old.addresses != *addresses {
        let listed = |authorizer: &Authorizer| {
            authorizer.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        let (was, is) = (listed(old), listed(new));
        noted.note(Protection::Weaker, format!("decisions come from {is} instead of {was}: check it"));
    }
    match (&old.tls, tls) {
        (Some(_), None) => noted.note(Protection::Weaker, "is queried without encryption"),
        (None, Some(_)) => {
            noted.note(Protection::Stricter, "Envoy and the authorizer authenticate each other (TLS)")
        }
        (Some(old), Some(new)) => {
            let AuthorizerTls { ca, certificate, key, names } = new;
            noted.other("the authorities of its certificate", &old.ca, ca);
            noted.other("the names that its certificate may have", &old.names, names);
            if (&old.certificate, &old.key) != (certificate, key) {
                noted.note(Protection::Same, "receives another certificate of Envoy");
            }
        }
        (None, None) => {}
    }
    noted.changed("how long Envoy waits for a decision", &old.timeout, timeout);
    noted.changed("the number of replicas, which share the limits,", &old.replicas, replicas);
    noted
}

pub(super) fn listener(old: Option<&Listener>, new: &Listener) -> Aspects {
    let mut noted = Aspects::default();
    let Listener {
        address: _,
        further_addresses: _,
        // Compared with the hosts.
        hsts: _,
        exposure,
        tls,
        private_network,
        http_10,
        trusted_proxies,
        proxy_protocol,
        underscores,
        redirect,
        wire,
    } = new;
    let Some(old) = old else {
        let listed = listed(new);
        noted.note(Protection::Same, format!("listens on {listed} ({})", exposure.as_str()));
        return noted;
    };
    match (old.exposure, *exposure) {
        (Exposure::Public, Exposure::Internal) => {
            noted.note(Protection::Weaker, "internal instead of public: internal paths are open here")
        }
        (Exposure::Internal, Exposure::Public) => {
            noted.note(Protection::Stricter, "public instead of internal")
        }
        (Exposure::Public, Exposure::Public) | (Exposure::Internal, Exposure::Internal) => {}
    }
    clients::http_10(&mut noted, old.http_10, *http_10);
    clients::proxies(&mut noted, old.trusted_proxies.as_ref(), trusted_proxies.as_ref());
    clients::proxy_protocol(&mut noted, old.proxy_protocol, *proxy_protocol);
    // None of them decides who passes.
    noted.changed("how large and how slow messages may be (`wire`)", &old.wire, wire);
    match (&old.underscores, underscores) {
        (Underscores::Refuse, Underscores::Drop) => noted.note(
            Protection::Weaker,
            "removes headers with an underscore in their name instead of refusing the request",
        ),
        (Underscores::Drop | Underscores::Pass(_), Underscores::Refuse) => {
            noted.note(Protection::Stricter, "refuses requests with an underscore in a header name")
        }
        (Underscores::Pass(_), Underscores::Drop) => {
            noted.note(Protection::Stricter, "no header with an underscore in its name passes")
        }
        (old, Underscores::Pass(names)) => {
            let before: &[String] = match old {
                Underscores::Pass(before) => before,
                Underscores::Refuse | Underscores::Drop => &[],
            };
            for name in names.iter().filter(|name| !before.contains(name)) {
                noted.note(Protection::Weaker, format!("headers named `{name}` pass"));
            }
            for name in before.iter().filter(|name| !names.contains(name)) {
                noted.note(Protection::Stricter, format!("headers named `{name}` no longer pass"));
            }
            if matches!(old, Underscores::Refuse) {
                noted.note(
                    Protection::Weaker,
                    "removes other headers with an underscore in their name instead of refusing the request",
                );
            }
        }
        (Underscores::Refuse, Underscores::Refuse) | (Underscores::Drop, Underscores::Drop) => {}
    }
    match (&old.tls, tls) {
        (Some(_), None) => noted.note(Protection::Weaker, "no longer encrypted (TLS)"),
        (None, Some(_)) => noted.note(Protection::Stricter, "encrypted (TLS)"),
        (Some(old), Some(new)) => {
            let Tls { certificates, clients: _ } = new;
            if old.certificates != *certificates {
                let which =
                    if certificates.len() == 1 { "another certificate" } else { "other certificates" };
                noted.note(Protection::Same, format!("presents {which}"));
            }
        }
        (None, None) => {}
    }
    let asked = |tls: &Option<Tls>| tls.as_ref().and_then(|tls| tls.clients.clone());
    match (asked(&old.tls), asked(tls)) {
        (Some(Clients { required: true, .. }), None) => {
            noted.note(Protection::Weaker, "clients no longer need a certificate");
        }
        (None, Some(Clients { required: true, .. })) => {
            noted.note(Protection::Stricter, "clients need a certificate");
        }
        (Some(_), None) => noted.note(Protection::Same, "clients are no longer asked for a certificate"),
        (None, Some(_)) => noted.note(Protection::Same, "clients may present a certificate"),
        (Some(old), Some(new)) => {
            let Clients { required, ca, revoked, names } = &new;
            match (old.required, required) {
                (true, false) => noted.note(Protection::Weaker, "clients may connect without a certificate"),
                (false, true) => noted.note(Protection::Stricter, "clients need a certificate"),
                (true, true) | (false, false) => {}
            }
            noted.other("the authorities of clients' certificates", &old.ca, ca);
            match (&old.revoked, revoked) {
                (Some(_), None) => {
                    noted.note(Protection::Weaker, "revoked certificates of clients count again")
                }
                (None, Some(_)) => {
                    noted.note(Protection::Stricter, "revoked certificates of clients no longer count")
                }
                (old, new) => noted.other("the list of revoked certificates", old, new),
            }
            noted.other("the names that clients' certificates may have", &old.names, names);
        }
        (None, None) => {}
    }
    match (old.private_network, private_network) {
        (false, true) => {
            noted.note(Protection::Weaker, "its network is declared private to the platform: check it")
        }
        (true, false) => {
            noted.note(Protection::Stricter, "its network is no longer declared private to the platform")
        }
        (true, true) | (false, false) => {}
    }
    if old.redirect != *redirect && (old.redirect.is_some() && redirect.is_some()) {
        noted.note(Protection::Same, "redirects to another port of https");
    }
    let (was, is) = (listed(old), listed(new));
    if was != is {
        // Another port or another address of the same reach changes nothing; leaving loopback does.
        let reach =
            |listener: &Listener| listener.addresses().map(|address| Reach::of_address(address.ip())).max();
        let further = *exposure == Exposure::Internal && reach(new) > reach(old);
        let standing = if further { Protection::Weaker } else { Protection::Same };
        noted.note(standing, format!("listens on {is} instead of {was}"));
    }
    noted
}

/// The addresses of a listener.
fn listed(listener: &Listener) -> String {
    listener.addresses().map(|address| address.to_string()).collect::<Vec<_>>().join(", ")
}

/// What can be reached from further away is less protected.
fn moved(old: SocketAddr, new: SocketAddr) -> Protection {
    let (was, is) = (Reach::of_address(old.ip()), Reach::of_address(new.ip()));
    if is > was { Protection::Weaker } else { Protection::Same }
}

/// Always loopback: the reader refuses every other address.
pub(super) fn admin(old: SocketAddr, new: SocketAddr) -> Aspects {
    let mut noted = Aspects::default();
    if old != new {
        noted.note(moved(old, new), format!("listens on {new} instead of {old}"));
    }
    noted
}

pub(super) fn stats(old: Option<SocketAddr>, new: Option<SocketAddr>) -> Aspects {
    let mut noted = Aspects::default();
    match (old, new) {
        (None, Some(address)) => {
            let beyond = Reach::of_address(address.ip()) > Reach::Machine;
            let standing = if beyond { Protection::Weaker } else { Protection::Same };
            noted.note(standing, format!("counters can be read on {address}"));
        }
        (Some(_), None) => noted.note(Protection::Stricter, "counters can no longer be read"),
        (Some(old), Some(new)) if old != new => {
            noted.note(moved(old, new), format!("counters can be read on {new} instead of {old}"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    noted
}

pub(super) fn backend(old: &Backend, new: &Backend) -> Aspects {
    let mut noted = Aspects::default();
    let Backend {
        endpoints,
        protocol,
        tls,
        host,
        audience,
        connect_timeout,
        request_timeout,
        idle_timeout,
        circuit,
        retries,
        ejection,
        health,
        request_headers,
        // Which answers count as failures or refusals decides how moves are judged, and never who passes.
        grpc_errors,
        sign_in,
        credentials,
        answer,
    } = new;
    let set = |endpoints: &[Endpoint]| endpoints.iter().cloned().collect::<BTreeSet<_>>();
    if set(&old.endpoints) != set(endpoints) {
        let listed =
            |endpoints: &[Endpoint]| endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (was, is) = (furthest(&old.endpoints), furthest(endpoints));
        let moved = format!("answers at {} instead of {}", listed(endpoints), listed(&old.endpoints));
        if is > was {
            let what = format!("{moved}: requests and identities leave {} for {}", was.as_str(), is.as_str());
            noted.note(Protection::Weaker, what);
        } else {
            noted.note(Protection::Same, moved);
        }
    }
    backend_tls(old.tls.as_ref(), tls.as_ref(), &mut noted);
    noted.other("the host that its requests name", &old.host, host);
    noted.other("the audience of its identities", &old.audience, audience);
    for (header, value) in &old.request_headers {
        if request_headers.get(header) != Some(value) {
            // A legacy backend may take the absence of such a header for a trusted caller.
            noted.note(Protection::Weaker, format!("no longer receives `{header}: {value}`"));
        }
    }
    for header in request_headers.keys().filter(|header| !old.request_headers.contains_key(*header)) {
        noted.note(Protection::Same, format!("also receives `{header}`"));
    }
    match (old.credentials, credentials) {
        (Credentials::Remove, Credentials::Keep) => {
            noted.note(Protection::Weaker, "receives the credentials of people again");
        }
        (Credentials::Keep, Credentials::Remove) => {
            noted.note(Protection::Stricter, "no longer receives the credentials of people");
        }
        (Credentials::Keep, Credentials::Keep) | (Credentials::Remove, Credentials::Remove) => {}
    }
    if old.grpc_errors != *grpc_errors {
        noted.note(Protection::Same, "other gRPC statuses count as its failures");
    }
    if old.sign_in != *sign_in {
        noted.note(Protection::Same, "other redirects count as its refusals");
    }
    noted.changed("the protocol", &old.protocol, protocol);
    noted.changed("how large the head of an answer may be (`answer`)", &old.answer, answer);
    noted.changed("how long a connection may take", &old.connect_timeout, connect_timeout);
    noted.changed("how long an answer may take to begin", &old.request_timeout, request_timeout);
    noted.changed("how long an idle connection is kept", &old.idle_timeout, idle_timeout);
    noted.changed("how much load it may receive at once (`circuit`)", &old.circuit, circuit);
    noted.changed("when a request is retried (`retries`)", &old.retries, retries);
    noted.changed("when an endpoint is ejected (`ejection`)", &old.ejection, ejection);
    noted.changed("how the health of its endpoints is checked (`health`)", &old.health, health);
    noted
}

fn backend_tls(old: Option<&BackendTls>, new: Option<&BackendTls>, noted: &mut Aspects) {
    let (old, new) = match (old, new) {
        (None, None) => return,
        (Some(_), None) => {
            let what = "no longer reached over TLS: requests and identities are sent in the clear";
            return noted.note(Protection::Weaker, what);
        }
        (None, Some(_)) => {
            return noted.note(Protection::Stricter, "reached over TLS, with a verified certificate");
        }
        (Some(old), Some(new)) => (old, new),
    };
    let BackendTls { ca, sni, client, pins } = new;
    noted.other("the authorities of its certificate", &old.ca, ca);
    noted.other("the name that its certificate must have", &old.sni, sni);
    if old.client != *client {
        noted.note(Protection::Same, "receives another certificate of the edge");
    }
    if old.pins != *pins {
        // Fewer keys of the same list are stricter; an empty list is every key.
        let is_narrower =
            !pins.is_empty() && (old.pins.is_empty() || pins.iter().all(|pin| old.pins.contains(pin)));
        let standing = if is_narrower { Protection::Stricter } else { Protection::Weaker };
        noted.note(standing, "other public keys of its certificate are accepted (`pins`)");
    }
}

/// The reach of the furthest of `endpoints`.
pub(in super::super) fn furthest<'e>(endpoints: impl IntoIterator<Item = &'e Endpoint>) -> Reach {
    let reaches = endpoints.into_iter().map(|endpoint| Reach::of_host(&endpoint.host));
    reaches.max().unwrap_or(Reach::Machine)
}

/// Compares where spans go, of which requests, and who may continue a trace.
pub(super) fn tracing(old: Option<&Tracing>, new: Option<&Tracing>) -> Aspects {
    let mut noted = Aspects::default();
    match (old, new) {
        (None, Some(new)) => {
            let what = format!("spans go to {}; backends receive the edge's trace", new.collector);
            noted.note(Protection::Same, what);
        }
        (Some(_), None) => {
            noted.note(Protection::Same, "no spans of Envoy; the headers of a trace pass untouched");
        }
        (Some(old), Some(new)) => {
            let Tracing { collector, sample, trust_incoming } = new;
            if old.collector != *collector {
                let what = format!("spans go to {collector} instead of {}", old.collector);
                noted.note(Protection::Same, what);
            }
            if old.sample != *sample {
                let what = format!("spans of {sample} % instead of {} % of the traces", old.sample);
                noted.note(Protection::Same, what);
            }
            if old.trust_incoming != *trust_incoming {
                let rank = |trust| match trust {
                    TrustIncoming::Never => 0,
                    TrustIncoming::Services => 1,
                    TrustIncoming::Always => 2,
                };
                let is_more = rank(*trust_incoming) > rank(old.trust_incoming);
                let standing = if is_more { Protection::Weaker } else { Protection::Stricter };
                let (was, is) = (old.trust_incoming.as_str(), trust_incoming.as_str());
                noted.note(standing, format!("traces of callers are continued: `{is}` instead of `{was}`"));
            }
        }
        (None, None) => {}
    }
    noted
}

/// Compares the comparators. A comparator receives copies of requests with their credentials, and shows samples of
/// answers. The reader of the edge file keeps both of its addresses on loopback.
pub(super) fn comparator(old: Option<&Comparator>, new: Option<&Comparator>) -> Aspects {
    let mut noted = Aspects::default();
    match (old, new) {
        (None, Some(new)) => noted.note(Protection::Same, format!("copies can go to {}", new.address)),
        (Some(_), None) => noted.note(Protection::Same, "is removed: nothing is compared"),
        (Some(old), Some(new)) => {
            let Comparator { address, admin, sample_percent, ignore, version_header } = new;
            if old.address != *address {
                let what = format!("receives copies on {address} instead of {}", old.address);
                noted.note(moved(old.address, *address), what);
            }
            if old.admin != *admin {
                noted.note(moved(old.admin, *admin), format!("reports on {admin} instead of {}", old.admin));
            }
            noted.changed("how many requests are copied", &old.sample_percent, sample_percent);
            noted.changed("which differences are ignored (`ignore`)", &old.ignore, ignore);
            noted.changed("the header that names a version", &old.version_header, version_header);
        }
        (None, None) => {}
    }
    noted
}
