//! The sections about credentials: issuers of tokens, API keys, legacy sessions, and the credentials that a policy accepts.

use std::time::Duration;

use identity::{Role, TenantId};

use crate::declared::Declared;
use crate::edge::{
    AcceptedCredential, ApiKeys, Backend, LegacyCheck, LegacyEnd, LegacySessions, LegacyStore,
    LegacyVerifier, Reach, RedisUrl, Reserved,
};
use crate::node::Node;
use crate::reader::{self, Context, Fields};
use crate::reader::{choice, cookie_name, path};
use crate::sections::Stores;
use crate::sections::identity::Own;
use crate::sections::issuers::{LEEWAY, leeway};
use crate::sections::timeouts::timeout;

/// The header in which clients of other gateways usually send a key.
const API_KEY_HEADER: &str = "x-api-key";
/// A Redis in the same network answers within a millisecond; one that needs fifty is stuck.
const STORE_TIMEOUT: Duration = Duration::from_millis(50);
/// Leaves room within the 200 ms that Envoy waits for the authorizer.
const CHECK_TIMEOUT: Duration = Duration::from_millis(150);
/// The requests of two page loads need one query; a logout takes effect at most this late.
const CHECK_CACHE: Duration = Duration::from_millis(1_000);
/// A longer cache would delay a logout at the legacy backend by longer than people expect.
const MAX_CHECK_CACHE_MS: u64 = 5_000;

/// How an address of a Redis may begin: one server, sentinels, or a cluster; with TLS, and without.
const REDIS: [(&str, &str); 3] = [
    ("rediss://", "redis://"),
    ("rediss+sentinel://", "redis+sentinel://"),
    ("rediss+cluster://", "redis+cluster://"),
];

/// The farthest reach of the hosts in a Redis address, given without its `redis://`.
fn redis_reach(rest: &str) -> Reach {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let places = authority.rsplit('@').next().unwrap_or_default();
    let reach = |place: &str| {
        let host = match place.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => place.split(':').next().unwrap_or_default(),
        };
        Reach::of_host(&host.to_ascii_lowercase())
    };
    places.split(',').map(reach).max().unwrap_or(Reach::Machine)
}

pub(crate) fn api_keys(context: Context<'_>, node: &Node) -> Option<ApiKeys> {
    let mut fields = Fields::of(context, node, "`api_keys`");
    let file = fields
        .required("file", "name the file of keys: `file: api-keys.jsonl`; `cutover apikey new` makes it")
        .and_then(|n| path(context, n, "`file`"));
    let headers = api_key_headers(context, fields.optional("header"), fields.optional("headers"));
    fields.finish();
    Some(ApiKeys { file: file?, headers: headers? })
}

/// How many headers may carry a key. A product has one, and perhaps an older one.
const MAX_API_KEY_HEADERS: usize = 8;

/// `header: x-api-key`, or `headers: [x-api-key, authorization]`.
fn api_key_headers(context: Context<'_>, one: Option<&Node>, all: Option<&Node>) -> Option<Vec<String>> {
    let elements: Vec<&Node> = match (one, all) {
        (None, None) => return Some(vec![API_KEY_HEADER.to_owned()]),
        (Some(node), None) => vec![node],
        (None, Some(node)) => {
            let elements = reader::list(context, node, "`headers` of `api_keys`");
            if elements.is_empty() || elements.len() > MAX_API_KEY_HEADERS {
                let problem = format!("`headers` of `api_keys` names {} headers", elements.len());
                context.faults.report(node.place, problem, format!("name 1 to {MAX_API_KEY_HEADERS}"));
                return None;
            }
            elements.iter().collect()
        }
        (Some(_), Some(node)) => {
            context.faults.report(
                node.place,
                "`api_keys` has `header` and `headers`",
                "write `headers` with all of them, and no `header`",
            );
            return None;
        }
    };
    let mut headers: Vec<String> = Vec::new();
    for element in elements {
        let header = api_key_header(context, element)?;
        if headers.contains(&header) {
            let problem = format!("`headers` of `api_keys` names {header:?} twice");
            context.faults.report(element.place, problem, "name it once");
            return None;
        }
        headers.push(header);
    }
    Some(headers)
}

