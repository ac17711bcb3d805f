//! Backends: the address of a service, or the targets of its upstream.

use super::super::with_port;
use super::super::yaml::Yaml;
use super::{Import, elements};
use crate::draft::{Backend, BackendTls, free_name, name_of};

impl Import<'_> {
    /// The backend of a service, whose addresses may be those of an upstream.
    pub(super) fn backend(&mut self, service: &Yaml, name: &str) -> Option<String> {
        let url = service.text_of("url");
        let (protocol, rest) = match url.and_then(|url| url.split_once("://")) {
            Some((protocol, rest)) => (protocol.to_owned(), rest.to_owned()),
            None => {
                let host = service.text_of("host").unwrap_or_default();
                let port = service.text_of("port").unwrap_or(match service.text_of("protocol") {
                    Some("https") => "443",
                    Some(_) | None => "80",
                });
                let path = service.text_of("path").unwrap_or_default();
                (service.text_of("protocol").unwrap_or("http").to_owned(), format!("{host}:{port}{path}"))
            }
        };
        let (scheme, port) = match protocol.as_str() {
            "http" => ("", 80),
            "https" => ("https://", 443),
            _ => {
                let what = format!("the service {name} speaks {protocol}, and no route is made of it");
                self.found.note(service.line, what, "write the backend's address, and a route");
                return None;
            }
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !path.is_empty() && path != "/" {
            let what =
                format!("the service {name} puts {path} in front of the path, which the edge never does");
            self.found.note(
                service.line,
                what,
                "let the backend serve the path that clients send, until then it answers 404",
            );
        }
        let host = authority.split(':').next().unwrap_or(authority);
        let upstream =
            elements(self.document, "upstreams").iter().find(|one| one.text_of("name") == Some(host));
        let addresses: Vec<String> = match upstream {
            Some(upstream) => elements(upstream, "targets")
                .iter()
                .filter_map(|target| {
                    target.text_of("target").map(|target| format!("{scheme}{}", with_port(target, 8_000)))
                })
                .collect(),
            None => vec![format!("{scheme}{}", with_port(authority, port))],
        };
        if host.is_empty() || addresses.is_empty() {
            self.found.note(
                service.line,
                format!("the service {name} has no address, and no route is made of it"),
                "write `url` or `host`",
            );
            return None;
        }
        let tls =
            if scheme.is_empty() { BackendTls::default() } else { self.backend_tls(service, name, upstream) };
        let draft = &mut self.found.draft;
        let named = free_name(&name_of(name, "service"), draft.backends.iter().map(|one| one.name.as_str()));
        draft.backends.push(Backend { name: named.clone(), addresses, tls, comment: None });
        Some(named)
    }
}
