//! The edge as a value: the whole content of the edge file, after every check has passed.
//!
//! No type here can express a path rewrite, a body transform or a cookie edit, so none can be rendered.

mod signed;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use identity::{Role, ServiceName};

mod answers;
mod authorizer;
mod backend;
mod canary;
mod credentials;
mod destination;
mod header_case;
mod issuer;
mod leases;
mod limits;
mod reach;
mod refusal;
mod services;
mod shadow;

pub use self::credentials::{
    AcceptedCredential, ApiKeys, LegacyCheck, LegacyEnd, LegacySessions, LegacyStore, LegacyVerifier,
    RedisUrl,
};
pub use self::issuer::{
    ABSENT_TYPE, AlgorithmFamily, ClaimPath, ClaimRules, InvalidClaimPath, Issuer, KeyAlgorithm, MappedClaim,
    TenantRule, TokenTypes,
};
pub use answers::{Answer, Answers, MadeByEnvoy};
pub use authorizer::{Authorizer, AuthorizerAddress, AuthorizerTls, Socket};
pub use backend::{
    Backend, Circuit, Credentials, Ejection, Endpoint, GRPC_STATUSES, GrpcErrors, Health, Protocol, Retries,
    SignIn,
};
pub use canary::{Canary, Condition};
pub use destination::{Destination, OfKind, Share, Sticky, WHOLE};
pub use header_case::HeaderCase;
pub use leases::{LeaseMethods, LeasePolicy, Leases, OnOutage};
pub use limits::{LONGEST_REFILL, Limit, Mode, Per, TenantMatch};
pub use reach::Reach;
pub use refusal::RefusalStatus;
pub use services::ServiceTenants;
pub use shadow::{Comparator, DifferenceKind, Ignore, Ignored};
pub use signed::{Cidr, CidrError, Signatures, SignedPolicy};

/// A whole, valid edge.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Name of the edge (`dev`, `prod`, …). It is the issuer of the signed identity and the audience that a
    /// service addresses.
    pub name: String,
    /// The revision of the text from which the edge was read.
    pub revision: Revision,
    /// The registrable domain, for cookies (no leading dot).
    pub root_domain: String,
    /// The addresses of Envoy, by name.
    pub listeners: BTreeMap<String, Listener>,
    /// The address of Envoy's admin interface: always loopback.
    pub admin: SocketAddr,
    /// The address at which scrapers read Envoy's `/ready` and `/stats/prometheus`, and nothing else; absent without
    /// scrapers.
    pub stats: Option<SocketAddr>,
    /// The authorizer's addresses.
    pub authorizer: Authorizer,
    /// The backends, by name.
    pub backends: BTreeMap<String, Backend>,
    /// The served host names and their listeners, by name of the host group.
    pub hosts: BTreeMap<String, Host>,
    /// How sessions are verified; absent when no policy needs one.
    pub sessions: Option<Sessions>,
    /// The list of API keys; absent when no policy accepts one.
    pub api_keys: Option<ApiKeys>,
    /// How sessions of the legacy backend are verified; absent when no policy accepts one.
    pub legacy_sessions: Option<LegacySessions>,
    /// The services that may call on an internal listener, by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// The issuer of service tokens; absent when services only introduce themselves.
    pub service_tokens: Option<ServiceTokens>,
    /// The rules for signed requests; absent when no policy needs them.
    pub signatures: Option<Signatures>,
    /// The directory of tenants; absent when no policy needs one.
    pub tenants: Option<TenantDirectory>,
    /// The requirements for callers, by name.
    pub policies: BTreeMap<String, Policy>,
    /// The program that compares the answers of shadowed routes; absent when there is none.
    pub comparator: Option<Comparator>,
    /// The request limits, by name.
    pub limits: BTreeMap<String, Limit>,
    /// The store of decisions that may be used again.
    pub leases: Leases,
    /// The wording of refusals, by name.
    pub answers: BTreeMap<String, Answers>,
    /// The name of the answers where neither route nor host is known; absent for [`Answers::built_in`].
    pub default_answers: Option<String>,
    /// Origins of browsers that may send requests from another site, besides the hosts of the edge: `https://app.example`.
    pub browser_origins: Vec<String>,
    /// Header names that only the edge may write.
    pub reserved: Reserved,
    /// Paths that no spelling may reach through a public listener, beyond the paths of `internal` routes.
    pub internal_paths: Vec<PathMatch>,
    /// The routes, in the order of the file. Order has no meaning: the most specific match wins.
    pub routes: Vec<Route>,
}

