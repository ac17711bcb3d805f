//! Routes from nginx's configuration.

mod directives;

use std::collections::BTreeMap;

use directives::{KNOWN, OWN_HEADERS, SILENT};

use super::nginx_text::{self, Directive};
use super::{Found, Unreadable, limits};
use crate::draft::{Backend, Host, Limit, Route, Taken, free_name, name_of};

pub(super) fn read(text: &str) -> Result<Found, Unreadable> {
    let directives = nginx_text::read(text)?;
    let (upstreams, zones) = (BTreeMap::new(), BTreeMap::new());
    let mut import = Import { found: Found::default(), upstreams, zones, limited: Vec::new() };
    import.top(&directives);
    Ok(import.found)
}

struct Import {
    found: Found,
    /// The addresses of the upstreams, by name.
    upstreams: BTreeMap<String, Vec<String>>,
    /// The zones of `limit_req_zone`, by name.
    zones: BTreeMap<String, Limit>,
    /// The `limit_req` of the blocks around, from the outermost on.
    limited: Vec<Vec<Directive>>,
}

impl Import {
    fn top(&mut self, directives: &[Directive]) {
        // Upstreams may stand after the servers that use them.
        for directive in directives.iter().filter(|directive| directive.name == "upstream") {
            self.upstream(directive);
        }
        for directive in directives.iter().filter(|directive| directive.name == "limit_req_zone") {
            match limits::of_zone(directive) {
                Ok((zone, limit)) => drop(self.zones.insert(zone, limit)),
                Err(why) => self.not_limited(directive, &why),
            }
        }
        self.limited.push(uses(directives));
        for directive in directives {
            match directive.name.as_str() {
                "limit_req" | "limit_req_zone" => {}
                "http" => self.top(directive.inside()),
                "server" => self.server(directive),
                "upstream" => {}
                _ => self.other(directive, ""),
            }
        }
        self.limited.pop();
    }

    fn not_limited(&mut self, directive: &Directive, why: &str) {
        let shown = std::iter::once(&directive.name).chain(&directive.arguments).cloned().collect::<Vec<_>>();
        let mend = "write a limit into `limits`, and name it in the route";
        self.found.note(directive.line, format!("`{}` is not translated: {why}", shown.join(" ")), mend);
    }

