//! The settings of the service, read from its environment.

use std::net::SocketAddr;

use events::bus::Topology;
use identity::ServiceName;
use kit::base::Base;
use kit::peer::{SERVICE_EDGE_URL, service_edge_url};
use kit::settings::{
    AMQP_CONSUMERS, AMQP_URL, CUTOVER_HOME, DATABASE_URL, EDGE_NAME, EVENTS_PREFIX, Faults, RUST_LOG, Reader,
    Variable,
};

/// The address to listen on.
pub const TENANTS_ADDRESS: Variable = Variable {
    name: "TENANTS_ADDRESS",
    default: Some("127.0.0.1:3026"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The address to answer authorizers on.
pub const TENANTS_GRPC_ADDRESS: Variable = Variable {
    name: "TENANTS_GRPC_ADDRESS",
    default: Some("127.0.0.1:3036"),
    help: "Listen address for authorizers (gRPC, `tenants.grpc` in the edge file). It answers every client with the state of \
           a tenant, so keep it on this machine or on the platform's own network",
    secret: false,
};

/// The services that may change tenants.
pub const TENANTS_MANAGERS: Variable = Variable {
    name: "TENANTS_MANAGERS",
    default: Some("admin"),
    help: "Services that may create, suspend, reinstate and delete tenants, separated by commas (names in `services` of the \
           edge file); every service of the platform may read them",
    secret: false,
};

/// The services with data of tenants.
pub const TENANTS_PARTICIPANTS: Variable = Variable {
    name: "TENANTS_PARTICIPANTS",
    default: Some("users,auth,notifications"),
    help: "Services whose data of a tenant is removed with it, in this order, separated by commas; empty for none",
    secret: false,
};

/// The Redis that authorizers share.
pub const REDIS_URL: Variable = Variable {
    name: "REDIS_URL",
    default: None,
    help: "Redis of the authorizers, which learn each change at once from it; without it, after `untrusted_after_seconds` of \
           the edge file",
    secret: true,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[
    TENANTS_ADDRESS,
    TENANTS_GRPC_ADDRESS,
    TENANTS_MANAGERS,
    TENANTS_PARTICIPANTS,
    SERVICE_EDGE_URL,
    REDIS_URL,
    AMQP_URL,
    EVENTS_PREFIX,
    AMQP_CONSUMERS,
    CUTOVER_HOME,
    DATABASE_URL,
    EDGE_NAME,
    RUST_LOG,
];

/// The validated settings.
#[derive(Clone)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The address to answer authorizers on.
    pub grpc_address: SocketAddr,
    /// Its keys, its database and the trusted edge.
    pub base: Base,
    /// The services that may change tenants.
    pub managers: Vec<ServiceName>,
    /// The services whose data of a tenant is removed with it, in this order.
    pub participants: Vec<ServiceName>,
    /// The edge's listener for services, without a slash at its end.
    pub service_edge_url: String,
    /// The Redis of the authorizers. Contains a password.
    pub redis: Option<redis_connection::Address>,
    /// The broker for events. Contains a password.
    pub broker: Option<broker_connection::Address>,
    /// The names at the broker.
    pub topology: Topology,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("grpc_address", &self.grpc_address)
            .field("base", &self.base)
            .field("managers", &self.managers)
            .field("participants", &self.participants)
            .field("service_edge_url", &self.service_edge_url)
            .field("redis", &self.redis.as_ref().map(|_| "[redacted]"))
            .field("broker", &self.broker.as_ref().map(|_| "[redacted]"))
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let settings = Self {
            address: reader.address(&TENANTS_ADDRESS),
            grpc_address: reader.address(&TENANTS_GRPC_ADDRESS),
            base: Base::read(&mut reader),
            managers: reader.parsed_by(&TENANTS_MANAGERS, names).unwrap_or_default(),
            participants: reader.parsed_by(&TENANTS_PARTICIPANTS, distinct).unwrap_or_default(),
            service_edge_url: service_edge_url(&mut reader),
            redis: reader.parsed_by(&REDIS_URL, |url| validity::open(url).map_err(|e| e.to_string())),
            broker: reader.parsed_by(&AMQP_URL, |url| {
                broker_connection::Address::parse(url).map_err(|e| e.to_string())
            }),
            topology: reader
                .parsed::<Topology>(&EVENTS_PREFIX)
                .unwrap_or_default()
                .with_consumers(reader.parsed(&AMQP_CONSUMERS).unwrap_or_default()),
        };
        reader.finish(settings)
    }
}

fn names(list: &str) -> Result<Vec<ServiceName>, String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|error| format!("{name:?}: {error}"))).collect()
}

/// A participant that is listed twice would be asked twice in one offboarding.
fn distinct(list: &str) -> Result<Vec<ServiceName>, String> {
    let names = names(list)?;
    match names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|other| other == *name)) {
        Some((_, twice)) => Err(format!("{twice} is listed twice")),
        None => Ok(names),
    }
}
