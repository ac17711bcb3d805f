//! TLS of nginx's servers: which of them listen with it, their certificates, and redirects to https.

use super::super::nginx_text::Directive;
use super::Import;
use crate::draft::{CertificateFiles, Encrypted, On};

/// A server that sends every request to https.
#[derive(Debug)]
pub(super) struct Redirecting {
    line: u64,
    names: Vec<String>,
}

/// Directives of TLS that need no translation: the edge decides it, or it has no effect on who may connect.
const SILENT: [&str; 17] = [
    "ssl",
    "ssl_buffer_size",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_ciphers",
    "ssl_conf_command",
    "ssl_dhparam",
    "ssl_ecdh_curve",
    "ssl_prefer_server_ciphers",
    "ssl_session_cache",
    "ssl_session_ticket_key",
    "ssl_session_tickets",
    "ssl_session_timeout",
    "ssl_stapling",
    "ssl_stapling_file",
    "ssl_stapling_verify",
    "ssl_trusted_certificate",
];

/// The files that stand in the draft where a server names none.
const MISSING: (&str, &str) = ("certs/edge.pem", "certs/edge.key");

impl<'a> Import<'a> {
    /// The first directive with this name in `own`, or in the nearest block around it.
    pub(super) fn inherited(&self, own: &'a [Directive], name: &str) -> Option<&'a Directive> {
        let blocks = std::iter::once(own).chain(self.levels.iter().rev().copied());
        blocks.flat_map(|block| block.iter().rev()).find(|directive| directive.name == name)
    }

    /// Whether the server listens in the clear, with TLS, or both.
    pub(super) fn listens(&mut self, server: &'a Directive) -> On {
        let all: Vec<&Directive> = server.inside().iter().filter(|inside| inside.name == "listen").collect();
        let is_old = server.find("ssl").is_some_and(|ssl| ssl.first() == "on");
        let (mut clear, mut encrypted) = (all.is_empty() && !is_old, all.is_empty() && is_old);
        for listen in all {
            let has = |word: &str| listen.arguments.iter().any(|argument| argument == word);
            if has("quic") {
                let mend = "nothing, if the server listens for TCP, too: browsers use HTTP/2 then";
                self.found.note(listen.line, "HTTP/3 (`quic`) is not translated", mend);
                continue;
            }
            if has("proxy_protocol") {
                let mend = "write `proxy_protocol: required` and `trusted_proxies` into the listener";
                self.found.note(listen.line, "the PROXY protocol is not translated", mend);
            }
            if has("ssl") || is_old { encrypted = true } else { clear = true }
        }
        match (clear, encrypted) {
            (true, true) => On::Both,
            (false, true) => On::Encrypted,
            (_, false) => On::Clear,
        }
    }

    /// Takes the certificate of a server with TLS into the listener.
    pub(super) fn certificate(&mut self, server: &'a Directive) {
        let file = |import: &mut Self, name: &str| -> Option<String> {
            let directive = import.inherited(server.inside(), name)?;
            let value = directive.first().to_owned();
            if value.contains('$') || value.starts_with("data:") || value.starts_with("engine:") {
                let mend = "write the PEM files into `tls` of the listener";
                import.found.note(directive.line, format!("`{name} {value}` is not a file"), mend);
                return None;
            }
            Some(value)
        };
        let certificate = file(self, "ssl_certificate");
        let key = file(self, "ssl_certificate_key");
        let is_missing = certificate.is_none() || key.is_none();
        let files = CertificateFiles {
            certificate: certificate.unwrap_or_else(|| MISSING.0.to_owned()),
            key: key.unwrap_or_else(|| MISSING.1.to_owned()),
        };
        let (ca, is_optional) = self.client_authorities(server);
        let is_first = self.found.draft.encrypted.is_none();
        let encrypted = self.found.draft.encrypted.get_or_insert_with(Encrypted::default);
        if is_missing {
            encrypted.comment = Some("TO REPLACE: the files of the certificate and its key.".to_owned());
            let what = "the server listens with TLS, and its certificate or key is not named";
            let mend = format!("write the PEM files {} and {}, or name others", MISSING.0, MISSING.1);
            self.found.notes.push(super::super::Note { line: server.line, what: what.to_owned(), mend });
        }
        if is_first {
            (encrypted.client_ca, encrypted.client_may_be_unknown) = (ca, is_optional);
        } else if (&encrypted.client_ca, encrypted.client_may_be_unknown) != (&ca, is_optional) {
            let what = "servers with TLS differ in the client certificates that they require, and a listener has one rule";
            let mend = "give this server a listener of its own; the rule of the first server with TLS counts until then";
            self.found.notes.push(super::super::Note {
                line: server.line,
                what: what.to_owned(),
                mend: mend.to_owned(),
            });
            // The stricter of both.
            let (one, other) = (encrypted.client_ca.clone(), ca);
            encrypted.client_may_be_unknown &= is_optional;
            if let (None, Some(ca)) = (one, other) {
                (encrypted.client_ca, encrypted.client_may_be_unknown) = (Some(ca), is_optional);
            }
        }
        if !encrypted.certificates.contains(&files) {
            encrypted.certificates.push(files);
        }
    }

    /// The authorities of client certificates, and whether a client may have none.
    fn client_authorities(&mut self, server: &'a Directive) -> (Option<String>, bool) {
        let verifies =
            self.inherited(server.inside(), "ssl_verify_client").map(|one| (one.line, one.first()));
        let authorities =
            self.inherited(server.inside(), "ssl_client_certificate").map(|one| one.first().to_owned());
        match verifies {
            None | Some((_, "off")) => (None, false),
            Some((_, "on")) => (authorities, false),
            Some((_, "optional")) => (authorities, true),
            Some((line, other)) => {
                let mend = "list the certificates that may call in `client_certificates`";
                self.found.note(line, format!("`ssl_verify_client {other}` is not translated"), mend);
                (None, false)
            }
        }
    }

    /// Says what a directive of TLS means that is not translated.
    pub(super) fn tls_directive(&mut self, directive: &Directive) {
        let Directive { line, name, .. } = directive;
        let old = |version: &&String| matches!(version.as_str(), "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1");
        match name.as_str() {
            "ssl_protocols" => {
                if let Some(version) = directive.arguments.iter().find(old) {
                    let mend = "nothing, unless such clients are known: the edge speaks TLS 1.2 and 1.3";
                    self.found.note(*line, format!("{version} is not spoken"), mend);
                }
            }
            // Read with the certificate.
            "ssl_client_certificate" | "ssl_verify_client" => {}
            silent if SILENT.contains(&silent) => {}
            _ => self.found.note(
                *line,
                format!("`{name} {}` is not translated", directive.arguments.join(" ")),
                "find out whether the edge has to: a listener's `tls` is in docs/edge-file.md",
            ),
        }
    }

    /// Whether the server sends every request that comes in the clear to https, under the name that the client used.
    pub(super) fn redirects(&self, server: &Directive, names: &[String]) -> bool {
        let here = |inside: &Directive| is_redirect(inside, names);
        server.inside().iter().any(|inside| match inside.name.as_str() {
            "return" => here(inside),
            "if" => {
                let condition: String = inside.arguments.concat();
                let by_scheme = condition.contains("$scheme") || condition.contains("$https");
                let by_name = condition.contains("$host") || condition.contains("$http_host");
                (by_scheme || by_name) && inside.inside().iter().any(here)
            }
            "location" => inside.arguments == ["/"] && inside.inside().iter().any(here),
            _ => false,
        })
    }

    /// Notes a server that redirects.
    pub(super) fn redirecting(&mut self, line: u64, names: Vec<String>) {
        self.redirecting.push(Redirecting { line, names });
    }

    /// Makes the listener in the clear redirect, when that is what all of its servers did.
    pub(super) fn finish_redirects(&mut self) {
        let redirecting = std::mem::take(&mut self.redirecting);
        if redirecting.is_empty() {
            return;
        }
        let draft = &mut self.found.draft;
        let is_clear = draft.hosts.iter().find(|host| host.on != On::Encrypted);
        if draft.encrypted.is_none() || is_clear.is_some() {
            let (what, mend) = match is_clear {
                Some(other) if draft.encrypted.is_some() => (
                    format!(
                        "a server redirects to https, and the host `{}` is served in the clear; a listener does one or the other",
                        other.name
                    ),
                    "give the redirect a listener of its own with `redirect: https`",
                ),
                Some(_) | None => (
                    "a server redirects to https, and no server listens with TLS".to_owned(),
                    "write `redirect: { https: 443 }` into a listener of its own, where another program ends TLS",
                ),
            };
            for Redirecting { line, names: _ } in redirecting {
                self.found.note(line, what.clone(), mend);
            }
            // What was redirected is not served in the clear.
            return;
        }
        draft.redirects = true;
        let every = redirecting.iter().any(|server| server.names.iter().any(|name| name == "*"));
        for host in &mut draft.hosts {
            let covers =
                |name: &String| every || redirecting.iter().any(|server| server.names.contains(name));
            host.on = if host.names.iter().any(covers) { On::Both } else { On::Encrypted };
        }
        let known: Vec<String> = draft.hosts.iter().flat_map(|host| host.names.clone()).collect();
        for Redirecting { line, names } in redirecting {
            for name in names.into_iter().filter(|name| name != "*" && !known.contains(name)) {
                let what = format!("{name} is redirected to https, and no server with TLS has that name");
                self.found.note(line, what, "add it to the host that is meant");
            }
        }
    }
}

/// Whether `return 301 https://$host$request_uri` sends the client to the same place with https.
fn is_redirect(directive: &Directive, names: &[String]) -> bool {
    let [status, target] = directive.arguments.as_slice() else { return false };
    let is_status = matches!(status.as_str(), "301" | "302" | "303" | "307" | "308");
    let Some(rest) = target.strip_prefix("https://") else { return false };
    let Some(host) = rest.strip_suffix("$request_uri") else { return false };
    let is_same =
        matches!(host, "$host" | "$http_host" | "$server_name") || matches!(names, [one] if one == host);
    directive.name == "return" && is_status && is_same
}
