//! Routes from an OpenAPI document.

use std::collections::BTreeSet;

use super::yaml::{self, Yaml};
use super::{Found, Note, Unreadable, with_port};
use crate::draft::{Backend, Route, Sessions, Taken, free_name, name_of};

/// The methods of a path item that a route can take.
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// The port of the development server that most examples name, where a document names no server.
const NO_SERVER: &str = "127.0.0.1:3000";

pub(super) fn read(text: &str) -> Result<Found, Unreadable> {
    let document = yaml::read(text)?;
    let version = document.get("openapi");
    match version.and_then(Yaml::text) {
        Some(version) if version.starts_with("3.0") || version.starts_with("3.1") => {}
        Some(version) => {
            let line = document.get("openapi").map_or(1, |at| at.line);
            return Err(Unreadable::new(
                line,
                format!("the document is OpenAPI {version}"),
                "convert it to 3.0 or 3.1",
            ));
        }
        None => {
            let mend = "an OpenAPI document begins with `openapi: 3.1.0`; convert Swagger 2.0 first";
            return Err(Unreadable::new(document.line, "the document has no `openapi`", mend));
        }
    }
    let mut found = Found::default();
    let base = server(&document, &mut found);
    schemes(&document, &mut found);
    let mut operations = Vec::new();
    for (path, item) in document.get("paths").map(Yaml::entries).unwrap_or_default() {
        operations_of(&document, path, item, &base, &mut found, &mut operations);
    }
    if let Some(webhooks) = document.get("webhooks") {
        found.note(
            webhooks.line,
            "`webhooks` are requests that the product sends",
            "nothing: the edge has no part in them",
        );
    }
    routes(operations, &mut found);
    Ok(found)
}

/// The backend of the first server, and the path before all others.
fn server(document: &Yaml, found: &mut Found) -> String {
    let servers = document.get("servers").map(Yaml::elements).unwrap_or_default();
    let mut address = None;
    let mut base = String::new();
    if let Some(server) = servers.first() {
        let url = server.text_of("url").unwrap_or("/");
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        base = path.trim_end_matches('/').to_owned();
        if base.contains('{') {
            found.note(
                server.line,
                format!("the server {url} has a variable in its path"),
                "add the path in front of the routes by hand",
            );
            base = String::new();
        }
        match (scheme, authority.contains('{')) {
            ("http", false) => {
                address = Some(with_port(authority, 80));
            }
            ("https", false) if !authority.is_empty() && !authority.contains('@') => {
                address = Some(format!("https://{}", with_port(&authority.to_ascii_lowercase(), 443)));
                let what = format!(
                    "clients reach {url} with TLS, and the edge listens in the clear; its backend is that address"
                );
                let mend = "give the listener its certificate (`tls: { certificate: …, key: … }`), and write into \
                            `backends` where the product itself listens before the name leads to the edge";
                found.note(server.line, what, mend);
            }
            ("", _) => {}
            _ => found.note(
                server.line,
                format!("the server {url} is not the address of a backend"),
                "write into `backends` where the product itself listens",
            ),
        }
    }
    for other in servers.iter().skip(1) {
        found.note(
            other.line,
            "a further server is not translated",
            "write it into `backends`, and give routes shares",
        );
    }
    let comment = address.is_none().then(|| "TO REPLACE: where the product listens.".to_owned());
    if address.is_none() {
        let line = document.get("servers").map_or(1, |servers| servers.line);
        found.note(
            line,
            format!("the document does not say where the product listens; the backend is {NO_SERVER}"),
            "write its address",
        );
    }
    let address = address.unwrap_or_else(|| NO_SERVER.to_owned());
    found.draft.backends.push(Backend {
        name: "product".to_owned(),
        addresses: vec![address],
        comment,
        ..Backend::default()
    });
    base
}