/// Headers that already have another meaning.
const TAKEN: [&str; 10] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn api_key_header(context: Context<'_>, node: &Node) -> Option<String> {
    let text = reader::text(context, node, "`header`")?;
    let written = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if written && !TAKEN.contains(&text) {
        return Some(text.to_owned());
    }
    let mend = "write a header of its own in lower-case letters, digits and `-`, such as x-api-key, or `authorization` \
                for `Authorization: ApiKey …`";
    context.faults.report(node.place, format!("a header of `api_keys` is {text:?}"), mend);
    None
}

/// Reports a header that the guard removes: a key in it would never arrive.
pub(crate) fn check_header(
    context: Context<'_>,
    node: Option<&Node>,
    api_keys: Option<&ApiKeys>,
    reserved: &Reserved,
    own: Own<'_>,
) {
    let (Some(node), Some(ApiKeys { headers, .. })) = (node, api_keys) else { return };
    for header in headers {
        if *header == own.request_id.header {
            let problem =
                format!("a header of `api_keys` is {header:?}, which is the header of `request_id`");
            context.faults.report(node.place, problem, "choose another header");
        } else if reserved.takes(header) {
            context.faults.report(
                node.place,
                format!(
                    "a header of `api_keys` is {header:?}, which is reserved: the edge removes it from requests"
                ),
                "choose another header, or do not reserve it",
            );
        }
    }
}

pub(crate) fn legacy_sessions(
    context: Context<'_>,
    node: &Node,
    backends: &Declared<Backend>,
    patience: Option<Duration>,
) -> Option<LegacySessions> {
    let mut fields = Fields::of(context, node, "`legacy_sessions`");
    let cookie = fields
        .required("cookie", "name the cookie with the legacy backend's access token")
        .and_then(|n| cookie_name(context, n));
    let refresh_cookie = refresh_cookie(context, &mut fields, cookie.as_deref());
    let end = match fields.optional("end") {
        None => Some(None),
        Some(n) => {
            let ends = [("side-by-side", LegacyEnd::SideBySide), ("exchange", LegacyEnd::Exchange)];
            choice(context, n, "`end` of `legacy_sessions`", &ends).map(Some)
        }
    };
    let tenant = fields
        .required("tenant", "the legacy backend has no tenants: write the id of the tenant for its people")
        .and_then(|n| reader::parsed::<TenantId>(context, n, "`tenant`", "write the tenant's id"));
    let role = fields.optional("role").map_or(Some(Role::NORMAL), |n| {
        reader::number(context, n, "`role`", 0, 255).and_then(|r| u8::try_from(r).ok()).map(Role)
    });
    let verify = fields
        .required(
            "verify",
            "choose how sessions are verified: `verify: { redis: { url: … } }` or `verify: { check: { backend: …, path: … } }`",
        )
        .and_then(|n| verifier(context, n, backends, patience));
    fields.finish();
    Some(LegacySessions {
        cookie: cookie?,
        refresh_cookie: refresh_cookie?,
        end: end?,
        tenant: tenant?,
        role: role?,
        verify: verify?,
    })
}

/// `refresh_cookie`, which is not the cookie of the access token.
pub(crate) fn refresh_cookie(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    access: Option<&str>,
) -> Option<Option<String>> {
    let Some(node) = fields.optional("refresh_cookie") else { return Some(None) };
    let name = cookie_name(context, node)?;
    if access == Some(name.as_str()) {
        let problem = format!("`refresh_cookie` is {name:?}, which is the cookie with the access token");
        context.faults.report(node.place, problem, "name the cookie with the refresh token");
    }
    Some(Some(name))
}

fn verifier(
    context: Context<'_>,
    node: &Node,
    backends: &Declared<Backend>,
    patience: Option<Duration>,
) -> Option<LegacyVerifier> {
    let mut fields = Fields::of(context, node, "`verify`");
    let redis = fields.optional("redis");
    let check = fields.optional("check");
    fields.finish();
    match (redis, check) {
        (Some(redis), None) => store(context, redis, patience).map(LegacyVerifier::Store),
        (None, Some(check)) => ask(context, check, backends, patience).map(LegacyVerifier::Check),
        (Some(_), Some(_)) | (None, None) => {
            let problem = "`verify` needs either `redis` or `check`";
            context.faults.report(node.place, problem, "give exactly one of them");
            None
        }
    }
}

