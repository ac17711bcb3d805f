//! Chooses the requests that show the words of the legacy backend's refusals.
//!
//! No request has a valid credential or a body. A route that takes GET is queried with GET, without credentials and with bad
//! ones. Any other route is queried with bad credentials alone.

use edge_config::edge::{
    AcceptedCredential, ApiKeys, Exposure, Listener, PathMatch, Policy, Route, SessionPolicy,
};
use edge_config::{Edge, Match, route_of};
use serde::Serialize;

/// The last segment of a path that no backend has.
const ABSENT: &str = "cutover-answers-absent";

/// A token of three parts as JWTs have them: `{"alg":"HS256","typ":"JWT"}`, `{"id":"…","exp":1}` with an id that was never
/// given out, and a signature of zeros.
const FORGED: &str = concat!(
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.",
    "eyJpZCI6ImN1dG92ZXItYW5zd2VycyIsImV4cCI6MX0.",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);

/// A text that is not a token of any kind.
const GARBAGE: &str = "cutover-answers";

/// The credential of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// Nothing.
    None,
    /// A session cookie that is not a token.
    Garbage,
    /// A session cookie with a token without a valid signature.
    Forged,
    /// `Authorization: Bearer` with the same.
    Bearer,
    /// An API key that was never made.
    ApiKey,
}

impl Credential {
    /// As the report names it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "without credentials",
            Self::Garbage => "with a cookie that is not a token",
            Self::Forged => "with a forged token",
            Self::Bearer => "with a forged bearer token",
            Self::ApiKey => "with an unknown API key",
        }
    }
}

/// One request to the legacy backend.
#[derive(Clone, Debug)]
pub struct Question {
    /// The route that would take it at the edge.
    pub route: String,
    /// The name of the answers that the route speaks in.
    pub answers: String,
    /// What it shows.
    pub credential: Credential,
    /// Whether its path is one that no backend has.
    pub absent: bool,
    /// The method.
    pub method: String,
    /// `Host`.
    pub host: String,
    /// The path.
    pub path: String,
    /// Its further header lines.
    pub headers: Vec<(String, String)>,
}

/// A route without a request, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotAsked {
    /// The route.
    pub route: String,
    /// The reason, as a sentence without its full stop.
    pub why: String,
}

/// Returns the requests for the routes that `wanted` names, or for all routes of `edge`, and the routes without a request.
#[must_use]
pub fn questions(edge: &Edge, wanted: &[String]) -> (Vec<Question>, Vec<NotAsked>) {
    let (mut asked, mut not_asked) = (Vec::new(), Vec::new());
    let named = |route: &&Route| wanted.is_empty() || wanted.contains(&route.name);
    for route in edge.routes.iter().filter(named) {
        match of_route(edge, route) {
            Ok(questions) => asked.extend(questions),
            Err(why) => not_asked.push(NotAsked { route: route.name.clone(), why: why.to_owned() }),
        }
    }
    (asked, not_asked)
}

