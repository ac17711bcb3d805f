//! The settings of the service, read from its environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use kit::settings::{CUTOVER_HOME, EDGE_NAME, Faults, Home, RUST_LOG, Reader, Variable};
use kit::startup::About;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: "image",
    purpose: "Pages of books as pictures: people read and list them, and bots upload them.",
    variables: VARIABLES,
};

/// The address to listen on.
pub const IMAGE_ADDRESS: Variable = Variable {
    name: "IMAGE_ADDRESS",
    default: Some("127.0.0.1:3024"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The directory of pictures.
pub const IMAGE_ROOT: Variable = Variable {
    name: "IMAGE_ROOT",
    default: None,
    help: "Directory of the pictures, as image/library/7/1.png; uploads are written there",
    secret: false,
};

/// The salt of made-up pictures.
pub const IMAGE_STUB: Variable = Variable {
    name: "IMAGE_STUB",
    default: None,
    help: "Instead of IMAGE_ROOT: answer with pictures made up from the path and this text, the same on every machine",
    secret: false,
};

/// The directory of made-up pictures.
pub const IMAGE_CACHE: Variable = Variable {
    name: "IMAGE_CACHE",
    default: None,
    help: "Directory that keeps made-up pictures; unset means `image-cache` in CUTOVER_HOME",
    secret: false,
};

/// The size of that directory.
pub const IMAGE_CACHE_MIB: Variable = Variable {
    name: "IMAGE_CACHE_MIB",
    // A made-up page has about 20 KiB, so this holds more than ten thousand of them.
    default: Some("256"),
    help: "Size of IMAGE_CACHE in MiB, 1 to 65536; the pictures that were not read for longest are removed first",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] =
    &[IMAGE_ADDRESS, IMAGE_ROOT, IMAGE_STUB, IMAGE_CACHE, IMAGE_CACHE_MIB, CUTOVER_HOME, EDGE_NAME, RUST_LOG];

/// The largest cache, in MiB. Larger ones are a slip of the keyboard.
const MAX_CACHE_MIB: u64 = 65_536;

/// The validated settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The directory of keys.
    pub home: Home,
    /// The name of the edge. The service trusts its signature.
    pub edge: String,
    /// Where pictures come from.
    pub source: Source,
}

/// Where pictures come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A directory on disk.
    Directory(PathBuf),
    /// Made up from the path and a salt.
    Stub {
        /// The salt.
        salt: String,
        /// The directory that keeps them.
        cache: PathBuf,
        /// The size of that directory, in bytes.
        bytes: u64,
    },
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let home = Home(reader.path(&CUTOVER_HOME));
        let cache =
            reader.optional(&IMAGE_CACHE).map_or_else(|| home.path().join("image-cache"), PathBuf::from);
        let mib = reader.parsed_by(&IMAGE_CACHE_MIB, |text| {
            text.parse()
                .ok()
                .filter(|mib| (1..=MAX_CACHE_MIB).contains(mib))
                .ok_or_else(|| format!("write a number of MiB from 1 to {MAX_CACHE_MIB}"))
        });
        let bytes = mib.unwrap_or(1) * 1024 * 1024;
        let source = match (reader.optional(&IMAGE_ROOT), reader.optional(&IMAGE_STUB)) {
            (Some(root), None) => Source::Directory(PathBuf::from(root)),
            (None, Some(salt)) => Source::Stub { salt, cache, bytes },
            (both, _) => {
                // There is no default: an edge with made-up pictures in production would look healthy.
                let fault = if both.is_some() { "both are set" } else { "neither is set" };
                reader.incomplete(format!(
                    "IMAGE_ROOT, IMAGE_STUB: {fault}; set IMAGE_ROOT to the directory of the pictures, or IMAGE_STUB to any text \
                     for made-up ones"
                ));
                Source::Directory(PathBuf::new())
            }
        };
        let settings =
            Self { address: reader.address(&IMAGE_ADDRESS), home, edge: reader.text(&EDGE_NAME), source };
        reader.finish(settings)
    }
}
