//! The sections of an edge file, one function for each.

pub(crate) mod comparator;
pub(crate) mod services;
pub(crate) mod signatures;
mod tenants;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use identity::{Role, ServiceName};

use crate::credentials;
use crate::edge::{
    AcceptedCredential, Answer, Answers, Authorizer, Backend, Exposure, Host, InternalPolicy, Listener,
    Policy, Reserved, Service, SessionPolicy, Sessions,
};
use crate::fault::suggest;
use crate::load::Declared;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

pub(crate) mod limits;

pub(crate) use tenants::tenants;

/// A backend that does not accept a connection on the same network within a quarter of a second will not.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// Long enough for a search in a cold legacy database, short enough that a stuck backend frees its requests.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// A warm decision takes well under a millisecond; Envoy's own default for an authorizer is the same 200 ms.
const AUTHORIZER_TIMEOUT: Duration = Duration::from_millis(200);

const ADDRESS_MEND: &str = "write an address with a port, such as 127.0.0.1:8080";

pub(crate) fn listener(context: Context<'_>, name: &str, node: &Node) -> Option<Listener> {
    let mut fields = Fields::of(context, node, format!("listener `{name}`"));
    let address = fields
        .required("address", ADDRESS_MEND)
        .and_then(|n| reader::parsed(context, n, &format!("the address of listener `{name}`"), ADDRESS_MEND));
    let exposure =
        fields.required("exposure", "say who can reach it: `public` or `internal`").and_then(|n| {
            choice(
                context,
                n,
                "the exposure",
                &[("public", Exposure::Public), ("internal", Exposure::Internal)],
            )
        });
    fields.finish();
    Some(Listener { address: address?, exposure: exposure? })
}

pub(crate) fn choice<T: Copy>(
    context: Context<'_>,
    node: &Node,
    what: &str,
    choices: &[(&'static str, T)],
) -> Option<T> {
    let text = reader::text(context, node, what)?;
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let mend = suggest(text, choices.iter().map(|(name, _)| *name));
        context.faults.report(node.place, format!("{what} is {text:?}"), mend);
    }
    found
}

pub(crate) fn admin(context: Context<'_>, node: &Node) -> Option<SocketAddr> {
    let address: SocketAddr = reader::parsed(context, node, "`admin`", ADDRESS_MEND)?;
    if !address.ip().is_loopback() {
        let problem =
            format!("`admin` is {address}: whoever reaches it can stop the edge and read its configuration");
        context.faults.report(node.place, problem, "give it a loopback address, such as 127.0.0.1:9901");
    }
    Some(address)
}

pub(crate) fn authorizer(context: Context<'_>, node: &Node) -> Option<Authorizer> {
    let mut fields = Fields::of(context, node, "`authorizer`");
    let address = fields
        .required("address", ADDRESS_MEND)
        .and_then(|n| reader::parsed(context, n, "the authorizer's address", ADDRESS_MEND));
    let timeout = fields
        .optional("timeout_ms")
        .map_or(Some(AUTHORIZER_TIMEOUT), |n| reader::millis(context, n, "`timeout_ms`", 1, 10_000));
    let replicas = fields.optional("replicas").map_or(Some(1), |n| {
        reader::number(context, n, "`replicas`", 1, 1_000).and_then(|count| u32::try_from(count).ok())
    });
    fields.finish();
    Some(Authorizer { address: address?, timeout: timeout?, replicas: replicas? })
}

pub(crate) fn backend(context: Context<'_>, name: &str, node: &Node) -> Option<Backend> {
    let what = format!("backend `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let endpoint = fields
        .required("address", "write a host and a port, such as 127.0.0.1:3000 or legacy.internal:3000")
        .and_then(|n| {
            reader::parsed::<Endpoint>(
                context,
                n,
                &format!("the address of {what}"),
                "write a host and a port, such as 127.0.0.1:3000",
            )
        });
    let connect_timeout = fields
        .optional("connect_timeout_ms")
        .map_or(Some(CONNECT_TIMEOUT), |n| reader::millis(context, n, "`connect_timeout_ms`", 1, 60_000));
    let request_timeout = fields
        .optional("request_timeout_ms")
        .map_or(Some(REQUEST_TIMEOUT), |n| reader::millis(context, n, "`request_timeout_ms`", 1, 3_600_000));
    let request_headers =
        fields.optional("request_headers").map(|n| constant_headers(context, n, &what)).unwrap_or_default();
    fields.finish();
    let Endpoint { host, port } = endpoint?;
    Some(Backend {
        host,
        port,
        audience: name.to_owned(),
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
        request_headers,
    })
}

struct Endpoint {
    host: String,
    port: u16,
}

impl std::str::FromStr for Endpoint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(())?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if is_host_name(bare) || bare.parse::<std::net::IpAddr>().is_ok() {
            Ok(Self { host: bare.to_owned(), port })
        } else {
            Err(())
        }
    }
}

