//! The edge as a value: everything the edge file says, after every check has passed.
//!
//! Nothing here can express a path rewrite, a body transform or a cookie edit. What is not in these types
//! cannot be rendered.

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
mod leases;
mod limits;
mod reach;
mod refusal;
mod services;
mod shadow;

pub use self::credentials::{
    AcceptedCredential, ApiKeys, Issuer, KeyAlgorithm, LegacyCheck, LegacySessions, LegacyStore,
    LegacyVerifier, RedisUrl,
};
pub use answers::{Answer, Answers, MadeByEnvoy};
pub use authorizer::{Authorizer, AuthorizerAddress, AuthorizerTls, Socket};
pub use backend::{
    Backend, Circuit, Credentials, Ejection, Endpoint, GRPC_STATUSES, GrpcErrors, Health, Protocol, Retries,
    SignIn,
};
pub use canary::{Canary, Condition};
pub use destination::{Destination, Share, Sticky, WHOLE};
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
    /// Which text this edge was read from.
    pub revision: Revision,
    /// The registrable domain, for cookies (no leading dot).
    pub root_domain: String,
    /// Where Envoy listens, by name.
    pub listeners: BTreeMap<String, Listener>,
    /// Where Envoy's admin interface listens: always loopback.
    pub admin: SocketAddr,
    /// Where scrapers read Envoy's `/ready` and `/stats/prometheus`, and nothing else; absent when nobody does.
    pub stats: Option<SocketAddr>,
    /// Where the authorizer answers.
    pub authorizer: Authorizer,
    /// Where requests can go, by name.
    pub backends: BTreeMap<String, Backend>,
    /// Which names are served, on which listener, by name of the host group.
    pub hosts: BTreeMap<String, Host>,
    /// How sessions are recognised; absent when no policy needs one.
    pub sessions: Option<Sessions>,
    /// Where API keys are listed; absent when no policy accepts one.
    pub api_keys: Option<ApiKeys>,
    /// How sessions of the legacy are believed; absent when no policy accepts one.
    pub legacy_sessions: Option<LegacySessions>,
    /// Which services may call on an internal listener, by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// Who issues service tokens; absent when services introduce themselves only.
    pub service_tokens: Option<ServiceTokens>,
    /// How requests are signed; absent when no policy needs it.
    pub signatures: Option<Signatures>,
    /// Where tenants are listed; absent when no policy needs one.
    pub tenants: Option<TenantDirectory>,
    /// What a caller must be, by name.
    pub policies: BTreeMap<String, Policy>,
    /// Who compares answers of shadowed routes; absent when there is nobody.
    pub comparator: Option<Comparator>,
    /// How often something may happen, by name.
    pub limits: BTreeMap<String, Limit>,
    /// What the edge keeps of decisions that may be used again.
    pub leases: Leases,
    /// What a refused caller reads, by name.
    pub answers: BTreeMap<String, Answers>,
    /// The name of the answers where neither route nor host is known; absent for [`Answers::built_in`].
    pub default_answers: Option<String>,
    /// Origins of browsers that may send requests from another site, beside the hosts of the edge: `https://app.example`.
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

/// One address that Envoy listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// For whom.
    pub exposure: Exposure,
    /// The certificate to show; absent where requests come in the clear.
    pub tls: Option<Tls>,
    /// Whether the edge file states that the network of an internal listener is the platform's own.
    pub private_network: bool,
}

/// What a listener shows to be who it is. Envoy reads the files again when they are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who may come in at all; absent where every client may connect.
    pub clients: Option<Clients>,
}

/// Whose certificates a client must show one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Certificates of the authorities that a client's certificate may come from, PEM.
    pub ca: PathBuf,
    /// What a client's certificate must be good for, one of these; empty means that every one of the authorities counts.
    pub names: Vec<String>,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// Anybody: internal paths are closed here.
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
    /// On which listener it is served.
    pub listener: String,
    /// The names, lower case, without port; `*` stands for any name.
    pub names: Vec<String>,
    /// The name of the answers that Envoy gives where no route of the host takes a request; absent when the file leaves
    /// it to the rules of [`Edge::answers_of_host`].
    pub answers: Option<String>,
}

/// How a session is recognised and believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Name of the cookie with the access token.
    pub cookie: String,
    /// Whether `Authorization: Bearer` is accepted too.
    pub bearer: bool,
    /// Whose tokens are believed; at least one. The first is the platform's own auth service.
    pub issuers: Vec<Issuer>,
    /// Where revoked sessions are listed; absent when sessions cannot be revoked before they expire.
    pub revocations: Option<PathBuf>,
}