    /// The names of the limits of a location with the directives `inside`: its own, else those of the nearest block around it
    /// that has any, as nginx inherits them.
    fn limits(&mut self, inside: &[Directive]) -> Vec<String> {
        let own = uses(inside);
        let used = if own.is_empty() {
            self.limited.iter().rev().find(|uses| !uses.is_empty()).cloned().unwrap_or_default()
        } else {
            own
        };
        let mut names = Vec::new();
        for directive in used {
            let Some((zone, burst)) = limits::of_use(&directive) else {
                self.not_limited(&directive, "its burst or its zone cannot be read");
                continue;
            };
            let Some(limit) = self.zones.get(zone).cloned() else {
                self.not_limited(&directive, "its zone is not translated");
                continue;
            };
            let name = name_of(&limit.name, "limit");
            let known = self.found.draft.limits.iter_mut().find(|known| known.name == name);
            match known {
                // One zone has one counter: of several bursts the smallest counts, so that none is looser.
                Some(known) if known.burst != Some(burst) => {
                    let smallest = known.burst.unwrap_or(burst).min(burst);
                    known.burst = Some(smallest);
                    let what = format!(
                        "the zone {zone} has several bursts, and its limit allows {smallest} at once"
                    );
                    self.found.note(
                        directive.line,
                        what,
                        "write a limit of its own for each, where that is meant",
                    );
                }
                Some(_) => {}
                None => {
                    self.found.draft.limits.push(Limit { name: name.clone(), burst: Some(burst), ..limit })
                }
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Says what a directive that is not translated means.
    fn other(&mut self, directive: &Directive, place: &str) {
        let Directive { line, name, arguments, block: _ } = directive;
        let shown = std::iter::once(name).chain(arguments).cloned().collect::<Vec<_>>().join(" ");
        if name == "include" {
            // Types of files, which matter to servers of files alone.
            if !directive.first().ends_with("mime.types") {
                let mend = "import the output of `nginx -T`, which has the included files in it";
                self.found.note(*line, format!("`{shown}` is not read"), mend);
            }
            return;
        }
        // `auth_basic off;` says that nginx does not look; the backend may.
        if SILENT.contains(&name.as_str()) {
            return;
        }
        let known = KNOWN.iter().find(|(known, _)| known == name).map(|(_, mend)| *mend);
        let mend = known
            .unwrap_or("find out what it does, and whether the edge has to; nothing of it was taken over");
        self.found.note(*line, format!("`{shown}`{place} is not translated"), mend);
    }

    fn upstream(&mut self, directive: &Directive) {
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

    fn server(&mut self, server: &Directive) {
        let names = self.names(server);
        let locations: Vec<&Directive> =
            server.inside().iter().filter(|inside| inside.name == "location").collect();
        if server.inside().iter().any(|inside| inside.name == "return") && locations.is_empty() {
            self.found.note(
                server.line,
                "a server that only redirects is not translated",
                "let a backend redirect",
            );
            return;
        }
        if server
            .inside()
            .iter()
            .any(|inside| inside.name == "listen" && inside.arguments.iter().any(|word| word == "ssl"))
        {
            let mend = "give the listener its certificate: `tls: { certificate: …, key: … }`";
            self.found.note(server.line, "the server listens with TLS", mend);
        }
        let first = names.first().map_or("any", String::as_str);
        let host = name_of(first, "any");
        let host = free_name(&host, self.found.draft.hosts.iter().map(|host| host.name.as_str()));
        let taken: Vec<String> = self.found.draft.hosts.iter().flat_map(|host| host.names.clone()).collect();
        let (known, new): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| taken.contains(name));
        for name in known {
            let mend =
                "one of the servers with this name counts: take over by hand what the other one has more";
            self.found.note(server.line, format!("the name {name} has a server already"), mend);
        }
        if new.is_empty() {
            return;
        }
        let before = self.found.draft.routes.len();
        self.limited.push(uses(server.inside()));
        for inside in server.inside() {
            match inside.name.as_str() {
                "location" => self.location(inside, &host),
                "listen" | "server_name" | "limit_req" => {}
                name if name.starts_with("ssl_") || name == "proxy_set_header" => self.header(inside),
                _ => self.other(inside, ""),
            }
        }
        self.limited.pop();
        if self.found.draft.routes.len() > before {
            self.found.draft.hosts.push(Host { name: host, names: new });
        }
    }

    fn names(&mut self, server: &Directive) -> Vec<String> {
        let mut names = Vec::new();
        for directive in server.inside().iter().filter(|inside| inside.name == "server_name") {
            for name in &directive.arguments {
                let lower = name.to_ascii_lowercase();
                if lower == "_" || lower.is_empty() {
                    names.push("*".to_owned());
                } else if let Some(bare) = lower.strip_prefix('.').filter(|bare| is_host(bare)) {
                    // `.example.com` is the name and every name below it.
                    names.extend([bare.to_owned(), format!("*.{bare}")]);
                } else if is_host(lower.strip_prefix("*.").unwrap_or(&lower)) {
                    names.push(lower);
                } else {
                    let mend = "list the names one by one in `names`";
                    self.found.note(directive.line, format!("the name {name} is not translated"), mend);
                }
            }
        }
        let is_named = server.find("server_name").is_some();
        if !is_named {
            names.push("*".to_owned());
        }
        names
    }

    fn location(&mut self, location: &Directive, host: &str) {
        let (modifier, path) = match location.arguments.as_slice() {
            [path] => ("", path.as_str()),
            [modifier, path] => (modifier.as_str(), path.as_str()),
            _ => ("", ""),
        };
        let shown = location.arguments.join(" ");
        for inside in location.inside() {
            match inside.name.as_str() {
                "location" => {
                    self.limited.push(uses(location.inside()));
                    self.location(inside, host);
                    self.limited.pop();
                }
                "proxy_pass" | "limit_req" => {}
                "proxy_set_header" => self.header(inside),
                _ => self.other(inside, &format!(" in location {shown}")),
            }
        }
        let Some(pass) = location.find("proxy_pass") else {
            if !location.inside().iter().any(|inside| inside.name == "location") {
                self.found.note(
                    location.line,
                    format!("location {shown} has no `proxy_pass`, and no route is made of it"),
                    "give it a backend, and a route",
                );
            }
            return;
        };
        if path.starts_with('@') {
            self.found.note(
                location.line,
                format!("location {shown} is reached from other locations alone"),
                "write routes for the paths that lead there",
            );
            return;
        }
        if location.find("internal").is_some() {
            return;
        }
        let taken = match modifier {
            "=" => plain(path).map(Taken::Exact),
            "" | "^~" => plain(path).map(|path| Taken::Prefix(whole_segments(&path))),
            _ => None,
        };
        let Some(taken) = taken else {
            let mend = "write routes for the paths that it means; until then the routes around it take them, which need a session";
            self.found.note(
                location.line,
                format!("location {shown} matches by a pattern, and no route is made of it"),
                mend,
            );
            return;
        };
        let Some(backend) = self.backend(pass, path) else { return };
        let limits = self.limits(location.inside());
        let draft = &mut self.found.draft;
        if draft.routes.iter().any(|route| route.host == host && route.path == taken) {
            self.found.note(
                location.line,
                format!("location {shown} has a route already"),
                "keep one of the two",
            );
            return;
        }
        let label = match &taken {
            Taken::Exact(path) | Taken::Template(path) | Taken::Prefix(path) => path.clone(),
        };
        let name = name_of(&format!("{host}-{label}"), "route");
        let name = free_name(&name, draft.routes.iter().map(|route| route.name.as_str()));
        let is_websocket = location.inside().iter().any(|inside| {
            inside.name == "proxy_set_header" && inside.first().eq_ignore_ascii_case("upgrade")
        });
        draft.routes.push(Route {
            name,
            host: host.to_owned(),
            path: taken,
            methods: Vec::new(),
            // nginx does not say whether the backend lets every caller pass.
            is_public: false,
            scopes: Vec::new(),
            to: backend,
            is_websocket,
            limits,
        });
    }

    /// The backend of a `proxy_pass`.
    fn backend(&mut self, pass: &Directive, path: &str) -> Option<String> {
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

    /// Headers that nginx sets for a backend.
    fn header(&mut self, directive: &Directive) {
        let name = directive.first().to_ascii_lowercase();
        if directive.name == "proxy_set_header" && !OWN_HEADERS.contains(&name.as_str()) {
            let mend = "a constant one goes into `request_headers` of the backend; who the caller is the edge writes itself";
            self.found.note(directive.line, format!("the header {} is not set", directive.first()), mend);
        }
    }
}

/// The `limit_req` among `directives`.
fn uses(directives: &[Directive]) -> Vec<Directive> {
    directives.iter().filter(|directive| directive.name == "limit_req").cloned().collect()
}

/// Whether `name` is a name of a host, without a wildcard.
fn is_host(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') && !name.starts_with('.')
}

/// A path that a route can have: the plain spelling.
fn plain(path: &str) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()+,=:@".contains(&b);
    let good = path.starts_with('/') && path.bytes().all(is_plain) && !path.contains("//");
    let no_dots = path.split('/').all(|segment| segment != "." && segment != "..");
    (good && no_dots).then(|| path.to_owned())
}

/// The prefix without the slash at its end: a prefix of the edge takes whole segments.
fn whole_segments(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

fn with_port(address: &str, port: u16) -> String {
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { address.to_owned() } else { format!("{address}:{port}") }
}
