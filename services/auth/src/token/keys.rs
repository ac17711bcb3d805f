//! The public keys that verify tokens: a JWK set in a file, which is read again when it changes.
//!
//! With several replicas a rotation of the signing key takes effect at one replica after the other, and each has to accept
//! what another has signed. So the file is looked at for every token: reading its time and size costs microseconds, and the
//! edge verifies all other requests by itself. A new file that is not valid changes nothing: the last good keys stay.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use identity::keyset::{self, KeyFileError};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::KeyAlgorithm;
use parking_lot::Mutex;

/// The keys by `kid`, including those that no longer sign, so that a rotation signs no one out.
type Keys = Arc<Vec<(String, DecodingKey)>>;

/// What distinguishes one content of the file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() }
    }

    fn read(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

/// The keys of a file.
pub(super) struct PublicKeys {
    path: PathBuf,
    /// The key that this process signs with. A set without it is not valid: the edge would refuse every new token.
    own: String,
    known: Mutex<(Option<Stamp>, Keys)>,
}

impl PublicKeys {
    /// Reads the keys in `path`, which must include `own`, the key that `private` holds.
    pub(super) fn open(path: &Path, own: &str, private: &Path) -> Result<Self, KeyFileError> {
        // Taken first: a file that is replaced in between is read again.
        let stamp = Stamp::read(path);
        let keys = read(path)?;
        if !has(&keys, own) {
            let what = format!("it lacks the key {own:?} that {} signs with", private.display());
            return Err(KeyFileError::Unusable { path: path.to_owned(), what });
        }
        Ok(Self { path: path.to_owned(), own: own.to_owned(), known: Mutex::new((stamp, Arc::new(keys))) })
    }

    /// Returns the keys that are in the file now, or were in it when it was last valid.
    pub(super) fn current(&self) -> Keys {
        let stamp = Stamp::read(&self.path);
        let mut known = self.known.lock();
        let (known_stamp, keys) = &mut *known;
        if stamp.is_some() && stamp != *known_stamp {
            // Kept for a file that is not valid, too, so that each fault is read and logged once.
            *known_stamp = stamp;
            match read(&self.path) {
                Ok(new) if has(&new, &self.own) => {
                    tracing::info!(keys = new.len(), "the session keys were read again");
                    *keys = Arc::new(new);
                }
                Ok(_) => {
                    let (path, key) = (self.path.display(), &self.own);
                    tracing::error!(%path, key, "the new session keys lack the one that this process signs with; the old ones stay");
                }
                Err(error) => {
                    tracing::error!(%error, "the new session keys are not valid; the old ones stay");
                }
            }
        }
        Arc::clone(keys)
    }
}

fn has(keys: &[(String, DecodingKey)], id: &str) -> bool {
    keys.iter().any(|(known, _)| known == id)
}

fn read(path: &Path) -> Result<Vec<(String, DecodingKey)>, KeyFileError> {
    let unusable = |what: String| KeyFileError::Unusable { path: path.to_owned(), what };
    let mut keys = Vec::new();
    for jwk in keyset::read_public(path)? {
        let id = jwk.common.key_id.clone().unwrap_or_default();
        if jwk.common.key_algorithm != Some(KeyAlgorithm::ES256) {
            return Err(unusable(format!("key {id:?} is not an ES256 key")));
        }
        let key = DecodingKey::from_jwk(&jwk).map_err(|e| unusable(format!("key {id:?}: {e}")))?;
        keys.push((id, key));
    }
    Ok(keys)
}
