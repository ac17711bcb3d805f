//! The settings that each service with callers and a database has, and what they lead to.

use std::fmt;
use std::sync::Arc;

use clock::Clock;
use identity::assertion::Verifier;
use sea_orm::DatabaseConnection;

use crate::caller::{Gate, Words};
use crate::peer::Peer;
use crate::settings::{CUTOVER_HOME, EDGE_NAME, Home, Reader, database_url};
use crate::startup::StartError;
use crate::store;

/// The keys, the database and the trusted edge of a service.
#[derive(Clone)]
pub struct Base {
    /// The directory of keys and the embedded database.
    pub home: Home,
    /// PostgreSQL, if not embedded. Contains a password.
    pub database_url: Option<String>,
    /// The name of the edge. The service trusts its signature.
    pub edge: String,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base")
            .field("home", &self.home)
            .field("database_url", &self.database_url.as_ref().map(|_| "[redacted]"))
            .field("edge", &self.edge)
            .finish()
    }
}

impl Base {
    /// Reads `CUTOVER_HOME`, `DATABASE_URL` and `EDGE_NAME`.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            home: Home(reader.path(&CUTOVER_HOME)),
            database_url: database_url(reader),
            edge: reader.text(&EDGE_NAME),
        }
    }

    /// Returns the gate of the service `name`, which refuses callers with `words`.
    ///
    /// # Errors
    /// [`StartError`], which names the file of the edge's keys.
    pub fn gate(&self, name: &str, words: Words, clock: Arc<dyn Clock>) -> Result<Gate, StartError> {
        let keys = self.home.key("identity.jwks.json");
        Ok(Gate::new(Verifier::new(name).trust_file(&self.edge, &keys)?, clock, words))
    }

    /// Returns what the service `name` calls other services with, through the edge's listener at `url`.
    ///
    /// # Errors
    /// [`StartError`], when `keys/NAME.pem` cannot be used or the TLS library cannot start.
    pub fn peer(&self, name: &str, url: &str, clock: Arc<dyn Clock>) -> Result<Peer, StartError> {
        Peer::new(&self.home, &self.edge, name, url, clock)
    }

    /// Opens the database of the service `name`: PostgreSQL, or `db/NAME.sqlite` in the home.
    ///
    /// # Errors
    /// [`StartError`], which names the file or the variable, never the password.
    pub async fn open_database(&self, name: &str) -> Result<DatabaseConnection, StartError> {
        Ok(store::open(self.database_url.as_deref(), &self.home.database(name)).await?)
    }
}
