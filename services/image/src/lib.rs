//! Pages of books as pictures: people read and list them, and bots upload them.
//!
//! * [`path`]: the path of a picture, as far as it can be checked without a disk. [`format`](mod@format): the formats.
//! * [`tree`]: the directory of pictures. Nothing outside it can be read or written.
//! * [`stub`]: made-up pictures for a development edge: the same bytes on every machine.
//! * [`content`]: one opened picture, from either.
//! * [`routes`]: every path, with its answers.
//! * [`error`]: every refusal, with its status and body.
//!
//! The catalogue belongs to the platform, as the library's does: every signed-in person sees the same pictures. So no path
//! takes a tenant.

pub mod content;
pub mod error;
pub mod format;
pub mod path;
pub mod routes;
pub mod settings;
pub mod stub;
pub mod tree;

pub use settings::ABOUT;

use std::sync::Arc;

use clock::{Clock, SystemClock};
use identity::assertion::Verifier;
use kit::Metrics;
use kit::caller::{Gate, Words};
use kit::startup::{HeaderCase, Service, StartError};

use crate::routes::Pictures;
use crate::settings::{Settings, Source};
use crate::stub::Stub;
use crate::tree::Tree;

/// The bodies of the gate's refusals.
pub const WORDS: Words = Words { unauthenticated: "Unauthenticated", not_found: "" };

/// Assembles the service from its environment.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let router = router(settings, Arc::new(SystemClock)).await?;
    let address_variable = settings::IMAGE_ADDRESS.name;
    Ok(Service { router, address, address_variable, header_case: HeaderCase::Lower })
}

/// Assembles the service without a socket, at the time of `clock`.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn router(settings: Settings, clock: Arc<dyn Clock>) -> Result<axum::Router, StartError> {
    let keys = settings.home.key("identity.jwks.json");
    let gate = Gate::new(Verifier::new(ABOUT.name).trust_file(&settings.edge, &keys)?, clock, WORDS);
    let pictures = match settings.source {
        Source::Directory(path) => {
            let tree = Tree::open(&path).map_err(|error| {
                StartError::File(format!(
                    "cannot open the directory {} of {}: {error}; create it, or name another one",
                    path.display(),
                    settings::IMAGE_ROOT.name
                ))
            })?;
            Pictures::Tree(tree)
        }
        Source::Stub { salt, cache, bytes } => {
            let stub = Stub::open(&salt, &cache, bytes).await.map_err(|error| {
                StartError::File(format!(
                    "cannot use the directory {} for made-up pictures: {error}; make it writable, or set {} to another one",
                    cache.display(),
                    settings::IMAGE_CACHE.name
                ))
            })?;
            Pictures::Stub(stub)
        }
    };
    Ok(routes::router(pictures, gate, &Metrics::new(ABOUT.name)?))
}
