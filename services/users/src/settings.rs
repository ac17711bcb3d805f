//! The settings of the service, read from its environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use broker_connection::Address;
use events::bus::Topology;
use kit::base::Base;
use kit::generation::Surface;
use kit::peer::{SERVICE_EDGE_URL, service_edge_url};
use kit::settings::{
    AMQP_CONSUMERS, AMQP_URL, CUTOVER_HOME, DATABASE_URL, EDGE_NAME, EVENTS_PREFIX, Faults, RUST_LOG, Reader,
    Variable,
};
use kit::startup::About;

use crate::tenants::rule::Rule;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: "users",
    purpose: "Accounts: people read and change their own, and services look them up.\n\nCommands: `users tenants` \
              names the tenants of existing people (`users tenants --help`); `users openapi public|internal` prints the \
              description of the routes.",
    variables: VARIABLES,
};

/// The address to listen on.
pub const USERS_ADDRESS: Variable = Variable {
    name: "USERS_ADDRESS",
    default: Some("127.0.0.1:3022"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The initial people.
pub const USERS_SEED: Variable = Variable {
    name: "USERS_SEED",
    default: None,
    help: "YAML file of people to add at startup if they are missing (services/users/seed/dev.yaml)",
    secret: false,
};

/// The generation of clients to answer as.
pub const USERS_SURFACE: Variable = Variable {
    name: "USERS_SURFACE",
    default: Some("later"),
    help: "Answer as the legacy backend (`older`), or with handles and milliseconds (`later`)",
    secret: false,
};

/// The generation of answers about activity.
pub const USERS_ACTIVITY_SURFACE: Variable = Variable {
    name: "USERS_ACTIVITY_SURFACE",
    default: None,
    help: "Answer about likes, histories and notifications as the legacy backend (`older`), or with tastes and pages \
           (`later`); unset means as USERS_SURFACE",
    secret: false,
};

/// The tenants of people whom the legacy backend adds.
pub const USERS_TENANT_RULE: Variable = Variable {
    name: "USERS_TENANT_RULE",
    default: None,
    help: "Tenants of people who have none when they are read: DOMAIN=TENANT, separated by commas, `*` for the \
           rest (see `users tenants --help`)",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[
    USERS_ADDRESS,
    USERS_SEED,
    USERS_SURFACE,
    USERS_ACTIVITY_SURFACE,
    SERVICE_EDGE_URL,
    USERS_TENANT_RULE,
    AMQP_URL,
    EVENTS_PREFIX,
    AMQP_CONSUMERS,
    CUTOVER_HOME,
    DATABASE_URL,
    EDGE_NAME,
    RUST_LOG,
];

/// The validated settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Its keys, its database and the trusted edge.
    pub base: Base,
    /// The file of initial people.
    pub seed: Option<PathBuf>,
    /// The generation of clients to answer as.
    pub surface: Surface,
    /// The generation of clients to answer as about activity.
    pub activity_surface: Surface,
    /// The edge's listener for services, without a slash at its end.
    pub service_edge_url: String,
    /// The tenants of people who have none when they are read.
    pub tenant_rule: Option<Rule>,
    /// The broker of events. Its `Debug` shows no password.
    pub broker: Option<Address>,
    /// The names at the broker.
    pub topology: Topology,
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let surface = reader.parsed(&USERS_SURFACE).unwrap_or_default();
        let settings = Self {
            address: reader.address(&USERS_ADDRESS),
            base: Base::read(&mut reader),
            seed: reader.optional(&USERS_SEED).map(PathBuf::from),
            surface,
            activity_surface: reader.parsed(&USERS_ACTIVITY_SURFACE).unwrap_or(surface),
            service_edge_url: service_edge_url(&mut reader),
            tenant_rule: reader.parsed(&USERS_TENANT_RULE),
            broker: reader.parsed_by(&AMQP_URL, |url| Address::parse(url).map_err(|error| error.to_string())),
            topology: reader
                .parsed::<Topology>(&EVENTS_PREFIX)
                .unwrap_or_default()
                .with_consumers(reader.parsed(&AMQP_CONSUMERS).unwrap_or_default()),
        };
        reader.finish(settings)
    }
}