/// Names that a constant header may not have: they carry credentials, the message's framing or its address,
/// and setting one would change what the client sent.
const NOT_CONSTANT: [&str; 13] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

fn constant_headers(context: Context<'_>, node: &Node, what: &str) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, place, value) in reader::entries(context, node, &format!("`request_headers` of {what}")) {
        if NOT_CONSTANT.contains(&name) {
            let problem = format!("{what} sets `{name}`, which belongs to the client's message");
            context.faults.report(place, problem, "the edge passes messages on as they are: remove it");
        }
        if let Some(text) = reader::text(context, value, &format!("the value of `{name}`")) {
            if text.is_empty() || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) || text.contains('%') {
                let problem = format!("the value of `{name}` is {text:?}");
                context.faults.report(value.place, problem, "write visible ASCII without `%`");
            }
            headers.insert(name.to_owned(), text.to_owned());
        }
    }
    headers
}

pub(crate) fn host(
    context: Context<'_>,
    name: &str,
    node: &Node,
    listeners: &Declared<Listener>,
) -> Option<Host> {
    let what = format!("host `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let listener = fields
        .required("listener", "name the listener that it is served on")
        .and_then(|n| listeners.reference(context, n, &format!("the listener of {what}")));
    let names_node = fields.required("names", "list its names: `names: [api.example.com]`");
    let mut names = Vec::new();
    for element in
        names_node.map(|n| reader::list(context, n, &format!("`names` of {what}"))).unwrap_or_default()
    {
        if let Some(name) = host_name_or_any(context, element, &format!("a name of {what}")) {
            names.push(name);
        }
    }
    if let Some(list) = names_node
        && names.is_empty()
    {
        context.faults.report(
            list.place,
            format!("{what} has no names"),
            "list at least one, or remove the host",
        );
    }
    fields.finish();
    Some(Host { listener: listener?, names })
}

fn host_name_or_any(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    if let crate::node::Value::Text(text) = &node.value
        && text == "*"
    {
        return Some("*".to_owned());
    }
    host_name(context, node, what)
}

pub(crate) fn host_name(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    if is_host_name(text) {
        return Some(text.to_owned());
    }
    context.faults.report(
        node.place,
        format!("{what} is {text:?}"),
        "write a lower-case host name without port, such as api.example.com",
    );
    None
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Reports names that two hosts of one listener share: Envoy would refuse them, and nobody could say which
/// routes apply.
pub(crate) fn check_host_names(context: Context<'_>, hosts: &Declared<Host>, tree: &Node) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (group, host) in &hosts.good {
        for name in &host.names {
            if let Some(other) = seen.insert((&host.listener, name), group) {
                let problem = if other == group {
                    format!("host `{group}` lists the name {name} twice")
                } else {
                    format!(
                        "hosts `{other}` and `{group}` both answer to {name} on listener `{}`",
                        host.listener
                    )
                };
                context.faults.report(tree.place, problem, "leave the name to one of them");
            }
        }
    }
}

pub(crate) fn sessions(context: Context<'_>, node: &Node) -> Option<Sessions> {
    let mut fields = Fields::of(context, node, "`sessions`");
    let cookie = fields
        .required("cookie", "name the cookie with the access token")
        .and_then(|n| cookie_name(context, n));
    let bearer = fields.optional("bearer").map_or(Some(false), |n| reader::boolean(context, n, "`bearer`"));
    let issuers = credentials::issuers(context, &mut fields);
    let revocations = match fields.optional("revocations") {
        None => Some(None),
        Some(n) => path(context, n, "`revocations`").map(Some),
    };
    fields.finish();
    Some(Sessions { cookie: cookie?, bearer: bearer?, issuers: issuers?, revocations: revocations? })
}

pub(crate) fn cookie_name(context: Context<'_>, node: &Node) -> Option<String> {
    let text = reader::text(context, node, "the cookie's name")?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.bytes().all(token) {
        return Some(text.to_owned());
    }
    context.faults.report(
        node.place,
        format!("the cookie's name is {text:?}"),
        "write a token as RFC 6265 §4.1.1 has it",
    );
    None
}

pub(crate) fn path(context: Context<'_>, node: &Node, what: &str) -> Option<PathBuf> {
    let text: String = reader::parsed(context, node, what, "write a path")?;
    if text.is_empty() {
        context.faults.report(node.place, format!("{what} is empty"), "write a path");
        return None;
    }
    Some(PathBuf::from(text))
}

pub(crate) fn service(context: Context<'_>, name: &str, node: &Node) -> Option<(ServiceName, Service)> {
    let mut fields = Fields::of(context, node, format!("service `{name}`"));
    let keys = fields
        .required("keys", "say where its public keys are: `keys: path/to/keys.jwks.json`")
        .and_then(|n| path(context, n, &format!("`keys` of service `{name}`")));
    let what = format!("service `{name}`");
    let permissions =
        fields.optional("permissions").map(|n| services::permissions(context, n, &what)).unwrap_or_default();
    fields.finish();
    Some((name.parse().ok()?, Service { keys: keys?, permissions }))
}

/// Which sections the policies can rely on.
#[derive(Clone, Copy)]
pub(crate) struct Stores {
    pub(crate) sessions: bool,
    pub(crate) api_keys: bool,
    pub(crate) legacy_sessions: bool,
    pub(crate) tenants: bool,
    pub(crate) signatures: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Public,
    Session,
    Internal,
    Signed,
}

pub(crate) fn policy(
    context: Context<'_>,
    name: &str,
    node: &Node,
    services: &Declared<(ServiceName, Service)>,
    stores: Stores,
) -> Option<Policy> {
    let what = format!("policy `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let kinds = [
        ("public", Kind::Public),
        ("session", Kind::Session),
        ("internal", Kind::Internal),
        ("signed", Kind::Signed),
    ];
    let kind = fields
        .required("kind", "say what it is: `public`, `session`, `internal` or `signed`")
        .and_then(|n| choice(context, n, &format!("the kind of {what}"), &kinds));
    let place = fields.place;
    let policy = match kind? {
        Kind::Public => Some(Policy::Public),
        Kind::Session => {
            let accept = credentials::accept(context, &mut fields, &what, stores);
            if !stores.sessions && (accept.is_empty() || accept.contains(&AcceptedCredential::Session)) {
                context.faults.report(
                    place,
                    format!("{what} needs sessions, and the file has no `sessions`"),
                    "say how sessions are recognised",
                );
            }
            if !stores.tenants {
                context.faults.report(
                    place,
                    format!("{what} needs tenants, and the file has no `tenants`"),
                    "say where tenants are listed",
                );
            }
            let role = match fields.optional("role") {
                None => Some(None),
                Some(n) => reader::number(context, n, "`role`", 0, 255)
                    .and_then(|r| u8::try_from(r).ok())
                    .map(|r| Some(Role(r))),
            };
            let scopes = fields.optional("scopes").map(|n| scopes(context, n, &what)).unwrap_or_default();
            let tenant = match fields.optional("tenant") {
                None => Some(None),
                Some(n) => limits::tenant_match(context, n, &what).map(Some),
            };
            let mode = limits::mode(context, &mut fields, &what);
            match (role, tenant, mode) {
                (Some(role), Some(tenant), Some(mode)) => {
                    Some(Policy::Session(SessionPolicy { accept, role, scopes, tenant, mode }))
                }
                (None, _, _) | (_, None, _) | (_, _, None) => None,
            }
        }
        Kind::Internal => {
            let mut accepted = Vec::new();
            if let Some(list) = fields.optional("services") {
                for element in reader::list(context, list, &format!("`services` of {what}")) {
                    let named = services.reference(context, element, &format!("a service of {what}"));
                    accepted.extend(named.and_then(|name| name.parse::<ServiceName>().ok()));
                }
            }
            let permissions = fields.optional("permissions");
            let policy = InternalPolicy {
                services: accepted,
                permissions: permissions
                    .map(|n| services::permissions(context, n, &what))
                    .unwrap_or_default(),
            };
            if let Some(node) = permissions {
                services::check_permissions(context, node, &what, &policy, services);
            }
            Some(Policy::Internal(policy))
        }
        Kind::Signed => {
            signatures::policy(context, &mut fields, &what, stores.signatures).map(Policy::Signed)
        }
    };
    fields.finish();
    policy
}

fn scopes(context: Context<'_>, node: &Node, what: &str) -> Vec<String> {
    let mut scopes = Vec::new();
    for element in reader::list(context, node, &format!("`scopes` of {what}")) {
        let Some(scope) = reader::text(context, element, &format!("a scope of {what}")) else { continue };
        // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        let token = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
        if scope.is_empty() || !scope.bytes().all(token) {
            context.faults.report(
                element.place,
                format!("a scope of {what} is {scope:?}"),
                "write a scope token (RFC 6749 §3.3)",
            );
        }
        scopes.push(scope.to_owned());
    }
    scopes
}

pub(crate) fn answers(context: Context<'_>, name: &str, node: &Node) -> Option<Answers> {
    let what = format!("answers `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let content_type =
        fields.optional("content_type").and_then(|n| header_value(context, n, "`content_type`"));
    let mut one = |field: &'static str| {
        let mend = format!("say what is answered: `{field}: {{ status: …, body: … }}`");
        fields.required(field, &mend).and_then(|n| answer(context, n, &format!("`{field}` of {what}")))
    };
    let (unauthenticated, forbidden) = (one("unauthenticated"), one("forbidden"));
    let (not_found, unavailable) = (one("not_found"), one("unavailable"));
    let too_many_requests = fields.optional("too_many_requests").map_or_else(
        || Some(too_many_requests()),
        |n| answer(context, n, &format!("`too_many_requests` of {what}")),
    );
    // The edge's own failures are 503 everywhere, so that nobody takes one for a decision.
    if let Some(answer) = &unavailable
        && answer.status != 503
    {
        let problem = format!("`unavailable` of {what} has the status {}", answer.status);
        context.faults.report(
            fields.place,
            problem,
            "write 503: a refusal that nobody decided must look like none",
        );
    }
    fields.finish();
    Some(Answers {
        content_type,
        unauthenticated: unauthenticated?,
        forbidden: forbidden?,
        not_found: not_found?,
        unavailable: unavailable?,
        too_many_requests: too_many_requests?,
    })
}

/// What is said about a limit where the file says nothing: no client of ours knows a contract for it.
fn too_many_requests() -> Answer {
    Answer { status: 429, body: "Too many requests".to_owned() }
}

fn header_value(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    if !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Some(text.to_owned());
    }
    context.faults.report(node.place, format!("{what} is {text:?}"), "write visible ASCII");
    None
}

