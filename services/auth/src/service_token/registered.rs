//! The services that can get tokens. They are read from the edge file and the key files that it names, and
//! read again when one of these changes, so that a new service, a new key or another permission needs no
//! restart. While any of the files is invalid, the last valid state stays in force.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;

use edge_config::edge::ServiceTenants;
use identity::ServiceName;
use identity::keyset::{self, KeyFileError};
use identity::service_token::Issuer;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::KeyAlgorithm;
use parking_lot::RwLock;

use super::Inner;

/// How often the files are polled. A service that is removed from the list gets no token a second later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A service that can get tokens.
pub(super) struct Client {
    pub(super) keys: Vec<(String, DecodingKey)>,
    pub(super) permissions: Vec<String>,
    pub(super) tenants: ServiceTenants,
}

/// The registered services and the issuer, as the files list them.
pub(super) struct Registered {
    pub(super) audience: String,
    pub(super) issuer: Issuer,
    pub(super) clients: HashMap<ServiceName, Client>,
}

/// The paths of the files.
#[derive(Clone, Debug)]
pub struct Files {
    /// The edge file.
    pub edge: PathBuf,
    /// `CUTOVER_HOME`, regardless of the environment.
    pub home: PathBuf,
    /// The private key that signs tokens.
    pub signing_key: PathBuf,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The edge file is invalid.
    #[error("{0}")]
    Edge(String),
    /// A key is invalid.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

/// The state of the watched files. It changes when a file is replaced or written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(u64, i64, i64, u64)>>);

impl Files {
    /// Reads the files and returns their services with the list of the files. The services are `None` when
    /// the edge file has no `service_tokens`.
    pub(super) fn read(&self) -> Result<(Option<Registered>, Vec<PathBuf>), Unusable> {
        // Variables of the edge file: paths below `CUTOVER_HOME`, mostly.
        let environment = |name: &str| match name {
            "CUTOVER_HOME" => Some(self.home.display().to_string()),
            name => std::env::var(name).ok(),
        };
        let edge = edge_config::load(&self.edge, &environment)
            .map_err(|faults| Unusable::Edge(faults.to_string()))?;
        let mut watched = vec![self.edge.clone(), self.signing_key.clone()];
        watched.extend(edge.services.values().map(|service| service.keys.clone()));
        let Some(tokens) = &edge.service_tokens else { return Ok((None, watched)) };
        let issuer = Issuer::from_file(&tokens.issuer, &edge.name, &self.signing_key)?;
        let mut clients = HashMap::with_capacity(edge.services.len());
        for (name, service) in &edge.services {
            let (permissions, tenants) = (service.permissions.clone(), service.tenants.clone());
            clients.insert(name.clone(), Client { keys: keys(&service.keys)?, permissions, tenants });
        }
        Ok((Some(Registered { audience: tokens.issuer.clone(), issuer, clients }), watched))
    }
}

fn keys(path: &Path) -> Result<Vec<(String, DecodingKey)>, KeyFileError> {
    let unusable = |what: String| KeyFileError::Unusable { path: path.to_owned(), what };
    let mut keys = Vec::new();
    for jwk in keyset::read_public(path)? {
        let id = jwk.common.key_id.clone().unwrap_or_default();
        if jwk.common.key_algorithm != Some(KeyAlgorithm::EdDSA) {
            return Err(unusable(format!("key {id:?} is not an EdDSA key")));
        }
        let key = DecodingKey::from_jwk(&jwk).map_err(|e| unusable(format!("key {id:?}: {e}")))?;
        keys.push((id, key));
    }
    Ok(keys)
}

pub(super) fn stamp(files: &[PathBuf]) -> Stamp {
    let of = |file: &PathBuf| {
        let data = std::fs::metadata(file).ok()?;
        Some((data.ino(), data.mtime(), data.mtime_nsec(), data.size()))
    };
    Stamp(files.iter().map(of).collect())
}

/// Reads `files` again whenever one of `watched`, last seen as `seen`, changes. Ends with the service.
pub(super) async fn follow(inner: Weak<Inner>, files: Files, mut watched: Vec<PathBuf>, mut seen: Stamp) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (looked, file) = (watched.clone(), files.clone());
        let before = seen.clone();
        // File access blocks, so it runs beside the requests.
        let looking = tokio::task::spawn_blocking(move || {
            // Stamped before reading, so that a change during the read leads to another read.
            let now = stamp(&looked);
            (now != before).then(|| (now, file.read()))
        });
        let Some(inner) = inner.upgrade() else { return };
        let Ok(Some((now, read))) = looking.await else { continue };
        match read {
            Ok((Some(registered), files)) => {
                tracing::info!(
                    services = registered.clients.len(),
                    "reloaded the services that can get tokens"
                );
                seen = if files == watched { now } else { stamp(&files) };
                watched = files;
                replace(&inner.registered, Some(registered));
            }
            Ok((None, files)) => {
                tracing::warn!("the edge file no longer has `service_tokens`: no service gets a token");
                seen = if files == watched { now } else { stamp(&files) };
                watched = files;
                replace(&inner.registered, None);
            }
            Err(error) => {
                seen = now;
                tracing::error!(%error, "cannot reload the services that can get tokens; the last valid list stays in force");
            }
        }
    }
}

fn replace(slot: &RwLock<Option<std::sync::Arc<Registered>>>, next: Option<Registered>) {
    *slot.write() = next.map(std::sync::Arc::new);
}
