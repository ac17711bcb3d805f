//! The settings of the service, read from its environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

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

/// Whether the service starts without it.
pub const WEB_BUILD: Variable = Variable {
    name: "WEB_BUILD",
    default: Some("required"),
    help: "Without a built application: do not start (`required`), or start and answer 503 until there is one (`awaited`)",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[WEB_ADDRESS, WEB_ROOT, WEB_BUILD, RUST_LOG];

/// What to do without a built application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Do not start: a deployment without its pages is a mistake that must show before it serves.
    #[default]
    Fails,
    /// Start, and serve the application once it is built: a developer runs the edge for its API, without Node.
    Awaited,
}

impl FromStr for Missing {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "required" => Ok(Self::Fails),
            "awaited" => Ok(Self::Awaited),
            _ => Err("write `required` or `awaited`"),
        }
    }
}

/// The validated settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The directory of the built application.
    pub root: PathBuf,
    /// What to do while that directory has no application.
    pub missing: Missing,
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let settings = Self {
            address: reader.address(&WEB_ADDRESS),
            root: reader.path(&WEB_ROOT),
            missing: reader.parsed(&WEB_BUILD).unwrap_or_default(),
        };
        reader.finish(settings)
    }
}
