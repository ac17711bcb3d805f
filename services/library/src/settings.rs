//! The settings of the service, read from its environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use events::bus::Topology;
use kit::base::Base;
use kit::generation::Surface;
use kit::peer::{SERVICE_EDGE_URL, service_edge_url};
use kit::settings::{
    AMQP_CONSUMERS, AMQP_URL, CUTOVER_HOME, DATABASE_URL, EDGE_NAME, EVENTS_PREFIX, Faults, RUST_LOG, Reader,
    Variable,
};
use kit::startup::About;
use redis_connection::Address;

use crate::people::DISLIKES_LIVE;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: "library",
    purpose: "Books: people list, find and read them, and bots add, release and renew them.",
    variables: VARIABLES,
};

/// The address to listen on.
pub const LIBRARY_ADDRESS: Variable = Variable {
    name: "LIBRARY_ADDRESS",
    default: Some("127.0.0.1:3023"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The file host.
pub const LIBRARY_FILES: Variable = Variable {
    name: "LIBRARY_FILES",
    // As the legacy backend, whose file host is `file.` and the root domain.
    default: Some("http://file.dev-domain.test"),
    help: "Address of the file host, to which `/books/{id}/images` redirects on the older surface",
    secret: false,
};

/// The initial books.
pub const LIBRARY_SEED: Variable = Variable {
    name: "LIBRARY_SEED",
    default: None,
    help: "YAML file of books to add at startup if they are missing (services/library/seed/dev.yaml)",
    secret: false,
};

/// The generation of clients to answer as.
pub const LIBRARY_SURFACE: Variable = Variable {
    name: "LIBRARY_SURFACE",
    default: Some("later"),
    help: "Answer as the legacy backend (`older`), or with releases and renewals (`later`)",
    secret: false,
};

/// The Redis that replicas share.
pub const REDIS_URL: Variable = Variable {
    name: "REDIS_URL",
    default: None,
    help: "Redis in which replicas share for five seconds what people dislike (docs/stores.md); unset means memory alone",
    secret: true,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[
    LIBRARY_ADDRESS,
    LIBRARY_FILES,
    LIBRARY_SEED,
    LIBRARY_SURFACE,
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
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The address of the file host, without a slash at its end.
    pub files: String,
    /// Its keys, its database and the trusted edge.
    pub base: Base,
    /// The file of initial books.
    pub seed: Option<PathBuf>,
    /// The generation of clients to answer as.
    pub surface: Surface,
    /// The edge's listener for services, without a slash at its end.
    pub service_edge_url: String,
    /// The Redis that replicas share. Its `Debug` shows neither host nor password.
    pub redis: Option<Address>,
    /// The broker that announces changes of dislikes. Its `Debug` shows no password.
    pub broker: Option<broker_connection::Address>,
    /// The names at the broker.
    pub topology: Topology,
    /// How long dislikes are kept in memory, and as long again in Redis. No variable sets it; tests do.
    pub dislikes_live: Duration,
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let settings = Self {
            address: reader.address(&LIBRARY_ADDRESS),
            files: reader.checked(&LIBRARY_FILES, check_files).trim_end_matches('/').to_owned(),
            base: Base::read(&mut reader),
            seed: reader.optional(&LIBRARY_SEED).map(PathBuf::from),
            surface: reader.parsed(&LIBRARY_SURFACE).unwrap_or_default(),
            service_edge_url: service_edge_url(&mut reader),
            redis: reader.parsed_by(&REDIS_URL, |url| Address::parse(url).map_err(|e| e.to_string())),
            broker: reader.parsed_by(&AMQP_URL, |url| {
                broker_connection::Address::parse(url).map_err(|error| error.to_string())
            }),
            topology: reader
                .parsed::<Topology>(&EVENTS_PREFIX)
                .unwrap_or_default()
                .with_consumers(reader.parsed(&AMQP_CONSUMERS).unwrap_or_default()),
            dislikes_live: DISLIKES_LIVE,
        };
        reader.finish(settings)
    }
}

fn check_files(text: &str) -> Result<(), String> {
    let uri: Result<http::Uri, _> = text.parse();
    let whole = uri.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    });
    if whole { Ok(()) } else { Err("write an address like https://file.example.com".to_owned()) }
}
