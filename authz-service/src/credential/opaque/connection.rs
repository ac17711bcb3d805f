//! How the edge connects to an introspection endpoint: its authorities, and the certificate that the edge presents (mutual
//! TLS, RFC 8705). Changed files count within 200 ms; the last good ones serve for [`STALE_LIMIT`].

use std::fs;
use std::path::Path;
use std::sync::Arc;

use clock::{Clock, UnixTime};
use edge_config::edge::{ClientCertificate, Introspection};
use reqwest::{Certificate, Client, Identity};
use secret_file::MAX_KEY_BYTES;

use crate::credential::keys::STALE_LIMIT;
use crate::credential::queried::BOUNDS;
use crate::outbound::{self, cause};
use crate::source::file::WatchedFile;
use crate::source::last_good::{Cause, LastGood};
use crate::source::{Hanging, Reloads, Source};

/// The public authorities in one file have a quarter of it.
const MAX_BYTES: u64 = 1_048_576;

/// The client of one endpoint.
#[derive(Debug)]
pub struct Connection(LastGood<Client>);

impl Connection {
    /// Without a client yet: its [files](ConnectionFiles) bring one.
    fn awaited() -> Self {
        Self(LastGood::for_at_most(STALE_LIMIT))
    }

    /// The client at `now`; `None` before the first load, and when a file is broken for longer than [`STALE_LIMIT`].
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Option<Arc<Client>> {
        self.0.current(now)
    }

    /// What prevents the files from being used; `None` when they are loaded.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match (self.0.trouble(), self.0.value()) {
            (Some(trouble), _) => Some(trouble.what().to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("its certificates are not loaded yet".to_owned()),
        }
    }

    fn fail(&self, what: &str, now: UnixTime, reloads: &Reloads) {
        if self.0.note(Cause::Broken, what.to_owned(), now) {
            reloads.failed.inc();
            tracing::error!(what, "the certificates for an introspection endpoint were not loaded");
        }
    }
}

/// The connection to the endpoint by `rules`, and what keeps it fresh, where it has files. Does not connect yet.
///
/// # Errors
/// An error message, when the HTTP client cannot be set up.
pub fn connection(
    rules: &Introspection,
    clock: &Arc<dyn Clock>,
    reloads: &Reloads,
) -> Result<(Arc<Connection>, Option<ConnectionFiles>), String> {
    let connection = Arc::new(Connection::awaited());
    let paths = paths(rules);
    if paths.is_empty() {
        connection.0.replace(client(rules)?);
        return Ok((connection, None));
    }
    let files = ConnectionFiles {
        rules: rules.clone(),
        files: paths.into_iter().map(|path| WatchedFile::new(path, MAX_BYTES)).collect(),
        connection: Arc::clone(&connection),
        clock: Arc::clone(clock),
        reloads: reloads.clone(),
        loaded: false,
    };
    Ok((connection, Some(files)))
}

fn paths(rules: &Introspection) -> Vec<&Path> {
    let own = rules.certificate.iter().flat_map(|ClientCertificate { certificate, key }| [certificate, key]);
    let mut paths: Vec<&Path> = rules.ca.iter().chain(own).map(AsRef::as_ref).collect();
    paths.dedup();
    paths
}

/// A client with what the files hold now.
fn client(rules: &Introspection) -> Result<Client, String> {
    let mut builder = outbound::fetching(&rules.url, rules.timeout).pool_max_idle_per_host(BOUNDS.all);
    let whose = |path: &Path, error: &dyn std::error::Error| format!("{}: {}", path.display(), cause(error));
    if let Some(ca) = &rules.ca {
        let authorities = Certificate::from_pem_bundle(&read(ca)?).map_err(|error| whose(ca, &error))?;
        if authorities.is_empty() {
            return Err(format!("{}: it has no certificate in PEM", ca.display()));
        }
        builder = builder.tls_certs_only(authorities);
    }
    if let Some(ClientCertificate { certificate, key }) = &rules.certificate {
        let secret = secret_file::read(key, MAX_KEY_BYTES).map_err(|error| error.to_string())?;
        let chain = if certificate == key { Vec::new() } else { read(certificate)? };
        let both = [secret.as_bytes(), b"\n", &chain].concat();
        builder = builder.identity(Identity::from_pem(&both).map_err(|error| whose(certificate, &error))?);
    }
    builder
        .build()
        .map_err(|error| format!("cannot set up the HTTP client for {}: {}", rules.url, cause(&error)))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |what: &str| format!("{}: {what}", path.display());
    let data = fs::metadata(path).map_err(|error| failed(&error.to_string()))?;
    if data.len() > MAX_BYTES {
        return Err(failed(&format!("it has more than {MAX_BYTES} bytes")));
    }
    fs::read(path).map_err(|error| failed(&error.to_string()))
}

/// Makes the client again when a file changes.
#[derive(Debug)]
pub struct ConnectionFiles {
    rules: Introspection,
    files: Vec<WatchedFile>,
    connection: Arc<Connection>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    loaded: bool,
}

impl Source for ConnectionFiles {
    fn name(&self) -> &'static str {
        "introspection"
    }

    fn poll(&mut self) {
        // Each file is looked at, so that none is new again at the next poll.
        let same =
            self.files.iter_mut().filter_map(|file| matches!(file.poll(), Ok(None)).then_some(())).count();
        if same == self.files.len() && self.loaded {
            return self.connection.0.mend();
        }
        match client(&self.rules) {
            Ok(client) => {
                self.connection.0.replace(client);
                self.loaded = true;
                self.reloads.done.inc();
            }
            Err(what) => {
                self.loaded = false;
                self.connection.fail(&what, self.clock.now(), &self.reloads);
            }
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (connection, clock) = (Arc::clone(&self.connection), Arc::clone(&self.clock));
        let (reloads, url) = (self.reloads.clone(), self.rules.url.clone());
        Some(Box::new(move |what| {
            connection.fail(&format!("the certificates for {url}: {what}"), clock.now(), &reloads)
        }))
    }
}
