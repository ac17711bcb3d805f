//! Reads the routes, and checks them against each other.

mod overlaps;

use std::collections::BTreeMap;

use crate::declared::Declared;
use crate::edge::{
    AbsentPath, Answers, Backend, Exposure, FURTHER_METHODS, Host, IdentityHeaders, LegacySessions, Limit,
    Listener, METHODS, Mode, PathMatch, Policy, Reserved, Route, RouteCors, TenantMatch,
};
use crate::fault::{Place, suggest};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};
use crate::sections;
use crate::sections::kinds::{Recognition, Section};

/// Everything to which a route can refer.
pub(crate) struct Surroundings<'a> {
    pub(crate) listeners: &'a Declared<Listener>,
    pub(crate) hosts: &'a Declared<Host>,
    pub(crate) backends: &'a Declared<Backend>,
    pub(crate) policies: &'a Declared<Policy>,
    pub(crate) recognition: Recognition<'a>,
    pub(crate) limits: &'a Declared<Limit>,
    pub(crate) answers: &'a Declared<Answers>,
    /// The answers of routes that name none (`default_answers`).
    pub(crate) default_answers: Option<&'a str>,
    pub(crate) internal_paths: &'a [PathMatch],
    pub(crate) reserved: &'a Reserved,
    pub(crate) identity: &'a IdentityHeaders,
}

struct Placed {
    route: Route,
    place: Place,
}

pub(crate) fn read(context: Context<'_>, node: &Node, around: &Surroundings<'_>) -> Vec<Route> {
    let mut placed = Vec::new();
    for element in reader::list(context, node, "`routes`") {
        if let Some(route) = one(context, element, around) {
            placed.push(Placed { route, place: element.place });
        }
    }
    check_names(context, &placed);
    overlaps::check(context, &placed);
    check_exposure(context, &placed, around);
    check_attempts(context, &placed, around);
    check_certificates(context, &placed, around);
    placed.into_iter().map(|p| p.route).collect()
}

