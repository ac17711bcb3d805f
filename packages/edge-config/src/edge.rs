//! The edge as a value: the whole content of the edge file, after every check has passed.
//!
//! No type here can express a path rewrite, a body transform or a cookie edit, so none can be rendered.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use ::identity::ServiceName;

mod answers;
mod authorizer;
mod backend;
mod canary;
mod certificate;
mod cors;
mod credentials;
mod destination;
mod header_case;
mod hsts;
mod identity;
mod introspection;
mod issuer;
mod leases;
mod limits;
mod listener;
mod path;
mod percent;
mod policy;
mod proxies;
mod reach;
mod refusal;
mod route;
mod services;
mod sessions;
mod shadow;
mod sign_in;
mod signed;
mod streams;
mod tenants;
mod tracing;
mod webhook;
mod wire;

pub use self::identity::{DEFAULT_SIGNED, IdentityHeaders, Marks, OnAnswers, RequestIdHeader};
pub use answers::{Answers, MadeByEnvoy, RefusalAnswer};
pub use authorizer::{Authorizer, AuthorizerAddress, AuthorizerTls, Socket};
pub use backend::{
    Backend, BackendTls, Circuit, ClientCertificate, Credentials, Ejection, Endpoint, GRPC_STATUSES,
    GrpcErrors, Health, Protocol, Retries, SignIn,
};
pub use canary::{Canary, Condition};
pub use certificate::{CertificateHolder, CertificatePolicy};
pub use cors::{Cors, RouteCors};
pub use credentials::{
    AcceptedCredential, ApiKeys, LegacyCheck, LegacyEnd, LegacySessions, LegacyStore, LegacyVerifier,
    RedisUrl,
};
pub use destination::{Destination, OfKind, Share, Sticky};
pub use header_case::HeaderCase;
pub use hsts::{HSTS_HEADER, Hsts};
pub use introspection::{Introspection, IntrospectionClient, OpaqueIssuer};
pub use issuer::{
    ABSENT_TYPE, AlgorithmFamily, ClaimPath, ClaimRules, InvalidClaimPath, Issuer, KeyAlgorithm, MappedClaim,
    TenantHosts, TenantRule, TokenTypes,
};
pub use leases::{LeaseMethods, LeasePolicy, Leases, OnOutage};
pub use limits::{LONGEST_REFILL, Limit, Mode, Per, Quota, RateHeaders, TenantMatch};
pub use listener::{
    CertificateFiles, Clients, Exposure, HTTP, HTTPS, Host, HttpsPorts, Listener, Redirect, Tls, Underscores,
};
pub use path::{PathMatch, Segment, Specificity};
pub use percent::{InvalidPercent, Percent, WHOLE};
pub use policy::{BesideCookie, InternalPolicy, Policy, PublicPolicy, RoleNames, SessionPolicy};
pub use proxies::{ForwardedBy, Http10, ProxyProtocol, TrustedProxies};
pub use reach::Reach;
pub use refusal::RefusalStatus;
pub use route::{AbsentPath, FURTHER_METHODS, METHODS, Route};
pub use services::{Service, ServiceTenants, ServiceTokens};
pub use sessions::{
    CookieReading, Duplicates, KeySource, MAX_COOKIE_PARTS, Sessions, TokenEncoding, WebsocketProtocol,
};
pub use shadow::{Comparator, DifferenceKind, Ignore, Ignored};
pub use sign_in::SignInRedirect;
pub use signed::{Cidr, CidrError, SignatureProfile, Signatures, SignedPolicy};
pub use streams::{EndsWith, Streams};
pub use tenants::{TenantDirectory, TenantService};
pub use tracing::{Tracing, TrustIncoming};
pub use webhook::{
    DigestEncoding, FormatFault, SecretEncoding, SignatureFormat, SignedPart, Webhook, WebhookHash,
    WebhookPolicy, WebhookTime,
};
pub use wire::{AnswerHeads, RouteTimes, WireLimits};

/// A whole, valid edge.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Name of the edge (`dev`, `prod`, …). It is the issuer of the signed identity and the audience that a
    /// service addresses.
    pub name: String,
    /// The revision of the text from which the edge was read.
    pub revision: Revision,
    /// The registrable domain, for the cookies of the auth service (no leading dot); absent where the edge file names none.
    pub root_domain: Option<String>,
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
    /// How each sender of webhooks signs, by the name of the webhook.
    pub webhooks: BTreeMap<String, Webhook>,
    /// The callers that are known by their certificates, by name.
    pub client_certificates: BTreeMap<String, CertificateHolder>,
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
    /// Where spans of requests go; absent when no request has one.
    pub tracing: Option<Tracing>,
    /// The bounds of open streams.
    pub streams: Streams,
    /// The wording of refusals, by name.
    pub answers: BTreeMap<String, Answers>,
    /// The name of the answers where neither route nor host is known; absent for [`Answers::built_in`].
    pub default_answers: Option<String>,
    /// Origins of browsers that may send requests from another site, besides the hosts of the edge: `https://app.example`.
    pub browser_origins: Vec<String>,
    /// What backends learn about the caller, and under which names.
    pub identity: IdentityHeaders,
    /// The header with the id of a request.
    pub request_id: RequestIdHeader,
    /// Header names that only the edge may write: its own, and those that the file adds.
    pub reserved: Reserved,
    /// Paths that no spelling may reach through a public listener, beyond the paths of `internal` routes.
    pub internal_paths: Vec<PathMatch>,
    /// Paths that do not exist, whatever broader route is above them.
    pub absent_paths: Vec<AbsentPath>,
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

/// Header names that only the edge may write, lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// The exact names.
    pub names: Vec<String>,
    /// The prefixes of names (`x-forwarded-`).
    pub prefixes: Vec<String>,
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
            Some(
                Policy::Session(_)
                | Policy::Internal(_)
                | Policy::Signed(_)
                | Policy::Webhook(_)
                | Policy::Certificate(_),
            )
            | None => true,
        }
    }
}