/// Where public keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set in a file.
    File(PathBuf),
    /// A JWK set behind a URL.
    Url(String),
    /// One public key in a PEM file (SubjectPublicKeyInfo), which carries neither a `kid` nor an algorithm.
    Pem {
        /// The file.
        path: PathBuf,
        /// The `kid` that tokens name it by.
        kid: String,
        /// The one algorithm it may be used with.
        algorithm: KeyAlgorithm,
    },
}

/// A service that may call on an internal listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// JWK set with its public keys.
    pub keys: PathBuf,
    /// What it may do.
    pub permissions: Vec<String>,
    /// For which tenants it may act.
    pub tenants: ServiceTenants,
}

/// Whose service tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTokens {
    /// The `iss` that a token must have.
    pub issuer: String,
    /// JWK set with the issuer's public keys.
    pub keys: PathBuf,
}

/// Where tenants are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantDirectory {
    /// A YAML file, read again whenever it changes.
    File(PathBuf),
    /// The tenants service, asked for one tenant at a time.
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

/// The tenants service and the layers before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantService {
    /// Where it answers gRPC: `http://host:port`.
    pub url: String,
    /// Whether Redis (`REDIS_URL`) shares answers between replicas and pushes changes to them.
    pub redis: bool,
    /// How long an answer is kept in memory, 1 to 5 minutes.
    pub memory: Duration,
    /// How long an answer is kept in Redis, 5 to 60 minutes.
    pub shared: Duration,
    /// How long it is remembered that there is no such tenant, 1 to 60 seconds.
    pub negative: Duration,
    /// How long answers count without a word from the channel that changes are pushed through, 2 to 60 seconds.
    /// Without Redis there is no such channel, and this is how long an answer counts at all.
    pub untrusted_after: Duration,
}

/// What a caller must be to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Anybody. No decision is asked for.
    Public,
    /// A person with a valid session of an active tenant, or whoever has another accepted credential.
    Session(SessionPolicy),
    /// A service of the platform, on an internal listener only.
    Internal(InternalPolicy),
    /// A program that signs its requests, from a known address.
    Signed(SignedPolicy),
}

/// What a person must have beyond a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Which credentials count, the first in this order speaks; empty means sessions alone.
    pub accept: Vec<AcceptedCredential>,
    /// The least role.
    pub role: Option<Role>,
    /// Scopes that must all be present.
    pub scopes: Vec<String>,
    /// Where the request names a tenant that must be the caller's own; absent when it names none.
    pub tenant: Option<TenantMatch>,
    /// Whether role, scopes and tenant refuse or only tell.
    pub mode: Mode,
    /// How an allow may be used again; absent when every request is checked.
    pub lease: Option<LeasePolicy>,
}

/// Which services may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalPolicy {
    /// The accepted services; empty means every listed one.
    pub services: Vec<ServiceName>,
    /// What they must be allowed to do, all of it.
    pub permissions: Vec<String>,
}

/// Header names that only the edge may write, lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Exact names.
    pub names: Vec<String>,
    /// Beginnings of names (`x-madome-`).
    pub prefixes: Vec<String>,
}

/// Which requests of a host a route takes.
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

/// Where requests of one kind go, and who may send them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Unique name: it is in the access log, the metrics and every explanation.
    pub name: String,
    /// The host group it belongs to.
    pub host: String,
    /// Which paths.
    pub path: PathMatch,
    /// Which methods; empty means every method of [`METHODS`].
    pub methods: Vec<String>,
    /// The policy's name.
    pub policy: String,
    /// Which backends, in which shares.
    pub destination: Destination,
    /// Who goes elsewhere, whatever the shares are. The first that applies counts.
    pub canaries: Vec<Canary>,
    /// The backend that gets a copy of each GET and HEAD, and whose answer no client sees.
    pub shadow: Option<String>,
    /// The name of the answers a refused caller gets.
    pub answers: String,
    /// Whether pages of any other site may have a browser send requests here; otherwise the guard refuses them.
    pub cross_site: bool,
    /// Whether its requests may become a WebSocket (RFC 6455).
    pub websocket: bool,
    /// Whether its answers may take as long as they like to begin and to end, such as server-sent events.
    pub stream: bool,
    /// The names of the limits that its requests are counted by.
    pub limits: Vec<String>,
}

impl Route {
    /// The names of all backends that its requests can go to, each once.
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