fn one(context: Context<'_>, node: &Node, around: &Surroundings<'_>) -> Option<Route> {
    let mut fields = Fields::of(context, node, title(node));
    let name = fields
        .required("name", "give it a unique name: it appears in logs, metrics and explanations")
        .and_then(|n| reader::name(context, n, "the route's name"));
    let shown = name.clone().map_or_else(|| "the route".to_owned(), |name| format!("route `{name}`"));
    let host = match (fields.optional("host"), around.hosts.only()) {
        (Some(n), _) => around.hosts.reference(context, n, &format!("the host of {shown}")),
        // Only one host group can be meant.
        (None, Some(only)) => Some(only.to_owned()),
        (None, None) => {
            let problem = format!("{shown} has no `host`, and the file has several");
            context.faults.report(node.place, problem, "name its host: `host: api`");
            None
        }
    };
    let path = sections::paths::read(context, &mut fields, node.place, &shown);
    let methods = fields.optional("methods").map_or(Some(Vec::new()), |n| methods(context, n, &shown));
    let policy = fields
        .required("policy", "name a policy: a route without one is not rendered; to let every caller pass, name a policy of kind `public`")
        .and_then(|n| around.policies.reference(context, n, &format!("the policy of {shown}")));
    let named = policy.as_deref().and_then(|name| Some((name, around.policies.good.get(name)?)));
    let rules = named.map(|(_, policy)| policy);
    let destination =
        fields.required("to", "name the backend, or shares: `to: { legacy: 90, users: 10 }`").and_then(|n| {
            sections::destination::read(context, n, &shown, around.backends, rules, around.recognition)
        });
    let canaries = fields
        .optional("canary")
        .map(|n| {
            let names = sections::canaries::Names { reserved: around.reserved, identity: around.identity };
            sections::canaries::read(context, n, &shown, around.backends, rules, names)
        })
        .unwrap_or_default();
    let websocket = fields
        .optional("upgrade")
        .and_then(|n| reader::choice(context, n, &format!("`upgrade` of {shown}"), &[("websocket", true)]));
    let stream = fields.optional("stream").and_then(|n| reader::boolean(context, n, "`stream`"));
    let idempotent = fields
        .optional("idempotent")
        .filter(|n| reader::boolean(context, n, &format!("`idempotent` of {shown}")) == Some(true));
    let ends_with =
        fields.optional("ends_with").and_then(|n| sections::streams::ends_with(context, n, &shown, named));
    let shadow = fields.optional("shadow").and_then(|n| {
        let methods = methods.as_deref().unwrap_or_default();
        sections::destination::shadow(context, n, &shown, around.backends, methods, destination.as_ref())
    });
    let answers = match fields.optional("answers") {
        Some(n) => around.answers.reference(context, n, &format!("`answers` of {shown}")),
        None => {
            let of_host = host.as_ref().and_then(|host| around.hosts.good.get(host)?.answers.as_deref());
            Some(of_host.or(around.default_answers).unwrap_or(Answers::UNSAID).to_owned())
        }
    };
    let cross_site = fields.optional("cross_site").and_then(|n| {
        reader::choice(context, n, &format!("`cross_site` of {shown}"), &[("refuse", false), ("allow", true)])
    });
    let cors = fields.optional("cors").and_then(|n| sections::cors::of_route(context, n, &shown));
    if let (Some(RouteCors::Own(_)), Some(host)) = (&cors, &host) {
        let exposure =
            around.hosts.good.get(host).and_then(|host| sections::exposure(host, around.listeners));
        sections::cors::check_exposure(context, node.place, &shown, exposure);
    }
    let limits = fields
        .optional("limits")
        .map(|n| sections::limits::of_route(context, n, &shown, around.limits, named))
        .unwrap_or_default();
    let endless = match (websocket, stream) {
        (Some(true), _) => Some("`upgrade: websocket`"),
        (_, Some(true)) => Some("`stream: true`"),
        (_, _) => None,
    };
    if let (Some(node), Some(endless)) = (idempotent, endless) {
        let problem = format!("{shown} is `idempotent`, and {endless} cannot be sent again");
        context.faults.report(node.place, problem, "remove one of them");
    }
    let body_limit = sections::wire::body_limit(context, &mut fields, &shown, websocket == Some(true));
    let times = sections::wire::route_times(context, &mut fields, &shown, endless);
    fields.finish();
    let route = Route {
        name: name?,
        host: host?,
        path: path?,
        methods: methods?,
        policy: policy?,
        destination: destination?,
        canaries,
        shadow,
        websocket: websocket.unwrap_or(false),
        stream: stream.unwrap_or(false),
        idempotent: idempotent.is_some(),
        ends_with,
        answers: answers?,
        cross_site: cross_site.unwrap_or(false),
        cors: cors.unwrap_or_default(),
        limits,
        body_limit,
        times,
    };
    check_parameter(context, node.place, &route, rules);
    sections::destination::check_streams(context, node, &route, around.backends);
    sections::leases::check_route(context, node.place, &route, rules);
    if let Section::Good(LegacySessions { end: Some(end), .. }) = around.recognition.legacy_sessions {
        sections::kinds::check_end(context, node.place, &route, rules, *end);
    }
    Some(route)
}

/// Checks that the path has the parameter by which the policy finds the tenant.
fn check_parameter(context: Context<'_>, place: Place, route: &Route, policy: Option<&Policy>) {
    if let Some(Policy::Session(policy)) = policy
        && let Some(TenantMatch::PathParameter(name)) = &policy.tenant
        && route.path.position_of(name).is_none()
    {
        let problem = format!(
            "route `{}` has the policy `{}`, which reads the tenant from the parameter `{{{name}}}` of the path, and the \
             path {:?} has none of that name",
            route.name,
            route.policy,
            route.path.path()
        );
        let mend = format!("name the segment of the tenant `{{{name}}}`, or give the route another policy");
        context.faults.report(place, problem, mend);
    }
}