fn of_route(edge: &Edge, route: &Route) -> Result<Vec<Question>, &'static str> {
    let policy = match edge.policies.get(&route.policy) {
        Some(Policy::Session(policy)) => policy,
        Some(Policy::Public(_)) => return Err("it is public: its backend refuses, in its own words"),
        Some(Policy::Internal(_)) => {
            return Err("it is for services, which the legacy backend does not know");
        }
        Some(Policy::Signed(_)) => {
            return Err("it is for signed requests, which the legacy backend does not know");
        }
        Some(Policy::Certificate(_)) => {
            return Err("it is for programs with certificates, which the legacy backend does not know");
        }
        Some(Policy::Webhook(_)) => {
            return Err("it is for webhooks, which other products send");
        }
        None => return Err("its policy does not exist"),
    };
    let Some(host) = edge.hosts.get(&route.host) else { return Err("its host does not exist") };
    // The same routes are on each of them that serves requests.
    let serves = |name: &&String| edge.listeners.get(*name).is_some_and(Listener::serves);
    let Some(listener) = host.listeners.iter().find(serves) else {
        return Err("no listener serves its host");
    };
    if edge.exposure_of(host) != Some(Exposure::Public) {
        return Err("no client reaches its listener");
    }
    let name = host.names.iter().find(|name| !name.contains('*')).map_or("localhost", String::as_str);
    let question = |method: &str, path: String, absent, credential| Question {
        route: route.name.clone(),
        answers: route.answers.clone(),
        credential,
        absent,
        method: method.to_owned(),
        host: name.to_owned(),
        path,
        headers: headers(edge, credential),
    };
    // Only paths that this route takes, and not a more specific one.
    let takes = |method: &str, path: &str| matches!(route_of(edge, listener, name, method, path), Match::Route(taken) if taken.name == route.name);
    let bad = bad_credentials(edge, policy);
    // Nothing has the value that stands for a parameter.
    let (path, absent) = (route.path.with_parameters(ABSENT), route.path.is_template());
    let mut questions = Vec::new();
    if route.methods.is_empty() || route.methods.iter().any(|method| method == "GET") {
        if takes("GET", &path) {
            questions.push(question("GET", path.clone(), absent, Credential::None));
            questions.extend(bad.iter().map(|bad| question("GET", path.clone(), absent, *bad)));
        }
        let below = format!("{}/{ABSENT}", path.trim_end_matches('/'));
        if matches!(route.path, PathMatch::Prefix(_)) && takes("GET", &below) {
            questions.push(question("GET", below, true, Credential::None));
        }
    } else {
        for method in route.methods.iter().filter(|method| takes(method, &path)) {
            questions.extend(bad.iter().map(|bad| question(method, path.clone(), absent, *bad)));
        }
    }
    if questions.is_empty() {
        Err("more specific routes take every request that could be asked")
    } else {
        Ok(questions)
    }
}

/// The bad credentials of the kinds that a policy accepts.
fn bad_credentials(edge: &Edge, policy: &SessionPolicy) -> Vec<Credential> {
    let cookie =
        policy.accepts(AcceptedCredential::Session) || policy.accepts(AcceptedCredential::LegacySession);
    let bearer =
        policy.accepts(AcceptedCredential::Session) && edge.sessions.as_ref().is_some_and(|s| s.bearer);
    let key = policy.accepts(AcceptedCredential::ApiKey) && edge.api_keys.is_some();
    [
        (cookie, Credential::Garbage),
        (cookie, Credential::Forged),
        (bearer, Credential::Bearer),
        (key, Credential::ApiKey),
    ]
    .into_iter()
    .filter_map(|(has, credential)| has.then_some(credential))
    .collect()
}

/// A made-up API key in `header`.
fn api_key_in(header: &str) -> (String, String) {
    let scheme = if header == ApiKeys::AUTHORIZATION { "ApiKey " } else { "" };
    (header.to_owned(), format!("{scheme}{GARBAGE}"))
}

fn headers(edge: &Edge, credential: Credential) -> Vec<(String, String)> {
    let cookie = |value: &str| {
        let mut names: Vec<&str> = edge.sessions.iter().map(|sessions| sessions.cookie.as_str()).collect();
        names.extend(edge.legacy_sessions.iter().map(|legacy| legacy.cookie.as_str()));
        names.dedup();
        let pairs: Vec<String> = names.into_iter().map(|name| format!("{name}={value}")).collect();
        vec![("cookie".to_owned(), pairs.join("; "))]
    };
    match credential {
        Credential::None => Vec::new(),
        Credential::Garbage => cookie(GARBAGE),
        Credential::Forged => cookie(FORGED),
        Credential::Bearer => vec![("authorization".to_owned(), format!("Bearer {FORGED}"))],
        Credential::ApiKey => edge
            .api_keys
            .iter()
            .filter_map(|keys| keys.headers.first())
            .map(|header| api_key_in(header))
            .collect(),
    }
}
