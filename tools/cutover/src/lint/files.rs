//! Checks the files that an edge file names with the code that will read them.
//!
//! A missing file may be made later (`cutover keys`, a mounted secret), so it is a warning. A file that exists but can
//! never be loaded is a fault: the edge would start and refuse every caller.

use std::fs;
use std::io;
use std::path::Path;

use authz_service::credential::keys::KeyFormat;
use authz_service::credential::opaque;
use authz_service::credential::signed;
use authz_service::credential::webhook::secrets;
use authz_service::tenant::directory;
use authz_service::tls;
use clock::{Clock as _, SystemClock};
use edge_config::edge::{
    ApiKeys, AuthorizerTls, BackendTls, CertificateFiles, ClientCertificate, Clients, Edge, KeySource,
    Listener, Per, Service, ServiceTokens, TenantDirectory, Tls, Webhook,
};
use edge_config::{Fault, Place, Severity};

use super::certificates;

/// Longer than any file that an edge file names: a directory of a million tenants takes 64 MB.
const MAX_BYTES: u64 = 64 * 1_024 * 1_024;

/// All faults of the files that `edge` names, and remarks about their contents; `text` is the edge file.
pub(super) fn check(edge: &Edge, text: &str) -> Vec<Fault> {
    let Found { text: _, mut faults, remarks } = read(edge, text);
    faults.extend(remarks);
    faults
}

/// The files without which a part of the edge would wait or refuse every caller: those that are missing or cannot be loaded.
pub(super) fn in_the_way(edge: &Edge, text: &str) -> Vec<Fault> {
    read(edge, text).faults
}

fn read<'t>(edge: &Edge, text: &'t str) -> Found<'t> {
    let mut found = Found { text, faults: Vec::new(), remarks: Vec::new() };
    for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.issuers) {
        match &issuer.keys {
            KeySource::File(path) | KeySource::Pem { path, .. } => {
                let format = KeyFormat::of(issuer);
                found.content(path, "`cutover keys` makes it, or get it from the issuer", |content| {
                    format.read(content).map(|_| ())
                });
            }
            KeySource::Url(_) | KeySource::Discovery(_) => {}
        }
    }
    for issuer in edge.sessions.iter().flat_map(|sessions| &sessions.opaque) {
        let made = "write the edge's secret at the issuer into it, with mode 0600";
        if let Some(secret) = issuer.endpoint.client.secret() {
            found.path(secret, made, opaque::secret::check);
        }
        if let Some(ca) = &issuer.endpoint.ca {
            found.authorities(ca);
        }
        if let Some(ClientCertificate { certificate, key }) = &issuer.endpoint.certificate {
            found.pair(certificate, key);
        }
    }
    for Service { keys, permissions: _, tenants: _ } in edge.services.values() {
        found.content(keys, "`cutover keys` makes it", public_keys);
    }
    if let Some(ServiceTokens { issuer: _, keys }) = &edge.service_tokens {
        found.content(keys, "`cutover keys` makes it", public_keys);
    }
    if let Some(ApiKeys { file, headers: _ }) = &edge.api_keys {
        found.content(file, "`cutover apikey new` makes it", |content| {
            api_keys::Table::parse(content).map(|_| ())
        });
    }
    if let Some(signatures) = &edge.signatures {
        found.path(&signatures.keys, "write it (docs/signed-requests.md)", signed::keys::check);
    }
    for webhook in edge.webhooks.values() {
        // A missing file is named by itself.
        for secret in &webhook.secrets {
            let of_one = Webhook { secrets: vec![secret.clone()], ..webhook.clone() };
            found.path(secret, "write the sender's secret into it, with mode 0600", |_| {
                secrets::check(&of_one)
            });
        }
    }
    match &edge.tenants {
        Some(TenantDirectory::File(file)) => {
            found.content(file, "write it, or let `cutover run` make a first one", directory::check);
            found.tenants_with_quotas(edge, file);
        }
        Some(TenantDirectory::Service(_)) | None => {}
    }
    for (name, listener) in &edge.listeners {
        let Some(Tls { certificates, clients }) = &listener.tls else { continue };
        let before = found.faults.len();
        for CertificateFiles { certificate, key } in certificates {
            found.pair(certificate, key);
        }
        if found.faults.len() == before {
            found.certificates(edge, name, listener);
        }
        if let Some(Clients { ca, revoked, names: _, required: _ }) = clients {
            found.authorities(ca);
            if let Some(revoked) = revoked {
                found.revoked(revoked);
                for (about, problem, mend) in certificates::revocations(listener, SystemClock.now()) {
                    let place = place(text, &about);
                    found.remarks.push(Fault { place, problem, mend, severity: Severity::Warning });
                }
            }
        }
    }
    if let Some(AuthorizerTls { ca, certificate, key, names: _ }) = &edge.authorizer.tls {
        found.pair(certificate, key);
        found.authorities(ca);
    }
    for tls in edge.backends.values().filter_map(|backend| backend.tls.as_ref()) {
        let BackendTls { ca, sni: _, client, pins: _ } = tls;
        if ca.as_os_str() == BackendTls::SYSTEM_CA {
            found.system_authorities(ca);
        } else {
            found.authorities(ca);
        }
        if let Some(ClientCertificate { certificate, key }) = client {
            found.pair(certificate, key);
        }
    }
    found
}

fn public_keys(content: &[u8]) -> Result<(), String> {
    identity::keyset::public_keys(content).map(|_| ())
}