fn store(context: Context<'_>, node: &Node, patience: Option<Duration>) -> Option<LegacyStore> {
    let mut fields = Fields::of(context, node, "`redis`");
    let mend = "write redis://host:port, redis+sentinel://host:port,host:port/name or redis+cluster://host:port (rediss with TLS), with a password as ${NAME}";
    let url = fields.required("url", mend).and_then(|n| {
        let text: String = reader::parsed(context, n, "`url`", mend)?;
        let open = REDIS.iter().find_map(|(_, open)| text.strip_prefix(open));
        if open.is_some() || REDIS.iter().any(|(encrypted, _)| text.starts_with(encrypted)) {
            if let Some(rest) = open
                && redis_reach(rest) > Reach::Machine
            {
                // The message does not show the address, which may contain a password.
                context.faults.warn(
                    n.place,
                    "the legacy backend's store is queried without encryption: a machine on the way can forge sessions",
                    "write rediss://, or keep it on a network that is private to the platform",
                );
            }
            return Some(RedisUrl(text));
        }
        context.faults.report(n.place, "`url` of `redis` does not begin with redis://", mend);
        None
    });
    let key_prefix = fields
        .optional("key_prefix")
        .map_or(Some(String::new()), |n| reader::text(context, n, "`key_prefix`").map(str::to_owned));
    let timeout = timeout(context, &mut fields, STORE_TIMEOUT, patience);
    let leeway = fields.optional("leeway_seconds").map_or(Some(LEEWAY), |n| leeway(context, n));
    fields.finish();
    Some(LegacyStore { url: url?, key_prefix: key_prefix?, timeout: timeout?, leeway: leeway? })
}

fn ask(
    context: Context<'_>,
    node: &Node,
    backends: &Declared<Backend>,
    patience: Option<Duration>,
) -> Option<LegacyCheck> {
    let mut fields = Fields::of(context, node, "`check`");
    let backend = fields
        .required("backend", "name the backend that checks sessions")
        .and_then(|n| backends.reference(context, n, "the backend of `check`"));
    let path = fields.required("path", "write the path of the check, such as /auth/token").and_then(|n| {
        let path = reader::text(context, n, "the path of `check`")?;
        if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Some(path.to_owned());
        }
        let problem = format!("the path of `check` is {path:?}");
        context.faults.report(n.place, problem, "write a path in visible ASCII that begins with `/`");
        None
    });
    let cache = fields
        .optional("cache_ms")
        .map_or(Some(CHECK_CACHE), |n| reader::millis(context, n, "`cache_ms`", 0, MAX_CHECK_CACHE_MS));
    let timeout = timeout(context, &mut fields, CHECK_TIMEOUT, patience);
    fields.finish();
    let (backend, path) = (backend?, path?);
    // Absent when the backend has a fault of its own, which is reported at its place.
    let backend = Box::new(backends.good.get(&backend)?.clone());
    Some(LegacyCheck { backend, path, cache: cache?, timeout: timeout? })
}

/// The credentials that a policy accepts, in order of precedence; empty when it lists none.
pub(crate) fn accept(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    stores: Stores,
) -> Vec<AcceptedCredential> {
    let Some(node) = fields.optional("accept") else { return Vec::new() };
    let kinds = [AcceptedCredential::Session, AcceptedCredential::ApiKey, AcceptedCredential::LegacySession];
    let choices = kinds.map(|kind| (kind.as_str(), kind));
    let elements = reader::list(context, node, &format!("`accept` of {what}"));
    if elements.is_empty() {
        let problem = format!("`accept` of {what} accepts nothing");
        context.faults.report(
            node.place,
            problem,
            "list at least one: `session`, `api-key`, `legacy-session`",
        );
    }
    let mut accepted = Vec::new();
    for element in elements {
        let Some(kind) = choice(context, element, &format!("`accept` of {what}"), &choices) else { continue };
        let (there, section) = match kind {
            // Reported with the policy, as for a policy without `accept`.
            AcceptedCredential::Session => (true, "sessions"),
            AcceptedCredential::ApiKey => (stores.api_keys, "api_keys"),
            AcceptedCredential::LegacySession => (stores.legacy_sessions, "legacy_sessions"),
        };
        if !there {
            context.faults.report(
                element.place,
                format!("{what} accepts `{}`, and the file has no `{section}`", kind.as_str()),
                format!("add the section `{section}: …`"),
            );
        }
        if accepted.contains(&kind) {
            let problem = format!("`accept` of {what} lists `{}` twice", kind.as_str());
            context.faults.report(element.place, problem, "list it once: the order is the precedence");
        } else {
            accepted.push(kind);
        }
    }
    accepted
}
