//! Routes from nginx's configuration.

mod backend;
mod directives;
mod headers;
mod tls;

use std::collections::BTreeMap;

use directives::{KNOWN, OWN_HEADERS, SILENT};
use tls::Redirecting;

use super::nginx_text::{self, Directive};
use super::{Found, Unreadable, limits};
use crate::draft::{Host, Limit, On, Route, Taken, free_name, name_of};

pub(super) fn read(text: &str) -> Result<Found, Unreadable> {
    let directives = nginx_text::read(text)?;
    let mut import = Import::default();
    import.top(&directives);
    import.finish_redirects();
    Ok(import.found)
}

#[derive(Default)]
struct Import<'a> {
    found: Found,
    /// The addresses of the upstreams, by name.
    upstreams: BTreeMap<String, Vec<String>>,
    /// The zones of `limit_req_zone`, by name.
    zones: BTreeMap<String, Limit>,
    /// The `map`s by the origin of a page.
    origin_maps: Vec<&'a Directive>,
    /// The blocks around, from the outermost on.
    levels: Vec<&'a [Directive]>,
    /// The servers that send every request to https.
    redirecting: Vec<Redirecting>,
}

impl<'a> Import<'a> {
    fn top(&mut self, directives: &'a [Directive]) {
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
        let by_origin = |map: &&Directive| map.name == "map" && map.first() == "$http_origin";
        self.origin_maps.extend(directives.iter().filter(by_origin));
        self.levels.push(directives);
        for directive in directives {
            match directive.name.as_str() {
                "limit_req" | "limit_req_zone" => {}
                "map" if by_origin(&directive) => {}
                "add_header" if headers::is_known(directive) => {}
                name if name.starts_with("ssl_") => self.tls_directive(directive),
                name if name.starts_with("proxy_ssl_") => self.proxy_tls_directive(directive),
                "http" => self.top(directive.inside()),
                "server" => self.server(directive),
                "upstream" => {}
                _ => self.other(directive, ""),
            }
        }
        self.levels.pop();
    }

    fn not_limited(&mut self, directive: &Directive, why: &str) {
        let shown = std::iter::once(&directive.name).chain(&directive.arguments).cloned().collect::<Vec<_>>();
        let mend = "write a limit into `limits`, and name it in the route";
        self.found.note(directive.line, format!("`{}` is not translated: {why}", shown.join(" ")), mend);
    }

    /// The names of the limits of a location with the directives `inside`: its own, else those of the nearest block around it
    /// that has any, as nginx inherits them.
    fn limits(&mut self, inside: &'a [Directive]) -> Vec<String> {
        let blocks = std::iter::once(inside).chain(self.levels.iter().rev().copied());
        let used = blocks.map(uses).find(|uses| !uses.is_empty()).unwrap_or_default();
        let mut names = Vec::new();
        for directive in used {
            let Some((zone, burst)) = limits::of_use(directive) else {
                self.not_limited(directive, "its burst or its zone cannot be read");
                continue;
            };
            let Some(limit) = self.zones.get(zone).cloned() else {
                self.not_limited(directive, "its zone is not translated");
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

    fn server(&mut self, server: &'a Directive) {
        let names = self.names(server);
        let on = self.listens(server);
        let redirects = self.redirects(server, &names);
        if redirects {
            self.redirecting(server.line, names.clone());
        }
        if redirects && on == On::Clear {
            let passes =
                |inside: &&Directive| inside.name == "location" && inside.find("proxy_pass").is_some();
            for location in server.inside().iter().filter(passes) {
                let shown = location.arguments.join(" ");
                let what = format!("location {shown} of a server that redirects to https is not translated");
                self.found.note(location.line, what, "serve it with TLS, or on a listener of its own");
            }
            return;
        }
        let has = |name: &str| server.inside().iter().any(|inside| inside.name == name);
        if has("return") && !has("location") {
            let what = "a server that only redirects is not translated";
            self.found.note(server.line, what, "let a backend redirect");
            return;
        }
        // What redirects in the clear is served with TLS alone.
        let on = if redirects { On::Encrypted } else { on };
        if on != On::Clear {
            self.certificate(server);
        }
        let first = names.first().map_or("any", String::as_str);
        let host = name_of(first, "any");
        let host = free_name(&host, self.found.draft.hosts.iter().map(|host| host.name.as_str()));
        let shares = |one: On| one == on || one == On::Both || on == On::Both;
        let hosts = self.found.draft.hosts.iter().filter(|host| shares(host.on));
        let taken: Vec<String> = hosts.flat_map(|host| host.names.clone()).collect();
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
        self.levels.push(server.inside());
        for inside in server.inside() {
            match inside.name.as_str() {
                "location" => self.location(inside, &host),
                "listen" | "server_name" | "limit_req" | "ssl" => {}
                "add_header" if headers::is_known(inside) => {}
                "if" if headers::is_preflight(inside) || redirects => {}
                name if name.starts_with("ssl_") => self.tls_directive(inside),
                name if name.starts_with("proxy_ssl_") => self.proxy_tls_directive(inside),
                "proxy_set_header" => self.header(inside),
                _ => self.other(inside, ""),
            }
        }
        self.levels.pop();
        let hsts = self.hsts(server, on != On::Clear);
        let routes = self.found.draft.routes.get_mut(before..).unwrap_or_default();
        if let Some(one) = routes.first() {
            // What all of them have is that of the host.
            let shared =
                one.cors.clone().filter(|cors| routes.iter().all(|route| route.cors.as_ref() == Some(cors)));
            if shared.is_some() {
                routes.iter_mut().for_each(|route| route.cors = None);
            }
            self.found.draft.hosts.push(Host { name: host, names: new, on, hsts, cors: shared });
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

    fn location(&mut self, location: &'a Directive, host: &str) {
        let (modifier, path) = match location.arguments.as_slice() {
            [path] => ("", path.as_str()),
            [modifier, path] => (modifier.as_str(), path.as_str()),
            _ => ("", ""),
        };
        let shown = location.arguments.join(" ");
        for inside in location.inside() {
            match inside.name.as_str() {
                "location" => {
                    self.levels.push(location.inside());
                    self.location(inside, host);
                    self.levels.pop();
                }
                "proxy_pass" | "limit_req" => {}
                "add_header" if headers::is_known(inside) => {}
                "if" if headers::is_preflight(inside) => {}
                name if name.starts_with("proxy_ssl_") => self.proxy_tls_directive(inside),
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
        let Some(backend) = self.backend(pass, path, location) else { return };
        let limits = self.limits(location.inside());
        let cors = self.cors(location);
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
            cors,
        });
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
fn uses(directives: &[Directive]) -> Vec<&Directive> {
    directives.iter().filter(|directive| directive.name == "limit_req").collect()
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
