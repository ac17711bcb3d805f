//! The settings of the service, read from its environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use kit::base::Base;
use kit::peer::{SERVICE_EDGE_URL, service_edge_url};
use kit::settings::{CUTOVER_HOME, DATABASE_URL, EDGE_NAME, Faults, RUST_LOG, Reader, Variable};
use kit::startup::About;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: "sync",
    purpose: "Takes books and pictures from signed programs outside, in batches that can be repeated and resumed.",
    variables: VARIABLES,
};

/// The address to listen on.
pub const SYNC_ADDRESS: Variable = Variable {
    name: "SYNC_ADDRESS",
    default: Some("127.0.0.1:3025"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The directory of pictures.
pub const SYNC_ROOT: Variable = Variable {
    name: "SYNC_ROOT",
    default: None,
    help: "Directory of the pictures, the same as IMAGE_ROOT of the image service",
    secret: false,
};

/// `iss` of tokens.
pub const TOKEN_ISSUER: Variable = Variable {
    name: "TOKEN_ISSUER",
    default: Some("https://api.dev-domain.test/auth"),
    help: "Issuer of service tokens (`service_tokens.issuer` in the edge file)",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[
    SYNC_ADDRESS,
    SYNC_ROOT,
    SERVICE_EDGE_URL,
    TOKEN_ISSUER,
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
    /// The keys, the database and the trusted edge.
    pub base: Base,
    /// The directory of pictures.
    pub root: PathBuf,
    /// The edge's listener for services, without a slash at its end.
    pub edge_url: String,
    /// The issuer of service tokens.
    pub issuer: String,
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let root = reader.optional(&SYNC_ROOT);
        if root.is_none() {
            reader.incomplete(
                "SYNC_ROOT is not set; set it to the directory of the pictures (IMAGE_ROOT of the image service)"
                    .to_owned(),
            );
        }
        let settings = Self {
            address: reader.address(&SYNC_ADDRESS),
            base: Base::read(&mut reader),
            root: root.map(PathBuf::from).unwrap_or_default(),
            edge_url: service_edge_url(&mut reader),
            issuer: reader.text(&TOKEN_ISSUER),
        };
        reader.finish(settings)
    }
}
