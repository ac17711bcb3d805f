//! Static files: the web application (its entry document for every page, and its built files), and the public OpenAPI
//! document.
//!
//! * [`settings`]: where the built application is, and the address to listen on.
//! * [`site`]: what the build says about itself (`site.json`), and the headers that follow from it.
//! * [`routes`]: which request gets a file, which one the entry document, and which one 404.
//! * [`openapi`]: the document, as YAML and as JSON.
//!
//! The service knows no callers and holds no secret: everything that it serves is public.

pub mod openapi;
pub mod routes;
pub mod settings;
pub mod site;

use kit::Metrics;
use kit::startup::{About, HeaderCase, Service, StartError};

use crate::openapi::Documents;
use crate::settings::{Missing, Settings};
use crate::site::Build;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: "web",
    purpose: "The web application: its entry document for every page, and its built files. The public OpenAPI document.",
    variables: settings::VARIABLES,
};

/// Assembles the service from its environment.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader) -> Result<Service, StartError> {
    let Settings { address, root, missing } = Settings::read(reader)?;
    let build = Build::at(root);
    match (build.site().await, missing) {
        (Ok(_), _) => {}
        (Err(error), Missing::Awaited) => tracing::warn!(%error, "no pages until the application is built"),
        (Err(error), Missing::Fails) => return Err(error),
    }
    let router = routes::router(build, Documents::new()?, &Metrics::new(ABOUT.name)?);
    Ok(Service {
        router,
        address,
        address_variable: settings::WEB_ADDRESS.name,
        header_case: HeaderCase::Lower,
    })
}