/// Identifies the text of an edge file: the first 16 hexadecimal digits of its SHA-256, so that
/// `sha256sum FILE` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub String);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One address at which Envoy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address.
    pub address: SocketAddr,
    /// The clients that can reach it.
    pub exposure: Exposure,
    /// The certificate to present; absent where requests come in the clear.
    pub tls: Option<Tls>,
    /// Whether the edge file declares the network of an internal listener private to the platform.
    pub private_network: bool,
    /// Whether HTTP/1.0 is accepted, as from an nginx that speaks it to its backends by default. Otherwise 426.
    pub accepts_http_10: bool,
    /// What happens to a request with a header name that contains an underscore.
    pub underscores: Underscores,
}

/// What happens to a request with a header name that contains an underscore. Many backends read `_` as `-`, so such a name
/// could be read as one that only the edge may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underscores {
    /// The request is refused (400 over HTTP/1.1, a reset stream over HTTP/2).
    #[default]
    Refuse,
    /// The header is removed and the request goes on, as an nginx does by default.
    Drop,
}

/// The certificate of a listener. Envoy reads the files again when they are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The clients that may connect at all; absent where every client may connect.
    pub clients: Option<Clients>,
}

/// The rules for client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// The certificates of the authorities that may issue a client's certificate, PEM.
    pub ca: PathBuf,
    /// The names of which a client's certificate must have one. Empty accepts every certificate of the authorities.
    pub names: Vec<String>,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// Every client: internal paths are closed here.
    Public,
    /// The platform's own services.
    Internal,
}

impl Exposure {
    /// `public` or `internal`, as the edge file and the authorizer's context spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
        }
    }
}

/// A group of host names with its own routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The listener that serves it.
    pub listener: String,
    /// The names, lower case, without port; `*` stands for any name.
    pub names: Vec<String>,
    /// The name of the answers that Envoy gives where no route of the host matches a request. Absent when the rules of
    /// [`Edge::answers_of_host`] decide.
    pub answers: Option<String>,
}

/// How a session is found and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Name of the cookie with the access token.
    pub cookie: String,
    /// Name of the cookie with the refresh token, by which public routes recognise a session; absent when none needs to.
    pub refresh_cookie: Option<String>,
    /// Whether `Authorization: Bearer` is accepted, too.
    pub bearer: bool,
    /// The trusted issuers of tokens; at least one. The first is the platform's own auth service.
    pub issuers: Vec<Issuer>,
    /// The list of revoked sessions; absent when sessions cannot be revoked before they expire.
    pub revocations: Option<PathBuf>,
}

/// The source of public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set in a file.
    File(PathBuf),
    /// A JWK set at a URL.
    Url(String),
    /// The JWK set that the issuer's metadata names (OpenID Connect Discovery 1.0, RFC 8414). The first of these addresses
    /// that answers with the issuer's metadata counts.
    Discovery(Vec<String>),
    /// One public key in a PEM file (SubjectPublicKeyInfo), which carries neither a `kid` nor an algorithm.
    Pem {
        /// The file.
        path: PathBuf,
        /// The `kid` by which tokens name it.
        kid: String,
        /// The one algorithm for which it may be used.
        algorithm: KeyAlgorithm,
    },
}

/// A service that may call on an internal listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The JWK set with its public keys.
    pub keys: PathBuf,
    /// Its permissions.
    pub permissions: Vec<String>,
    /// The tenants for which it may act.
    pub tenants: ServiceTenants,
}

/// The trusted issuer of service tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTokens {
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The JWK set with the issuer's public keys.
    pub keys: PathBuf,
}

/// The directory of tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantDirectory {
    /// A YAML file, read again whenever it changes.
    File(PathBuf),
    /// The tenants service, queried for one tenant at a time.
    Service(TenantService),
}

impl TenantDirectory {
    /// The file, when tenants are listed in one.
    #[must_use]
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(file) => Some(file),
            Self::Service(_) => None,
        }
    }
}

/// The tenants service and the caches before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantService {
    /// Its gRPC address: `http://host:port`.
    pub url: String,
    /// Whether Redis (`REDIS_URL`) shares answers between replicas and pushes changes to them.
    pub redis: bool,
    /// How long an answer is kept in memory, 1 to 5 minutes.
    pub memory: Duration,
    /// How long an answer is kept in Redis, 5 to 60 minutes.
    pub shared: Duration,
    /// How long an unknown tenant is remembered, 1 to 60 seconds.
    pub negative: Duration,
    /// How long answers are trusted while the channel for pushed changes is silent, 2 to 60 seconds. Without Redis there is
    /// no such channel, and answers are trusted only this long.
    pub untrusted_after: Duration,
}

