//! The settings of the service, read from its environment.

use std::net::SocketAddr;

use kit::base::Base;
use kit::settings::{CUTOVER_HOME, DATABASE_URL, EDGE_NAME, Faults, RUST_LOG, Reader, Variable};

/// The address to listen on.
pub const SKELETON_ADDRESS: Variable = Variable {
    name: "SKELETON_ADDRESS",
    default: Some("127.0.0.1:3040"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[SKELETON_ADDRESS, CUTOVER_HOME, DATABASE_URL, EDGE_NAME, RUST_LOG];

/// The validated settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Its keys, its database and the trusted edge.
    pub base: Base,
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let address = reader.address(&SKELETON_ADDRESS);
        let settings = Self { address, base: Base::read(&mut reader) };
        reader.finish(settings)
    }
}
