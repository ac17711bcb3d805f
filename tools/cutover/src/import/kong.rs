//! Routes from Kong's declarative configuration.

mod backend;

use super::yaml::{self, Yaml};
use super::{Found, Unreadable, limits};
use crate::draft::{Host, Limit, Route, Taken, free_name, name_of};

/// Plugins that find out who the caller is, each with what to do.
const WHO: [(&str, &str); 11] = [
    ("acl", "write `roles` or `scopes` into a policy"),
    ("basic-auth", "give its people tokens"),
    ("hmac-auth", "use a policy of kind `signed` (docs/signed-requests.md)"),
    ("jwt", "name the issuer in `sessions`"),
    ("jwt-signer", "name the issuer in `sessions`; backends read the identity that the edge signs"),
    ("key-auth", "add `api_keys` and `accept: [session, api-key]`; `cutover apikey import` takes keys over"),
    ("ldap-auth", "give its people tokens"),
    ("mtls-auth", "require client certificates at a listener (`client_ca`)"),
    ("oauth2", "name the issuer in `sessions`"),
    ("openid-connect", "name the issuer in `sessions`"),
    ("session", "name the cookie in `sessions`"),
];

/// Other plugins that are known, each with what to do.
const OTHER: [(&str, &str); 18] = [
    ("bot-detection", "nothing of it is in the edge"),
    ("correlation-id", "nothing: every request has an id in `x-request-id`"),
    ("cors", "list the origins in `browser_origins`; the backend answers preflights"),
    ("file-log", "nothing: the edge has an access log (docs/access-log.md)"),
    ("http-log", "nothing: the edge has an access log (docs/access-log.md)"),
    ("ip-restriction", "write the addresses into a policy by hand"),
    ("opentelemetry", "nothing: the authorizer sends spans"),
    ("pre-function", "find out what the code does; the edge runs none"),
    ("post-function", "find out what the code does; the edge runs none"),
    ("prometheus", "nothing: Envoy and the authorizer have metrics"),
    ("proxy-cache", "let the backend do it"),
    ("rate-limiting", "write a limit into `limits`, and name it in the route"),
    ("request-size-limiting", "let the backend refuse long bodies"),
    ("request-termination", "let a backend answer, or remove the route"),
    (
        "request-transformer",
        "a constant header goes into `request_headers` of the backend; nothing else is changed on the way",
    ),
    ("response-ratelimiting", "write a limit into `limits`, and name it in the route"),
    ("response-transformer", "let the backend send what clients need: the edge changes no answer"),
    ("zipkin", "nothing: the authorizer sends spans"),
];

/// The plugin that limits how many requests a caller has.
const RATE_LIMITING: &str = "rate-limiting";

/// Conditions of a route that an edge's route cannot have. Without them it would take requests that are not its own.
const CONDITIONS: [&str; 4] = ["headers", "snis", "sources", "destinations"];

pub(super) fn read(text: &str) -> Result<Found, Unreadable> {
    let document = yaml::read(text)?;
    if document.get("_format_version").is_none() && document.get("services").is_none() {
        let mend = "a declarative configuration has `_format_version` and `services`; `deck gateway dump` writes one";
        return Err(Unreadable::new(document.line, "the file is not Kong's declarative configuration", mend));
    }
    let mut import = Import { found: Found::default(), upstreams: &document };
    for plugin in elements(&document, "plugins") {
        import.plugin(plugin, "every route");
    }
    for service in elements(&document, "services") {
        import.service(service, &document);
    }
    for route in elements(&document, "routes") {
        if route.get("service").is_none() {
            import.found.note(
                route.line,
                "a route has no service, and none is made of it",
                "let a backend answer",
            );
        }
    }
    for section in ["consumers", "consumer_groups", "certificates", "vaults"] {
        if let Some(listed) = document.get(section) {
            let mend = match section {
                "consumers" | "consumer_groups" => {
                    "keys are taken over by `cutover apikey import`; people have tokens of the issuer in `sessions`"
                }
                _ => "write certificates into `tls` of a listener",
            };
            import.found.note(listed.line, format!("`{section}` is not translated"), mend);
        }
    }
    Ok(import.found)
}

fn elements<'a>(of: &'a Yaml, name: &str) -> &'a [Yaml] {
    of.get(name).map(Yaml::elements).unwrap_or_default()
}

struct Import<'a> {
    found: Found,
    /// The whole document, which lists upstreams by name.
    upstreams: &'a Yaml,
}