/// Envoy caps the body of a denied answer (`max_denied_response_body_bytes`); the same bound here means that
/// nothing is ever cut.
pub const MAX_ANSWER_BYTES: usize = 8_192;

/// The statuses from 400 on that Envoy can send for a refusal (`envoy.type.v3.StatusCode`).
const STATUSES: [u64; 37] = [
    400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423,
    424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
];

fn status_code(context: Context<'_>, node: &Node) -> Option<u16> {
    let status = reader::number(context, node, "`status`", 400, 599)?;
    if !STATUSES.contains(&status) {
        context.faults.report(
            node.place,
            format!("`status` is {status}"),
            "write a status that Envoy knows, such as 401, 403 or 404",
        );
        return None;
    }
    u16::try_from(status).ok()
}

fn answer(context: Context<'_>, node: &Node, what: &str) -> Option<Answer> {
    let mut fields = Fields::of(context, node, what);
    let status = fields
        .required("status", "give the HTTP status: `status: 401`")
        .and_then(|n| status_code(context, n));
    let body_node = fields.required("body", "give the body, `\"\"` for none");
    let body = body_node.and_then(|n| reader::text(context, n, "`body`"));
    if let (Some(node), Some(text)) = (body_node, body)
        && text.len() > MAX_ANSWER_BYTES
    {
        context.faults.report(
            node.place,
            format!("the body of {what} has {} bytes", text.len()),
            format!("keep it under {MAX_ANSWER_BYTES} bytes"),
        );
    }
    fields.finish();
    Some(Answer { status: status?, body: body?.to_owned() })
}