/// The requirements for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Every caller. See [`Edge::is_decided`] for when a decision is made.
    Public(PublicPolicy),
    /// A person with a valid session of an active tenant, or a caller with another accepted credential.
    Session(SessionPolicy),
    /// A service of the platform, on an internal listener only.
    Internal(InternalPolicy),
    /// A program that signs its requests, from a known address.
    Signed(SignedPolicy),
}

/// The requests that a public policy refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicPolicy {
    /// Whether a request is refused when its recognised session, or the session's person or tenant, was ended. The claims
    /// are unproved, so a client can have itself refused and no other client.
    pub refuse_ended: bool,
}

/// The requirements for a person beyond a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPolicy {
    /// The accepted credentials; the first one in this order that a request has is used. Empty means sessions alone.
    pub accept: Vec<AcceptedCredential>,
    /// What `Authorization: Bearer` means beside a session cookie.
    pub bearer_beside_cookie: BesideCookie,
    /// The least role.
    pub role: Option<Role>,
    /// The scopes that must all be present.
    pub scopes: Vec<String>,
    /// The place in the request of a tenant that must be the caller's own; absent when it names none.
    pub tenant: Option<TenantMatch>,
    /// Whether role, scopes and tenant are enforced or only logged.
    pub mode: Mode,
    /// How an allow may be used again; absent when every request is checked.
    pub lease: Option<LeasePolicy>,
}

/// What a bearer token means in a request that has a session cookie, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BesideCookie {
    /// It is a credential like the cookie: both must prove the same session. A token that means nothing to the edge is
    /// refused, because a backend that reads it could take the caller for another person.
    #[default]
    Compare,
    /// The cookie alone counts. The header is the backend's own matter, as for many legacy backends.
    Ignore,
}

/// The services that may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalPolicy {
    /// The accepted services; empty means every listed one.
    pub services: Vec<ServiceName>,
    /// The permissions that they need, all of them.
    pub permissions: Vec<String>,
}

/// Header names that only the edge may write, lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// The exact names.
    pub names: Vec<String>,
    /// The prefixes of names (`x-madome-`).
    pub prefixes: Vec<String>,
}

/// The paths that a route takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathMatch {
    /// This path, byte for byte.
    Exact(String),
    /// This path and everything below it, by whole segments: `/users` takes `/users` and `/users/1` but not
    /// `/usersx`. `/` takes everything.
    Prefix(String),
}

impl PathMatch {
    /// The path as written.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path,
        }
    }

    /// Whether `path` (raw, without query) is taken.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) if prefix == "/" => path.starts_with('/'),
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

/// The destination of a set of requests, and the policy for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Unique name: it is in the access log, the metrics and every explanation.
    pub name: String,
    /// Its host group.
    pub host: String,
    /// Its paths.
    pub path: PathMatch,
    /// Its methods; empty means every method of [`METHODS`].
    pub methods: Vec<String>,
    /// The policy's name.
    pub policy: String,
    /// The backends and their shares.
    pub destination: Destination,
    /// Callers that go to another backend, whatever the shares are. The first that applies counts.
    pub canaries: Vec<Canary>,
    /// The backend that receives a copy of each GET and HEAD, and whose answer no client receives.
    pub shadow: Option<String>,
    /// The name of the answers for refused callers.
    pub answers: String,
    /// Whether pages of any other site may have a browser send requests here; otherwise the guard refuses them.
    pub cross_site: bool,
    /// Whether its requests may become a WebSocket (RFC 6455).
    pub websocket: bool,
    /// Whether its answers may begin and end at any time, such as server-sent events.
    pub stream: bool,
    /// The names of the limits for its requests.
    pub limits: Vec<String>,
}

impl Edge {
    /// Whether the authorizer decides about the requests of `route`. It does not when the route is public, has no limits,
    /// names no kind of credential, and refuses no ended session.
    #[must_use]
    pub fn is_decided(&self, route: &Route) -> bool {
        match self.policies.get(&route.policy) {
            Some(Policy::Public(PublicPolicy { refuse_ended })) => {
                *refuse_ended || !route.limits.is_empty() || !route.destination.kinds.is_empty()
            }
            Some(Policy::Session(_) | Policy::Internal(_) | Policy::Signed(_)) | None => true,
        }
    }
}

impl Route {
    /// The names of all backends to which its requests can go, each once.
    #[must_use]
    pub fn backends(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let canaries = self.canaries.iter().map(|canary| canary.backend.as_str());
        for name in self.destination.backends().chain(canaries) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// The methods that pass through an edge when a route names none. `TRACE` echoes headers back and `CONNECT`
/// opens tunnels, so neither is here.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