/// What the security schemes say about sessions.
fn schemes(document: &Yaml, found: &mut Found) {
    let schemes = document.get("components").and_then(|components| components.get("securitySchemes"));
    let mut sessions =
        Sessions { cookie: String::new(), issuer: String::new(), audience: String::new(), comment: None };
    for (name, scheme) in schemes.map(Yaml::entries).unwrap_or_default() {
        let mut note =
            |what: &str, mend: &str| found.note(scheme.line, format!("the scheme `{name}` {what}"), mend);
        match (
            scheme.text_of("type").unwrap_or_default(),
            scheme.text_of("in").or(scheme.text_of("scheme")).unwrap_or_default(),
        ) {
            ("openIdConnect", _) => {
                let url = scheme.text_of("openIdConnectUrl").unwrap_or_default();
                sessions.issuer = url.trim_end_matches("/.well-known/openid-configuration").to_owned();
            }
            ("oauth2", _) => {}
            ("http", scheme) if scheme.eq_ignore_ascii_case("bearer") => {}
            ("apiKey", "cookie") => sessions.cookie = scheme.text_of("name").unwrap_or_default().to_owned(),
            ("apiKey", "header") => {
                let header = scheme.text_of("name").unwrap_or_default().to_ascii_lowercase();
                note(
                    "is an API key in a header; its routes need a session now",
                    &format!(
                        "add `api_keys: {{ file: …, header: {header} }}` and `accept: [session, api-key]`; `cutover apikey import` takes keys over"
                    ),
                );
            }
            (kind, of) => note(
                &format!("is `{kind}` {of}, which the edge does not verify; its routes need a session now"),
                "give its clients tokens or API keys",
            ),
        }
    }
    found.draft.sessions = Some(sessions);
}

/// One operation, on the way to a route.
struct Operation {
    line: u64,
    path: Taken,
    method: String,
    /// Whether the path stands for more paths than the document names.
    is_widened: bool,
    security: Security,
    name: String,
}

/// Who may call an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Security {
    /// `security: []`: every caller, as the document says.
    Public,
    /// A session with all of these scopes.
    Session(BTreeSet<String>),
}

fn operations_of(
    document: &Yaml,
    path: &str,
    item: &Yaml,
    base: &str,
    found: &mut Found,
    operations: &mut Vec<Operation>,
) {
    if let Some(reference) = item.text_of("$ref") {
        found.note(
            item.line,
            format!("{path} is described elsewhere ({reference})"),
            "put the description in its place: a bundler of OpenAPI documents does",
        );
        return;
    }
    if let Some(servers) = item.get("servers") {
        found.note(
            servers.line,
            format!("{path} has servers of its own"),
            "write them into `backends`, and into `to` of its routes",
        );
    }
    let full = format!("{base}{path}");
    let Some((taken, is_widened)) = taken(&full) else {
        found.note(item.line, format!("the path {full} has no plain spelling"), "write the route by hand");
        return;
    };
    if is_widened {
        let prefix = shown(&taken);
        let what = format!(
            "a part of a segment of {full} may be anything; its route is `prefix: {prefix}`, which takes more"
        );
        found.note(item.line, what, "name further paths below it with routes of their own");
    }
    for (key, operation) in item.entries() {
        let method = key.to_ascii_lowercase();
        if method == "trace" {
            found.note(
                operation.line,
                format!("TRACE {full} is not translated"),
                "nothing: TRACE is closed at every edge",
            );
            continue;
        }
        if !METHODS.contains(&method.as_str()) {
            continue;
        }
        let shown = format!("{} {full}", method.to_ascii_uppercase());
        let security = security(document, operation, &shown, found);
        let name = operation
            .text_of("operationId")
            .map_or_else(|| name_of(&shown, "route"), |id| name_of(&spaced(id), "route"));
        operations.push(Operation {
            line: operation.line,
            path: taken.clone(),
            method: method.to_ascii_uppercase(),
            is_widened,
            security,
            name,
        });
    }
}

/// `listUserOrders` as `list-User-Orders`.
fn spaced(id: &str) -> String {
    let mut text = String::new();
    let mut before = false;
    for character in id.chars() {
        if character.is_ascii_uppercase() && before {
            text.push('-');
        }
        before = character.is_ascii_lowercase() || character.is_ascii_digit();
        text.push(character);
    }
    text
}

/// The most parameters that a path of an edge may have.
const MAX_PARAMETERS: usize = 8;

/// The paths of a route for this path of the document, and whether they are more than those.
fn taken(path: &str) -> Option<(Taken, bool)> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@".contains(&b);
    let plain = |text: &str| text != "." && text != ".." && text.bytes().all(good);
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut written = String::new();
    let mut parameters: Vec<String> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        if plain(segment) && (!segment.is_empty() || is_last) {
            written.push('/');
            written.push_str(segment);
            continue;
        }
        let inside = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(name) =
            inside.filter(|name| !name.contains(['{', '}']) && parameters.len() < MAX_PARAMETERS)
        else {
            // Only a part of the segment is a parameter: the nearest prefix takes it.
            let has_parameter = segment.contains('{');
            let prefix = if written.is_empty() { "/".to_owned() } else { written };
            return has_parameter.then_some((Taken::Prefix(prefix), true));
        };
        let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        let name: String = name.chars().map(letter).take(48).collect();
        let name = if name.is_empty() { "value".to_owned() } else { name };
        let name = free_name(&name, parameters.iter().map(String::as_str));
        written.push_str(&format!("/{{{name}}}"));
        parameters.push(name);
    }
    let taken = if parameters.is_empty() { Taken::Exact(written) } else { Taken::Template(written) };
    Some((taken, false))
}

