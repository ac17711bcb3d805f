//! What the certificates of a listener say: for which names they are, and how long they are valid; and until when its lists of
//! revoked certificates count.

use std::path::Path;

use clock::UnixTime;
use edge_config::edge::{Clients, Edge, Listener, Tls};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

/// A chain of certificates has a few kilobytes.
const MAX_BYTES: u64 = 1_048_576;

/// A list of a million revoked certificates has 40 MB.
const MAX_LIST_BYTES: u64 = 67_108_864;

/// Authorities publish a new list hours to days before the old one ends.
const SOON_SECONDS: i64 = 86_400;

/// The part of a certificate that Envoy and clients compare.
struct Shown {
    /// The DNS names, or the common name where there are none, as Envoy reads them.
    names: Vec<String>,
    /// The first and the last second of its validity, and both in words.
    validity: [(i64, String); 2],
}

/// The warnings about the certificates of `listener`, each with the text in the edge file that it is about. The files are
/// known to be a certificate and its key.
pub(super) fn warnings(
    edge: &Edge,
    name: &str,
    listener: &Listener,
    now: UnixTime,
) -> Vec<(String, String, String)> {
    let Some(Tls { certificates, clients: _ }) = &listener.tls else { return Vec::new() };
    let mut found = Vec::new();
    let mut shown = Vec::new();
    for files in certificates {
        let path = &files.certificate;
        let Some(one) = read(path) else { return Vec::new() };
        let about = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let now = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
        let [(begins, begin), (ends, end)] = &one.validity;
        let mend = "replace it; Envoy reads it again".to_owned();
        if now > *ends {
            found.push((about, format!("the certificate {} expired: {end}", path.display()), mend));
        } else if now < *begins {
            found.push((
                about,
                format!("the certificate {} is not valid yet: {begin}", path.display()),
                mend,
            ));
        }
        shown.push(one);
    }
    let hosts = edge.hosts.values().filter(|host| host.is_on(name)).flat_map(|host| &host.names);
    // No client asks for an address or for any name at all (RFC 6066 §3).
    let asked = hosts.filter(|name| *name != "*" && name.parse::<std::net::IpAddr>().is_err());
    for host in asked.filter(|host| !shown.iter().any(|shown| shown.covers(host))) {
        let first = shown.first().and_then(|first| first.names.first()).map_or("no name", String::as_str);
        let problem = format!(
            "no certificate of listener `{name}` has the name {host}: its clients are shown that of {first} and refuse it"
        );
        found.push((
            host.clone(),
            problem,
            "add a certificate with this name to the listener's `tls`".to_owned(),
        ));
    }
    found
}

impl Shown {
    /// Whether Envoy presents it to a client that asks for `host`. `*.example.com` covers one label, and a host of that name.
    fn covers(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names.iter().any(|name| name == host || parent.as_ref() == Some(name))
    }
}

/// The warnings about the lists of revoked certificates at which `listener` looks: those that are out of date, or will be
/// within a day. The file is known to hold lists.
pub(super) fn revocations(listener: &Listener, now: UnixTime) -> Vec<(String, String, String)> {
    let clients = listener.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    let Some(Clients { revoked: Some(path), .. }) = clients else { return Vec::new() };
    let about = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(content) = std::fs::metadata(path)
        .ok()
        .filter(|data| data.len() <= MAX_LIST_BYTES)
        .and_then(|_| std::fs::read(path).ok())
    else {
        return Vec::new();
    };
    let now = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
    let late = |pem: Pem| {
        let (_, list) = CertificateRevocationList::from_der(&pem.contents).ok()?;
        let issuer = list.issuer().to_string();
        match list.next_update() {
            Some(next) if next.timestamp() < now => Some(format!(
                "the list of {issuer} in {} was valid until {next}: every client of that authority is refused",
                path.display()
            )),
            Some(next) if next.timestamp() < now.saturating_add(SOON_SECONDS) => Some(format!(
                "the list of {issuer} in {} is valid until {next}, and from then on every client of that authority is refused",
                path.display()
            )),
            Some(_) | None => None,
        }
    };
    let problems =
        Pem::iter_from_buffer(&content).flatten().filter(|pem| pem.label == "X509 CRL").filter_map(late);
    let mend = "replace it with the authority's new list; Envoy reads it again";
    problems.map(|problem| (about.clone(), problem, mend.to_owned())).collect()
}

/// Reads the first certificate of the file, which is the one of the chain that is for the names.
fn read(path: &Path) -> Option<Shown> {
    if std::fs::metadata(path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let content = std::fs::read(path).ok()?;
    let pem = Pem::iter_from_buffer(&content).flatten().find(|pem| pem.label == "CERTIFICATE")?;
    let certificate = pem.parse_x509().ok()?;
    let alternatives = certificate.subject_alternative_name().ok()?;
    let names = match alternatives {
        Some(names) => {
            let dns = |name: &GeneralName<'_>| {
                if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }
            };
            names.value.general_names.iter().filter_map(dns).collect()
        }
        None => {
            let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
            common.map(str::to_owned).take(1).collect()
        }
    };
    let validity = certificate.validity();
    let shown = [validity.not_before, validity.not_after].map(|time| (time.timestamp(), time.to_string()));
    Some(Shown { names, validity: shown })
}
