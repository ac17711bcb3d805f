//! The settings of the service, read from its environment.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use kit::settings::{CUTOVER_HOME, DATABASE_URL, EDGE_NAME, Faults, Home, RUST_LOG, Reader, Variable};

use crate::tenants::rule::Rule;
use kit::generation::Surface;

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
    USERS_TENANT_RULE,
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
    /// The directory of keys and the embedded database.
    pub home: Home,
    /// PostgreSQL, if not embedded. Contains a password.
    pub database_url: Option<String>,
    /// The name of the edge. This service trusts its signature.
    pub edge: String,
    /// The file of initial people.
    pub seed: Option<PathBuf>,
    /// The generation of clients to answer as.
    pub surface: Surface,
    /// The tenants of people who have none when they are read.
    pub tenant_rule: Option<Rule>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("home", &self.home)
            .field("database_url", &self.database_url.as_ref().map(|_| "[redacted]"))
            .field("edge", &self.edge)
            .field("seed", &self.seed)
            .field("surface", &self.surface)
            .field("tenant_rule", &self.tenant_rule)
            .finish()
    }
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let settings = Self {
            address: reader.address(&USERS_ADDRESS),
            home: Home(reader.path(&CUTOVER_HOME)),
            database_url: reader.optional(&DATABASE_URL),
            edge: reader.text(&EDGE_NAME),
            seed: reader.optional(&USERS_SEED).map(PathBuf::from),
            surface: reader.parsed(&USERS_SURFACE).unwrap_or_default(),
            tenant_rule: reader.parsed(&USERS_TENANT_RULE),
        };
        reader.finish(settings)
    }
}
