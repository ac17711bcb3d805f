//! Routes from Kong's declarative configuration.

mod backend;
mod cors;
mod host;
mod tls;

use cors::CORS;
use tls::{Certificate, reference};

use super::yaml::{self, Yaml};
use super::{Found, Unreadable, limits};
use crate::draft::{Cors, Limit, On, Route, Taken, free_name, name_of};

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
const OTHER: [(&str, &str); 17] = [
    ("bot-detection", "nothing of it is in the edge"),
    ("correlation-id", "nothing: every request has an id in `x-request-id`"),
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

/// What a plugin at the top of the file may belong to; without any of them it is for every route.
const OWNERS: [&str; 4] = ["route", "service", "consumer", "consumer_group"];

/// Conditions of a route that an edge's route cannot have. Without them it would take requests that are not its own.
const CONDITIONS: [&str; 4] = ["headers", "snis", "sources", "destinations"];

pub(super) fn read(text: &str) -> Result<Found, Unreadable> {
    let document = yaml::read(text)?;
    if document.get("_format_version").is_none() && document.get("services").is_none() {
        let mend = "a declarative configuration has `_format_version` and `services`; `deck gateway dump` writes one";
        return Err(Unreadable::new(document.line, "the file is not Kong's declarative configuration", mend));
    }
    let mut import = Import {
        found: Found::default(),
        document: &document,
        certificates: Vec::new(),
        redirecting: Vec::new(),
    };
    import.certificates();
    for plugin in elements(&document, "plugins") {
        let named = |kind: &str| Some(format!("{kind} {}", plugin.get(kind).and_then(reference)?));
        let of = OWNERS.into_iter().find_map(named).unwrap_or_else(|| "every route".to_owned());
        import.plugin(plugin, &of);
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
    import.finish_redirects();
    import.shared_cors();
    for section in ["consumers", "consumer_groups", "vaults"] {
        if let Some(listed) = document.get(section) {
            let mend = match section {
                "consumers" | "consumer_groups" => {
                    "keys are taken over by `cutover apikey import`; people have tokens of the issuer in `sessions`"
                }
                _ => "write secrets into files: the edge file names them",
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
    /// The whole document, which lists upstreams, plugins and certificates.
    document: &'a Yaml,
    certificates: Vec<Certificate>,
    /// The routes for which Kong redirects to https: line and host.
    redirecting: Vec<(u64, String)>,
}

impl<'a> Import<'a> {
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
        let is_of_callers = plugin.get("consumer").is_some() || plugin.get("consumer_group").is_some();
        if !is_of_callers && name == RATE_LIMITING && limits::of_kong(plugin, name).is_ok() {
            return;
        }
        if name == CORS {
            if is_of_callers {
                let mend = "write `cors` of the host or the route: a preflight names no caller";
                self.found.note(plugin.line, format!("the plugin cors of {of} is not translated"), mend);
            }
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

    fn service(&mut self, service: &'a Yaml, document: &'a Yaml) {
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

    fn route(&mut self, route: &'a Yaml, (service_name, service): (&str, &'a Yaml), backend: &str) {
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
        // Whether Kong redirects what comes in the clear, where a route is for https alone.
        let redirects = self.is_for_https(route);
        if redirects.is_some() {
            self.listener_for_https(route.line);
        }
        let on = if redirects.is_some() { On::Encrypted } else { On::Both };
        let Some(host) = self.host(route, &name, on) else { return };
        if redirects == Some(true) {
            self.redirecting.push((route.line, host.clone()));
        }
        let paths = route.texts_of("paths");
        let strips = route.get("strip_path").and_then(Yaml::boolean).unwrap_or(true);
        let methods = self.methods(route, &name);
        let limits = self.limits(route, service);
        let cors = self.nearest(CORS, route, service).and_then(|(plugin, _)| self.cors(plugin));
        let paths = if paths.is_empty() { vec!["/"] } else { paths };
        for path in paths {
            if strips && path != "/" {
                let what =
                    format!("the route {name} removes {path} from the path, which the edge never does");
                let mend = "let the backend serve the path that clients send, until then it answers 404";
                self.found.note(route.line, what, mend);
            }
            self.one(route, &name, (&host, path), (&methods, &limits, cors.as_ref()), backend);
        }
    }

    fn one(
        &mut self,
        route: &Yaml,
        name: &str,
        (host, path): (&str, &str),
        (methods, limits, cors): (&[String], &[String], Option<&Cors>),
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
            cors: cors.cloned(),
        });
    }

    /// The plugin `kind` that counts for a route, and the name of its owner: that of the route, else of the service, else of
    /// the whole configuration. Of several plugins of one name, Kong runs the one nearest to the route.
    fn nearest(&self, kind: &str, route: &'a Yaml, service: &'a Yaml) -> Option<(&'a Yaml, String)> {
        let document = self.document;
        let runs = |plugin: &&Yaml| {
            plugin.text_of("name") == Some(kind)
                && plugin.get("enabled").and_then(Yaml::boolean) != Some(false)
        };
        let of_no_caller =
            |plugin: &&Yaml| plugin.get("consumer").is_none() && plugin.get("consumer_group").is_none();
        let of = |owner: &'a Yaml, section: &str| -> Option<&'a Yaml> {
            let names = [owner.text_of("name"), owner.text_of("id")];
            let is_named = |plugin: &&Yaml| {
                let named = plugin.get(section).and_then(reference);
                named.is_some() && names.contains(&named)
            };
            let beside = elements(document, "plugins").iter().filter(is_named);
            elements(owner, "plugins").iter().chain(beside).filter(of_no_caller).find(runs)
        };
        let name = |owner: &Yaml, otherwise: &str| owner.text_of("name").unwrap_or(otherwise).to_owned();
        let of_service = || Some((of(service, "service")?, name(service, "service")));
        let of_all = || {
            let is_for_all = |plugin: &&Yaml| OWNERS.iter().all(|owner| plugin.get(owner).is_none());
            Some((elements(document, "plugins").iter().filter(is_for_all).find(runs)?, "all".to_owned()))
        };
        let near = of(route, "route").map(|plugin| (plugin, name(route, &name(service, "service"))));
        near.or_else(of_service).or_else(of_all)
    }

    /// The names of the limits of a route.
    fn limits(&mut self, route: &'a Yaml, service: &'a Yaml) -> Vec<String> {
        let Some((plugin, owner)) = self.nearest(RATE_LIMITING, route, service) else { return Vec::new() };
        let Ok(limits) = limits::of_kong(plugin, &name_of(&owner, "limit")) else { return Vec::new() };
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
}