/// Methods that change nothing (RFC 9110 §9.2.1, and the registry of methods).
const SAFE: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PROPFIND", "QUERY", "REPORT", "SEARCH"];

/// Warns about requests that an anonymous client may repeat without limit: codes, passwords, mail to others.
fn check_attempts(context: Context<'_>, placed: &[Placed], around: &Surroundings<'_>) {
    for Placed { route, place } in placed {
        let exposure =
            around.hosts.good.get(&route.host).and_then(|host| sections::exposure(host, around.listeners));
        let public = matches!(around.policies.good.get(&route.policy), Some(Policy::Public(_)));
        let methods: Vec<&str> = if route.methods.is_empty() {
            METHODS.to_vec()
        } else {
            route.methods.iter().map(String::as_str).collect()
        };
        let unsafe_ones: Vec<&str> = methods.into_iter().filter(|method| !SAFE.contains(method)).collect();
        let limited = route
            .limits
            .iter()
            .any(|name| around.limits.good.get(name).is_none_or(|limit| limit.mode == Mode::Enforce));
        if exposure == Some(Exposure::Public) && public && !unsafe_ones.is_empty() && !limited {
            let problem =
                format!("route `{}` lets any client {} without a limit", route.name, unsafe_ones.join(", "));
            let mend = "limit it by address: `limits: { attempts: { per: address, rate: 60, seconds: 60 } }`, and \
                        `limits: [attempts]` in the route; or allow safe methods only";
            context.faults.warn(*place, problem, mend);
        }
    }
}

/// Checks that a listener of each route whose callers need a certificate asks for one: otherwise none could pass.
fn check_certificates(context: Context<'_>, placed: &[Placed], around: &Surroundings<'_>) {
    let asks = |name: &String| {
        let listener = around.listeners.good.get(name);
        // A faulty listener is reported itself.
        listener.is_none_or(|listener| listener.tls.as_ref().is_some_and(|tls| tls.clients.is_some()))
    };
    for Placed { route, place } in placed {
        let Some(host) = around.hosts.good.get(&route.host) else { continue };
        let needs = matches!(around.policies.good.get(&route.policy), Some(Policy::Certificate(_)));
        if needs && !host.listeners.iter().any(asks) {
            let problem = format!(
                "route `{}` needs a client certificate, and no listener of host `{}` asks for one",
                route.name, route.host
            );
            let mend = "add `client_ca: clients.pem` to `tls` of a listener (and `client_certificate: optional` where other \
                        clients come, too)";
            context.faults.report(*place, problem, mend);
        }
    }
}

/// The title of a route in messages before its name has been checked.
fn title(node: &Node) -> String {
    let Value::Map(entries) = &node.value else { return "a route".to_owned() };
    let name = entries.iter().find_map(|(key, value)| match (&key.value, &value.value) {
        (Value::Text(key), Value::Text(name)) if key == "name" => Some(name),
        _ => None,
    });
    name.map_or_else(|| "a route".to_owned(), |name| format!("route `{name}`"))
}

fn methods(context: Context<'_>, node: &Node, what: &str) -> Option<Vec<String>> {
    let mut methods: Vec<String> = Vec::new();
    for element in reader::list(context, node, &format!("`methods` of {what}")) {
        let method = reader::text(context, element, &format!("a method of {what}"))?;
        if !METHODS.contains(&method) && !FURTHER_METHODS.contains(&method) {
            let mend = match method {
                "TRACE" => "remove it: TRACE echoes headers back, and no route takes it".to_owned(),
                "CONNECT" => "remove it: CONNECT opens tunnels, and no route takes it".to_owned(),
                _ => {
                    let known: Vec<&str> = METHODS.into_iter().chain(FURTHER_METHODS).collect();
                    suggest(method, known.iter().copied())
                }
            };
            context.faults.report(element.place, format!("{what} takes the method {method:?}"), mend);
            return None;
        }
        if methods.iter().any(|m| m == method) {
            context.faults.report(element.place, format!("{what} lists {method} twice"), "list it once");
        }
        methods.push(method.to_owned());
    }
    if methods.is_empty() {
        context.faults.report(
            node.place,
            format!("{what} takes no method"),
            "list some, or leave `methods` out to take all",
        );
        return None;
    }
    Some(methods)
}

