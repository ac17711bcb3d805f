//! The web application: its entry document for every page, and its built files.
//!
//! * [`settings`]: where the built application is, and the address to listen on.
//! * [`site`]: what the build says about itself (`site.json`), and the headers that follow from it.
//! * [`routes`]: which request gets a file, which one the entry document, and which one 404.
//!
//! The service knows no callers and holds no secret: everything that it serves is public.

pub mod routes;
pub mod settings;
pub mod site;

use kit::Metrics;
use kit::startup::{About, HeaderCase, Service, StartError};

use crate::settings::Settings;
use crate::site::Site;

/// Name and purpose of the service, for its `main`.
pub const ABOUT: About = About {
    name: "web",
    purpose: "The web application: its entry document for every page, and its built files.",
    variables: settings::VARIABLES,
};

/// Assembles the service from its environment.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader) -> Result<Service, StartError> {
    let Settings { address, root } = Settings::read(reader)?;
    let site = Site::read(&root).await?;
    let router = routes::router(&root, &site, &Metrics::new(ABOUT.name)?);
    Ok(Service {
        router,
        address,
        address_variable: settings::WEB_ADDRESS.name,
        header_case: HeaderCase::Lower,
    })
}