/// The path without the names of its parameters: paths that differ in those alone are one.
fn unnamed(path: &Taken) -> (bool, String) {
    let segments =
        shown(path).split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    (matches!(path, Taken::Prefix(_)), segments.collect::<Vec<_>>().join("/"))
}

/// Who may call the operation. Only `security: []` opens it; what is absent or unclear needs a session.
fn security(document: &Yaml, operation: &Yaml, shown: &str, found: &mut Found) -> Security {
    let Some(rules) = operation.get("security").or_else(|| document.get("security")) else {
        let what = format!("{shown} does not say who may call it; it needs a session now");
        found.note(operation.line, what, "write `security: []` where every caller may, or a scheme");
        return Security::Session(BTreeSet::new());
    };
    if rules.is_list() && rules.elements().is_empty() {
        return Security::Public;
    }
    let mut scopes = BTreeSet::new();
    let mut sets = BTreeSet::new();
    for alternative in rules.elements() {
        if alternative.entries().is_empty() {
            let what = format!("{shown} may be called with or without a session; it needs one now");
            found.note(alternative.line, what, "give it a policy of kind `public` if every caller may");
            continue;
        }
        let mut set = BTreeSet::new();
        for (_, listed) in alternative.entries() {
            set.extend(listed.elements().iter().filter_map(Yaml::text).map(str::to_owned));
        }
        scopes.extend(set.clone());
        sets.insert(set);
    }
    if sets.len() > 1 {
        let what =
            format!("{shown} may be called with one of several sets of scopes; it needs all of them now");
        found.note(rules.line, what, "write a policy for the set that counts");
    }
    Security::Session(scopes)
}

/// Makes routes: operations on one path with the same callers share one.
fn routes(operations: Vec<Operation>, found: &mut Found) {
    let mut routes: Vec<Route> = Vec::new();
    for Operation { line, path, method, is_widened, security, name } in operations {
        let (is_public, scopes) = match security {
            Security::Public if is_widened => {
                let what = format!(
                    "{method} {} is public in the document, and its route takes more paths than it; it needs a session now",
                    shown(&path)
                );
                found.notes.push(Note {
                    line,
                    what,
                    mend: "write routes for the public paths by hand".to_owned(),
                });
                (false, BTreeSet::new())
            }
            Security::Public => (true, BTreeSet::new()),
            Security::Session(scopes) => (false, scopes),
        };
        let scopes: Vec<String> = scopes.into_iter().collect();
        let same = |route: &&mut Route| unnamed(&route.path) == unnamed(&path);
        // Two paths may have the same prefix: the stricter one of both counts.
        if let Some(other) = routes.iter_mut().filter(same).find(|route| route.methods.contains(&method)) {
            let (public, all) = (other.is_public && is_public, union(&other.scopes, &scopes));
            if (other.is_public, &other.scopes) != (is_public, &scopes)
                || (other.is_public, &other.scopes) != (public, &all)
            {
                let what = format!(
                    "{method} {} stands for several paths with different callers; the strictest counts for all",
                    shown(&path)
                );
                found.notes.push(Note { line, what, mend: "write routes for them by hand".to_owned() });
                (other.is_public, other.scopes) = (public, all);
            }
            continue;
        }
        let fits = |route: &&mut Route| same(route) && route.is_public == is_public && route.scopes == scopes;
        if let Some(route) = routes.iter_mut().find(fits) {
            route.methods.push(method);
            continue;
        }
        // With the names of the first of them.
        let path = routes
            .iter()
            .find(|route| unnamed(&route.path) == unnamed(&path))
            .map_or(path, |other| other.path.clone());
        let name = free_name(&name, routes.iter().map(|route| route.name.as_str()));
        routes.push(Route {
            name,
            host: "api".to_owned(),
            path,
            methods: vec![method],
            is_public,
            scopes,
            to: "product".to_owned(),
            is_websocket: false,
            limits: Vec::new(),
            cors: None,
        });
    }
    found.draft.routes = routes;
}

fn union(one: &[String], other: &[String]) -> Vec<String> {
    let all: BTreeSet<&String> = one.iter().chain(other).collect();
    all.into_iter().cloned().collect()
}

fn shown(path: &Taken) -> &str {
    let (Taken::Exact(path) | Taken::Template(path) | Taken::Prefix(path)) = path;
    path
}
