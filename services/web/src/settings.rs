//! The settings of the service, read from its environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use kit::settings::{Faults, RUST_LOG, Reader, Variable};

/// The address to listen on.
pub const WEB_ADDRESS: Variable = Variable {
    name: "WEB_ADDRESS",
    default: Some("127.0.0.1:3028"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The built application.
pub const WEB_ROOT: Variable = Variable {
    name: "WEB_ROOT",
    default: Some("apps/web/dist"),
    help: "Directory of the built application, which `npm run build` in apps/web writes",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[WEB_ADDRESS, WEB_ROOT, RUST_LOG];

/// The validated settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The directory of the built application.
    pub root: PathBuf,
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let settings = Self { address: reader.address(&WEB_ADDRESS), root: reader.path(&WEB_ROOT) };
        reader.finish(settings)
    }
}