/// Identity and forwarding headers that every edge must reserve: without them P2 would not hold.
const MUST_RESERVE: [&str; 4] =
    ["x-madome-identity", identity::headers::TENANT, "x-forwarded-for", "x-envoy-original-path"];

/// Headers that clients must be able to send.
const MUST_NOT_RESERVE: [&str; 12] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "range",
    "te",
    "transfer-encoding",
    "upgrade",
    identity::headers::REQUEST_ID,
];

pub(crate) fn reserved(context: Context<'_>, node: &Node) -> Option<Reserved> {
    let mut fields = Fields::of(context, node, "`reserved_headers`");
    let mut names_of = |field: &'static str| {
        let mut names = Vec::new();
        for element in fields
            .optional(field)
            .map(|n| reader::list(context, n, &format!("`{field}`")))
            .unwrap_or_default()
        {
            let Some(name) = reader::text(context, element, "a reserved header") else { continue };
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || !name.bytes().all(plain) {
                let problem = format!("the reserved header is {name:?}");
                context.faults.report(
                    element.place,
                    problem,
                    "write lower-case letters, digits and `-`; every other spelling is covered by it",
                );
                continue;
            }
            names.push((name.to_owned(), element.place));
        }
        names
    };
    let (names, prefixes) = (names_of("names"), names_of("prefixes"));
    for must_not in MUST_NOT_RESERVE {
        let hit = names
            .iter()
            .find(|(n, _)| n == must_not)
            .or_else(|| prefixes.iter().find(|(p, _)| must_not.starts_with(p.as_str())));
        if let Some((reserved, place)) = hit {
            let problem = format!("reserving `{reserved}` takes `{must_not}` away from clients");
            context.faults.report(*place, problem, "remove it");
        }
    }
    for must in MUST_RESERVE {
        let covered = names.iter().any(|(n, _)| n == must)
            || prefixes.iter().any(|(p, _)| must.starts_with(p.as_str()));
        if !covered {
            let problem = format!("`{must}` is not reserved: a client could forge it");
            context.faults.report(
                fields.place,
                problem,
                "add it to `names`, or a prefix of it to `prefixes`",
            );
        }
    }
    fields.finish();
    let plain = |named: Vec<(String, crate::fault::Place)>| named.into_iter().map(|(name, _)| name).collect();
    Some(Reserved { names: plain(names), prefixes: plain(prefixes) })
}
