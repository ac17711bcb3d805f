//! Backends: the addresses of `upstream`, what `proxy_pass` means, and how their certificates are verified.

use super::super::nginx_text::Directive;
use super::super::with_port;
use super::Import;
use crate::draft::{Backend, BackendTls, CertificateFiles, free_name, name_of};

impl<'a> Import<'a> {
    /// The addresses of an `upstream`.
    pub(super) fn upstream(&mut self, directive: &Directive) {
        let mut addresses = Vec::new();
        for inside in directive.inside() {
            if inside.name != "server" {
                self.other(inside, &format!(" of upstream `{}`", directive.first()));
                continue;
            }
            let address = inside.first();
            if address.starts_with("unix:") || address.contains('$') {
                let mend = "let the backend listen at an address with a port";
                self.found.note(inside.line, format!("the address {address} is not translated"), mend);
                continue;
            }
            let parameters: Vec<&String> = inside.arguments.iter().skip(1).collect();
            if parameters.iter().any(|parameter| *parameter == "backup" || *parameter == "down") {
                self.found.note(
                    inside.line,
                    format!("the address {address} is not in use, and is left out"),
                    "add it to `addresses` when it is",
                );
                continue;
            }
            if parameters.iter().any(|parameter| parameter.starts_with("weight=")) {
                self.found.note(
                    inside.line,
                    format!("the weight of {address} is not translated"),
                    "addresses of one backend get equal parts; give different backends shares",
                );
            }
            addresses.push(with_port(address, 80));
        }
        self.upstreams.insert(directive.first().to_owned(), addresses);
    }

    /// The backend of a `proxy_pass`.
    pub(super) fn backend(&mut self, pass: &'a Directive, path: &str, of: &'a Directive) -> Option<String> {
        let target = pass.first();
        let is_verified =
            self.inherited(of.inside(), "proxy_ssl_verify").is_some_and(|one| one.first() == "on");
        let mut refuse = |what: &str, mend: &str| {
            self.found.note(pass.line, format!("`proxy_pass {target}` {what}"), mend);
        };
        if target.contains('$') {
            refuse("has a variable, and no route is made of it", "write the backend's address, and a route");
            return None;
        }
        let (rest, scheme, port) = match (target.strip_prefix("http://"), target.strip_prefix("https://")) {
            (Some(rest), _) => (rest, "", 80),
            (None, Some(rest)) => (rest, "https://", 443),
            (None, None) => {
                let mend = "write the backend's address, and a route";
                refuse("is neither http:// nor https://, and no route is made of it", mend);
                return None;
            }
        };
        if !scheme.is_empty() && !is_verified {
            let mend = "name their authorities where they are private: `tls: { ca: … }`";
            refuse(
                "speaks TLS, and nginx verifies no certificate without `proxy_ssl_verify`; the edge always does",
                mend,
            );
        }
        let (authority, uri) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.starts_with("unix:") {
            refuse(
                "is a socket, and no route is made of it",
                "let the backend listen at an address with a port",
            );
            return None;
        }
        if !uri.is_empty() && uri != path {
            refuse(
                "changes the path, which the edge never does",
                "let the backend serve the path that clients send, until then it answers 404",
            );
        }
        let (name, addresses) = match self.upstreams.get(authority) {
            Some(addresses) => {
                let addresses = addresses.iter().map(|address| format!("{scheme}{address}"));
                (name_of(authority, "backend"), addresses.collect())
            }
            None => {
                let host = authority.split(':').next().unwrap_or(authority);
                (name_of(host, "backend"), vec![format!("{scheme}{}", with_port(authority, port))])
            }
        };
        if addresses.is_empty() {
            self.found.note(
                pass.line,
                format!("`proxy_pass {target}` has no address, and no route is made of it"),
                "write the backend's address",
            );
            return None;
        }
        let tls = if scheme.is_empty() { BackendTls::default() } else { self.backend_tls(of) };
        let draft = &mut self.found.draft;
        let same = |known: &&Backend| known.addresses == addresses && known.tls == tls;
        if let Some(known) = draft.backends.iter().find(same) {
            return Some(known.name.clone());
        }
        let name =
            if name.starts_with(|c: char| c.is_ascii_digit()) { format!("backend-{name}") } else { name };
        let name = free_name(&name, draft.backends.iter().map(|known| known.name.as_str()));
        draft.backends.push(Backend { name: name.clone(), addresses, tls, comment: None });
        Some(name)
    }

    /// How a location has the certificate of its backend verified, and what it presents itself.
    fn backend_tls(&mut self, location: &'a Directive) -> BackendTls {
        let mut word = |name: &str, mend: &str| -> Option<String> {
            let directive = self.inherited(location.inside(), name)?;
            let value = directive.first();
            // The name of the backend in `proxy_pass` is what the edge takes anyway.
            if value == "$proxy_host" {
                return None;
            }
            if value.contains('$') || value.starts_with("data:") || value.starts_with("engine:") {
                self.found.note(directive.line, format!("`{name} {value}` is not translated"), mend);
                return None;
            }
            Some(value.to_owned())
        };
        let file = "write the PEM file into `tls` of the backend";
        let ca = word("proxy_ssl_trusted_certificate", file);
        let sni = word("proxy_ssl_name", "write the name that its certificate has: `tls: { sni: … }`")
            .map(|name| name.to_ascii_lowercase());
        let certificate = word("proxy_ssl_certificate", file);
        let key = word("proxy_ssl_certificate_key", file);
        let client = certificate.zip(key).map(|(certificate, key)| CertificateFiles { certificate, key });
        BackendTls { ca, sni, client }
    }

    /// Says what a directive of TLS to backends means that is not translated.
    pub(super) fn proxy_tls_directive(&mut self, directive: &Directive) {
        let Directive { line, name, arguments, .. } = directive;
        let mend = match name.as_str() {
            // Read with the backend. The edge always sends a name, always verifies, and resumes sessions.
            "proxy_ssl_trusted_certificate"
            | "proxy_ssl_name"
            | "proxy_ssl_certificate"
            | "proxy_ssl_certificate_key"
            | "proxy_ssl_verify"
            | "proxy_ssl_server_name"
            | "proxy_ssl_session_reuse" => return,
            "proxy_ssl_protocols" | "proxy_ssl_ciphers" | "proxy_ssl_conf_command" => {
                "nothing, if the backend speaks TLS 1.2 or 1.3"
            }
            "proxy_ssl_verify_depth" => "nothing: the edge follows a chain to its authority",
            _ => "find out whether the edge has to: `tls` of a backend is in docs/edge-file.md",
        };
        self.found.note(*line, format!("`{name} {}` is not translated", arguments.join(" ")), mend);
    }
}
