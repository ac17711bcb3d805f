//! Backends: the addresses of `upstream`, and what `proxy_pass` means.

use super::super::nginx_text::Directive;
use super::super::with_port;
use super::Import;
use crate::draft::{Backend, free_name, name_of};

impl Import {
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
    pub(super) fn backend(&mut self, pass: &Directive, path: &str) -> Option<String> {
        let target = pass.first();
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
        if !scheme.is_empty() {
            let mend = "name their authorities where they are private: `tls: { ca: … }`";
            refuse("speaks TLS, and nginx verifies no certificates by itself; the edge always does", mend);
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
        let draft = &mut self.found.draft;
        if let Some(known) = draft.backends.iter().find(|known| known.addresses == addresses) {
            return Some(known.name.clone());
        }
        let name =
            if name.starts_with(|c: char| c.is_ascii_digit()) { format!("backend-{name}") } else { name };
        let name = free_name(&name, draft.backends.iter().map(|known| known.name.as_str()));
        draft.backends.push(Backend { name: name.clone(), addresses, comment: None });
        Some(name)
    }
}