impl Import<'_> {
    /// Says what a plugin means. None of them opens a route.
    fn plugin(&mut self, plugin: &Yaml, of: &str) {
        let name = plugin.text_of("name").unwrap_or("?");
        if plugin.get("enabled").and_then(Yaml::boolean) == Some(false) {
            return;
        }
        if let Some((_, mend)) = WHO.iter().find(|(known, _)| *known == name) {
            self.found.note(
                plugin.line,
                format!("the plugin {name} of {of} is not translated; its routes need a session"),
                *mend,
            );
            return;
        }
        // Its limits are written where routes are made.
        if name == RATE_LIMITING && limits::of_kong(plugin, name).is_ok() {
            return;
        }
        match OTHER.iter().find(|(known, _)| *known == name) {
            Some((_, mend)) => {
                let why = match limits::of_kong(plugin, name) {
                    Err(why) if name == RATE_LIMITING => format!(": {why}"),
                    Ok(_) | Err(_) => String::new(),
                };
                self.found.note(
                    plugin.line,
                    format!("the plugin {name} of {of} is not translated{why}"),
                    *mend,
                );
            }
            None => self.found.note(
                plugin.line,
                format!("the plugin {name} of {of} is not known here; its routes need a session"),
                "find out what it does, and whether the edge or the backend has to",
            ),
        }
    }

    fn service(&mut self, service: &Yaml, document: &Yaml) {
        let name = service.text_of("name").unwrap_or("service");
        for plugin in elements(service, "plugins") {
            self.plugin(plugin, &format!("service {name}"));
        }
        let inside = elements(service, "routes").iter();
        let elsewhere = elements(document, "routes").iter().filter(|route| {
            let of = route.get("service");
            let named =
                of.and_then(|of| of.text().or_else(|| of.text_of("name")).or_else(|| of.text_of("id")));
            named.is_some_and(|named| named == name || service.text_of("id") == Some(named))
        });
        let routes: Vec<&Yaml> = inside.chain(elsewhere).collect();
        let Some(backend) = self.backend(service, name) else { return };
        for route in routes {
            self.route(route, (name, service), &backend);
        }
    }

    fn route(&mut self, route: &Yaml, (service_name, service): (&str, &Yaml), backend: &str) {
        let name = route.text_of("name").map_or_else(|| service_name.to_owned(), str::to_owned);
        for plugin in elements(route, "plugins") {
            self.plugin(plugin, &format!("route {name}"));
        }
        let protocols = route.texts_of("protocols");
        if !protocols.is_empty() && !protocols.iter().any(|protocol| ["http", "https"].contains(protocol)) {
            self.found.note(
                route.line,
                format!("the route {name} is for {}, and none is made of it", protocols.join(", ")),
                "write it by hand",
            );
            return;
        }
        if let Some(condition) = CONDITIONS.iter().find(|condition| route.get(condition).is_some()) {
            let what = format!(
                "the route {name} depends on `{condition}`, and none is made of it: without that it would take other requests"
            );
            self.found.note(route.line, what, "write routes by host, path and method, or a `canary`");
            return;
        }
        let host = self.host(route, &name);
        let Some(host) = host else { return };
        let paths = route.texts_of("paths");
        let strips = route.get("strip_path").and_then(Yaml::boolean).unwrap_or(true);
        let methods = self.methods(route, &name);
        let limits = self.limits(route, &name, Some(service));
        let paths = if paths.is_empty() { vec!["/"] } else { paths };
        for path in paths {
            if strips && path != "/" {
                let what =
                    format!("the route {name} removes {path} from the path, which the edge never does");
                let mend = "let the backend serve the path that clients send, until then it answers 404";
                self.found.note(route.line, what, mend);
            }
            self.one(route, &name, (&host, path), (&methods, &limits), backend);
        }
    }

    fn one(
        &mut self,
        route: &Yaml,
        name: &str,
        (host, path): (&str, &str),
        (methods, limits): (&[String], &[String]),
        backend: &str,
    ) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._!&,=:@".contains(&b);
        if path.starts_with('~') || !path.starts_with('/') || !path.bytes().all(plain) || path.contains("//")
        {
            let what =
                format!("the path {path} of the route {name} is a pattern, and no route is made of it");
            let mend = "write routes for the paths that it means; until then the routes around it take them, which need a session";
            self.found.note(route.line, what, mend);
            return;
        }
        let trimmed = path.trim_end_matches('/');
        let taken = Taken::Prefix(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() });
        let overlaps = |other: &Route| {
            other.host == host
                && other.path == taken
                && (other.methods == methods || other.methods.iter().any(|method| methods.contains(method)))
        };
        let draft = &mut self.found.draft;
        if let Some(other) = draft.routes.iter().find(|other| overlaps(other)) {
            let what = format!("the path {path} of the route {name} is that of `{}`", other.name);
            self.found.note(route.line, what, "keep one of the two");
            return;
        }
        let name = free_name(&name_of(name, "route"), draft.routes.iter().map(|route| route.name.as_str()));
        draft.routes.push(Route {
            name,
            host: host.to_owned(),
            path: taken,
            methods: methods.to_vec(),
            // No plugin says that every caller may pass; without one, the backend may look itself.
            is_public: false,
            scopes: Vec::new(),
            to: backend.to_owned(),
            is_websocket: false,
            limits: limits.to_vec(),
        });
    }

    /// The names of the limits that the plugin of `route`, else of `service`, else of the whole configuration has: of several
    /// plugins of one name, Kong runs the one nearest to the route.
    fn limits(&mut self, route: &Yaml, name: &str, service: Option<&Yaml>) -> Vec<String> {
        let runs = |plugin: &&Yaml| {
            plugin.text_of("name") == Some(RATE_LIMITING)
                && plugin.get("enabled").and_then(Yaml::boolean) != Some(false)
        };
        let of = |owner: Option<&'_ Yaml>| {
            let listed = owner.map(|owner| elements(owner, "plugins")).unwrap_or_default();
            listed.iter().find(runs).cloned()
        };
        let near = of(Some(route)).map(|plugin| (plugin, name.to_owned()));
        let of_service = || {
            let service = service?;
            Some((of(Some(service))?, service.text_of("name").unwrap_or("service").to_owned()))
        };
        let of_all = || of(Some(self.upstreams)).map(|plugin| (plugin, "all".to_owned()));
        let Some((plugin, owner)) = near.or_else(of_service).or_else(of_all) else { return Vec::new() };
        let Ok(limits) = limits::of_kong(&plugin, &name_of(&owner, "limit")) else { return Vec::new() };
        let draft = &mut self.found.draft;
        let mut names = Vec::new();
        for limit in limits {
            if !draft.limits.contains(&limit) {
                let free = free_name(&limit.name, draft.limits.iter().map(|known| known.name.as_str()));
                draft.limits.push(Limit { name: free.clone(), ..limit });
                names.push(free);
            } else {
                names.push(limit.name);
            }
        }
        names
    }

    fn methods(&mut self, route: &Yaml, name: &str) -> Vec<String> {
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let listed = route.texts_of("methods");
        let (good, other): (Vec<&str>, Vec<&str>) =
            listed.into_iter().partition(|method| known.contains(method));
        for method in other {
            self.found.note(
                route.line,
                format!("the route {name} takes {method}, which is not translated"),
                "add it by hand, if the edge takes it",
            );
        }
        good.into_iter().map(str::to_owned).collect()
    }

    /// The host group of the route; absent when none of its names can be one.
    fn host(&mut self, route: &Yaml, name: &str) -> Option<String> {
        let listed = route.texts_of("hosts");
        let mut names: Vec<String> = Vec::new();
        for host in &listed {
            let lower = host.to_ascii_lowercase();
            // `*.example.com` means the same in both: every name below it. `example.*` is a pattern.
            let bare = lower.strip_prefix("*.").unwrap_or(&lower);
            if bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
                names.push(lower);
            } else {
                self.found.note(
                    route.line,
                    format!("the host {host} of the route {name} is not translated"),
                    "list the names one by one",
                );
            }
        }
        if listed.is_empty() {
            names.push("*".to_owned());
        }
        if names.is_empty() {
            return None;
        }
        names.sort();
        let draft = &mut self.found.draft;
        if let Some(known) = draft.hosts.iter().find(|host| host.names == names) {
            return Some(known.name.clone());
        }
        let taken = draft.hosts.iter().find(|host| host.names.iter().any(|known| names.contains(known)));
        if let Some(taken) = taken {
            let what = format!(
                "the route {name} shares some names with others, and its route is on the host `{}`",
                taken.name
            );
            let host = taken.name.clone();
            self.found.note(route.line, what, "move it to the host group whose names it means");
            return Some(host);
        }
        let first = names.first().filter(|name| *name != "*").map_or("any", String::as_str);
        let host = free_name(&name_of(first, "any"), draft.hosts.iter().map(|host| host.name.as_str()));
        draft.hosts.push(Host { name: host.clone(), names });
        Some(host)
    }
}