/// `absent_paths: [{ host: api, prefix: /auth, answers: auth }]`
pub(crate) fn absent_paths(
    context: Context<'_>,
    node: &Node,
    around: &Surroundings<'_>,
    routes: &[Route],
) -> Vec<AbsentPath> {
    let mut absent: Vec<AbsentPath> = Vec::new();
    for element in reader::list(context, node, "`absent_paths`") {
        let what = "an absent path";
        let mut fields = Fields::of(context, element, what);
        let host = fields
            .required("host", "name its host: `host: api`")
            .and_then(|n| around.hosts.reference(context, n, &format!("the host of {what}")));
        let path = sections::paths::read(context, &mut fields, element.place, what);
        let answers = fields
            .required("answers", "name the answers whose `not_found` is sent")
            .and_then(|n| around.answers.reference(context, n, &format!("`answers` of {what}")));
        fields.finish();
        let (Some(host), Some(path), Some(answers)) = (host, path, answers) else { continue };
        let same = |other: (&String, &PathMatch)| other == (&host, &path);
        let route = routes.iter().find(|route| route.methods.is_empty() && same((&route.host, &route.path)));
        if let Some(route) = route {
            let problem = format!("the absent path {} is that of route `{}`", path.path(), route.name);
            context.faults.report(element.place, problem, "remove one of them");
        } else if absent.iter().any(|other| same((&other.host, &other.path))) {
            let problem = format!("the absent path {} is listed twice", path.path());
            context.faults.report(element.place, problem, "list it once");
        } else {
            absent.push(AbsentPath { host, path, answers });
        }
    }
    absent
}

fn check_names(context: Context<'_>, placed: &[Placed]) {
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    for Placed { route, place } in placed {
        if let Some(first) = seen.insert(&route.name, *place) {
            let problem =
                format!("two routes are named `{}`; the other is on line {}", route.name, first.line);
            context.faults.report(*place, problem, "give one of them another name");
        }
    }
}

/// Checks that internal routes and paths are on internal listeners alone.
fn check_exposure(context: Context<'_>, placed: &[Placed], around: &Surroundings<'_>) {
    let exposure = |route: &Route| {
        around.hosts.good.get(&route.host).and_then(|host| sections::exposure(host, around.listeners))
    };
    let is_internal =
        |route: &Route| matches!(around.policies.good.get(&route.policy), Some(Policy::Internal(_)));
    let internal_routes: Vec<_> = placed.iter().filter(|p| is_internal(&p.route)).collect();
    for Placed { route, place } in placed {
        if exposure(route) != Some(Exposure::Public) {
            continue;
        }
        if is_internal(route) {
            let problem = format!(
                "route `{}` has the internal policy `{}` on the public host `{}`",
                route.name, route.policy, route.host
            );
            context.faults.report(*place, problem, "move it to a host of an internal listener");
            continue;
        }
        let declared = around.internal_paths.iter().find(|internal| internal.takes_path_of(&route.path));
        if let Some(internal) = declared {
            let problem = format!(
                "route `{}` opens the internal path {} on the public host `{}`",
                route.name,
                internal.path(),
                route.host
            );
            context.faults.report(
                *place,
                problem,
                "move it to a host of an internal listener, or remove the path from `internal_paths`",
            );
        }
        if let Some(other) = internal_routes.iter().find(|p| p.route.path.takes_path_of(&route.path)) {
            let problem = format!(
                "route `{}` opens {} on the public host `{}`, which route `{}` on line {} keeps internal",
                route.name,
                route.path.path(),
                route.host,
                other.route.name,
                other.place.line
            );
            context.faults.report(*place, problem, "move it to a host of an internal listener");
        }
    }
}