struct Found<'a> {
    text: &'a str,
    /// Files that are missing or cannot be loaded.
    faults: Vec<Fault>,
    /// What surprises in a file that can be loaded. Every part works with it.
    remarks: Vec<Fault>,
}

impl Found<'_> {
    /// Warns about quotas of tenants that the directory `file` does not list. A tenant may be listed later.
    fn tenants_with_quotas(&mut self, edge: &Edge, file: &Path) {
        let by_tenant = edge.limits.iter().filter(|(_, limit)| limit.per == Per::Tenant);
        let own: Vec<(&String, &String)> =
            by_tenant.flat_map(|(name, limit)| limit.overrides.keys().map(move |key| (name, key))).collect();
        if own.is_empty() {
            return;
        }
        let Ok(listed) =
            fs::read(file).map_err(|error| error.to_string()).and_then(|content| directory::ids(&content))
        else {
            return;
        };
        for (name, key) in own.into_iter().filter(|(_, key)| !listed.contains(key)) {
            let problem = format!(
                "limit `{name}` has a quota for the tenant `{key}`, which {} does not list",
                file.display()
            );
            let mend = "correct the tenant's id, or list the tenant".to_owned();
            self.remarks.push(Fault {
                place: place(self.text, key),
                problem,
                mend,
                severity: Severity::Warning,
            });
        }
    }

    /// Reads `path` and checks its content with `check`.
    fn content(&mut self, path: &Path, made: &str, check: impl FnOnce(&[u8]) -> Result<(), String>) {
        self.path(path, made, |path| {
            let content = fs::read(path).map_err(|error| error.to_string())?;
            check(&content)
        });
    }

    /// Checks the file `path` with `check`. `made` says how to make a missing one.
    fn path(&mut self, path: &Path, made: &str, check: impl FnOnce(&Path) -> Result<(), String>) {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.put(Severity::Warning, path, "does not exist yet", made);
            }
            Err(error) => self.unusable(path, &error.to_string()),
            Ok(data) if !data.is_file() => self.unusable(path, "it is not a regular file"),
            Ok(data) if data.len() > MAX_BYTES => {
                self.unusable(path, &format!("it has more than {MAX_BYTES} bytes"));
            }
            Ok(_) => {
                if let Err(what) = check(path) {
                    self.unusable(path, &what);
                }
            }
        }
    }

    /// Checks a certificate and its key, when both exist.
    fn pair(&mut self, certificate: &Path, key: &Path) {
        let made = "put certificate and key there; `cutover certs` makes a pair for development";
        let before = self.faults.len();
        // Both may be in one file.
        for file in [certificate].into_iter().chain((key != certificate).then_some(key)) {
            self.path(file, made, |path| fs::File::open(path).map(|_| ()).map_err(|error| error.to_string()));
        }
        if self.faults.len() == before
            && let Err(error) = tls::check_pair(certificate, key)
        {
            self.unusable(error.path(), error.what());
        }
    }

    /// Warns about names that no certificate of `listener` has, and about certificates that are not valid now.
    fn certificates(&mut self, edge: &Edge, name: &str, listener: &Listener) {
        for (about, problem, mend) in certificates::warnings(edge, name, listener, SystemClock.now()) {
            let place = place(self.text, &about);
            self.remarks.push(Fault { place, problem, mend, severity: Severity::Warning });
        }
    }

    fn authorities(&mut self, ca: &Path) {
        self.path(ca, "put the authorities' certificates there", |path| {
            tls::check_authorities(path).map_err(|error| error.what().to_owned())
        });
    }

    /// The lists of revoked certificates. Envoy refuses every client once a list is out of date.
    fn revoked(&mut self, lists: &Path) {
        self.path(lists, "put the authorities' lists of revoked certificates there, PEM", |path| {
            tls::check_revoked(path).map_err(|error| error.what().to_owned())
        });
    }

    /// The public authorities, which the edge file does not name: the fault is at the backends that need them.
    fn system_authorities(&mut self, ca: &Path) {
        let made = "install the package ca-certificates, or name the bundle of this system: `tls: { ca: \
                    /etc/pki/tls/certs/ca-bundle.crt }`";
        self.path(ca, made, |path| fs::File::open(path).map(|_| ()).map_err(|error| error.to_string()));
    }

    fn unusable(&mut self, path: &Path, what: &str) {
        let problem = format!("cannot be loaded: {what}");
        self.put(Severity::Error, path, &problem, "correct the file, or name another");
    }

    fn put(&mut self, severity: Severity, path: &Path, what: &str, mend: &str) {
        let problem = format!("the file {} {what}", path.display());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.faults.push(Fault { place: place(self.text, &name), problem, mend: mend.to_owned(), severity });
    }
}

/// The place where the edge file says `name`: the first line with it.
fn place(text: &str, name: &str) -> Place {
    let named = |line: &str| !line.trim_start().starts_with('#') && line.contains(name);
    let found = text.lines().enumerate().find(|(_, line)| named(line));
    let Some((index, line)) = found else { return Place { line: 1, column: 1 } };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
    Place { line: count(index), column: count(line.find(name).unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_placed_where_the_edge_file_names_it() {
        let text = "# keys/a.json\nedge: dev\nsessions:\n  keys: { file: \"${HOME}/keys/a.json\" }\n";
        assert_eq!(place(text, "a.json"), Place { line: 4, column: 31 });
        assert_eq!(place(text, "b.json"), Place { line: 1, column: 1 });
    }
}
