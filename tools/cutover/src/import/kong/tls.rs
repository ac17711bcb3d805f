//! TLS of Kong: certificates with their names, routes for https alone, and how backends are verified.

use super::super::yaml::Yaml;
use super::{Import, elements};
use crate::draft::{BackendTls, CertificateFiles, Encrypted, On, free_name, name_of};

/// A certificate of the document.
#[derive(Debug)]
pub(super) struct Certificate {
    id: Option<String>,
    files: CertificateFiles,
}

impl Import<'_> {
    /// Reads the certificates, which stand in the document itself, and makes a listener of those that have names.
    pub(super) fn certificates(&mut self) {
        let document = self.document;
        let named: Vec<(&str, Option<&str>)> = elements(document, "snis")
            .iter()
            .filter_map(|sni| Some((sni.text_of("name")?, sni.get("certificate").and_then(reference))))
            .collect();
        let mut taken: Vec<String> = Vec::new();
        let mut listed: Vec<(bool, CertificateFiles)> = Vec::new();
        for certificate in elements(document, "certificates") {
            let id = certificate.text_of("id");
            let inside = certificate.get("snis").map(Yaml::elements).unwrap_or_default().iter();
            let mut names: Vec<&str> =
                inside.filter_map(|sni| sni.text_of("name").or_else(|| sni.text())).collect();
            names.extend(named.iter().filter(|(_, of)| id.is_some() && *of == id).map(|(name, _)| *name));
            let plain = names.iter().find(|name| **name != "*").copied().or(id).unwrap_or("edge");
            let name = free_name(&name_of(plain, "edge"), taken.iter().map(String::as_str));
            taken.push(name.clone());
            let files = files(&name);
            let what = format!(
                "the certificate for {plain} stands in the file itself, and the edge reads {} and {}",
                files.certificate, files.key
            );
            let mend = "write the two PEM files beside the edge file, the key with mode 0600";
            self.found.note(certificate.line, what, mend);
            if !names.is_empty() {
                listed.push((!names.contains(&"*"), files.clone()));
            }
            self.certificates.push(Certificate { id: id.map(str::to_owned), files });
        }
        // The first one is for clients that name no known host.
        listed.sort();
        if !listed.is_empty() {
            let certificates = listed.into_iter().map(|(_, files)| files).collect();
            let comment = Some("TO REPLACE: write the certificates and keys into these files.".to_owned());
            self.found.draft.encrypted = Some(Encrypted { certificates, comment, ..Encrypted::default() });
        }
    }

    /// Whether a route is for https alone, and then whether Kong redirects to it.
    pub(super) fn is_for_https(&mut self, route: &Yaml) -> Option<bool> {
        let protocols = route.texts_of("protocols");
        let is_https = |name: &&str| ["https", "grpcs", "wss"].contains(name);
        if protocols.is_empty() || !protocols.iter().all(is_https) {
            return None;
        }
        Some(matches!(route.text_of("https_redirect_status_code"), Some("301" | "302" | "307" | "308")))
    }

    /// Adds the listener for routes that are for https alone, where no certificate has a name.
    pub(super) fn listener_for_https(&mut self, line: u64) {
        if self.found.draft.encrypted.is_some() {
            return;
        }
        let files = files("edge");
        let what = "routes are for https alone, and no certificate has a name (`snis`)";
        let mend = format!(
            "write the PEM files {} and {}, or name others in the listener",
            files.certificate, files.key
        );
        self.found.note(line, what, mend);
        let comment = Some("TO REPLACE: the files of the certificate and its key.".to_owned());
        let encrypted = Encrypted { certificates: vec![files], comment, ..Encrypted::default() };
        self.found.draft.encrypted = Some(encrypted);
    }

    /// Makes the listener in the clear redirect, when nothing else is served there.
    pub(super) fn finish_redirects(&mut self) {
        let redirecting = std::mem::take(&mut self.redirecting);
        let Some((line, _)) = redirecting.first() else { return };
        let draft = &mut self.found.draft;
        if let Some(other) = draft.hosts.iter().find(|host| host.on != On::Encrypted) {
            let what = format!(
                "routes redirect to https, and the host `{}` is served in the clear; a listener does one or the other",
                other.name
            );
            let mend = "give the redirect a listener of its own with `redirect: https`";
            self.found.note(*line, what, mend);
            return;
        }
        draft.redirects = true;
        for host in &mut draft.hosts {
            if redirecting.iter().any(|(_, name)| *name == host.name) {
                host.on = On::Both;
            }
        }
    }

    /// How the certificate of a service's backend is verified, and what Kong presents to it.
    pub(super) fn backend_tls(&mut self, service: &Yaml, name: &str, upstream: Option<&Yaml>) -> BackendTls {
        let mut tls = BackendTls::default();
        let client = service.get("client_certificate").or_else(|| upstream?.get("client_certificate"));
        if let Some(id) = client.and_then(reference) {
            match self.certificates.iter().find(|known| known.id.as_deref() == Some(id)) {
                Some(known) => tls.client = Some(known.files.clone()),
                None => {
                    let what =
                        format!("the client certificate {id} of the service {name} is not in the file");
                    let mend = "write `client: { certificate: …, key: … }` into `tls` of the backend";
                    self.found.note(service.line, what, mend);
                }
            }
        }
        let authorities = service.get("ca_certificates").map(Yaml::elements).unwrap_or_default();
        if !authorities.is_empty() {
            let file = format!("certs/{}-ca.pem", name_of(name, "service"));
            let ids: Vec<&str> = authorities.iter().filter_map(Yaml::text).collect();
            let what = format!(
                "the authorities of the service {name} ({}) stand in the file itself, and the edge reads {file}",
                ids.join(", ")
            );
            self.found.note(service.line, what, "write their certificates into that file, one after another");
            tls.ca = Some(file);
        }
        // Kong sends the name of the host that it asks for.
        let host = upstream.and_then(|upstream| upstream.text_of("host_header"));
        tls.sni = host.map(str::to_ascii_lowercase);
        if service.get("tls_verify").and_then(Yaml::boolean) != Some(true) {
            let what = format!(
                "the service {name} speaks https, and Kong verifies no certificate without `tls_verify`; the edge always does"
            );
            let mend = "name their authorities where they are private: `tls: { ca: … }`";
            self.found.note(service.line, what, mend);
        }
        tls
    }
}

fn files(name: &str) -> CertificateFiles {
    CertificateFiles { certificate: format!("certs/{name}.pem"), key: format!("certs/{name}.key") }
}

/// The name or id of an entity: a text, or a mapping with it.
pub(super) fn reference(node: &Yaml) -> Option<&str> {
    node.text().or_else(|| node.text_of("name")).or_else(|| node.text_of("id"))
}
