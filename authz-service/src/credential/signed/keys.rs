//! The keys that verify signed requests.
//!
//! The edge names a file that lists them; the secrets are in files of their own beside it, readable by their
//! owner alone:
//!
//! ```yaml
//! keys:
//!   partner-2026: { service: partner, alg: hmac-sha256, secrets: [partner-2026.secret, partner-next.secret] }
//!   sync: { service: sync, alg: ed25519, public_keys: sync.jwks.json }
//! ```
//!
//! A key has one or two secrets (or public keys), all of which are valid, so that both sides can rotate
//! theirs at different times. While a file is broken the last good keys serve for [`STALE_LIMIT`]; then, and
//! before the first load, signed routes answer 503 `signing_keys_unavailable`.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, UnixTime};
use identity::{ServiceName, keyset};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm};
use serde::Deserialize;
use signed_request::{Algorithm, VerifyingKey};

use crate::credential::keys::STALE_LIMIT;
use crate::failure::Failure;
use crate::source::file::WatchedFile;
use crate::source::last_good::{Cause, LastGood};
use crate::source::{Hanging, Health, Reloads, Source};

/// A thousand keys take about 100 KB.
const MAX_BYTES: u64 = 1_048_576;
/// A secret takes at most 350 bytes, a key set of two keys 500.
const MAX_SECRET_BYTES: u64 = 16_384;
/// More keys than this are refused: each may fill its part of the memory of nonces.
const MAX_KEYS: usize = 1_024;
/// The current secret and the next.
const MAX_SECRETS: usize = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyList {
    keys: BTreeMap<String, ListedKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedKey {
    service: String,
    alg: String,
    #[serde(default)]
    secrets: Vec<PathBuf>,
    #[serde(default)]
    public_keys: Option<PathBuf>,
}

/// One key, without its name.
#[derive(Debug)]
pub struct SigningKey {
    /// The service that it authenticates.
    pub service: ServiceName,
    /// The one algorithm that it is pinned to.
    pub algorithm: Algorithm,
    /// The current secret or public key, and the next.
    pub verifying: Vec<VerifyingKey>,
}

/// One loaded set of keys.
#[derive(Debug)]
pub struct KeyTable {
    keys: HashMap<String, SigningKey>,
}

impl KeyTable {
    /// The key named `name`.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&SigningKey> {
        self.keys.get(name)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The current keys, and whether they may be used.
#[derive(Debug)]
pub struct SigningKeys(LastGood<KeyTable>);

impl Default for SigningKeys {
    fn default() -> Self {
        Self(LastGood::for_at_most(STALE_LIMIT))
    }
}

impl SigningKeys {
    /// The keys to verify with at `now`.
    ///
    /// # Errors
    /// [`Failure::SigningKeysUnavailable`] before the first load, and when a file is broken for longer than
    /// [`STALE_LIMIT`].
    pub fn current(&self, now: UnixTime) -> Result<Arc<KeyTable>, Failure> {
        self.0.current(now).ok_or(Failure::SigningKeysUnavailable)
    }

    /// The state of the keys, for `/readyz`. Sessions do not depend on them, so they do not make a replica
    /// unready.
    #[must_use]
    pub fn health(&self) -> Health {
        let detail = match (self.0.trouble(), self.0.value()) {
            (Some(trouble), _) => trouble.what().to_owned(),
            (None, Some(table)) => format!("{} keys", table.keys.len()),
            (None, None) => "not loaded yet".to_owned(),
        };
        Health { ready: true, detail }
    }
}

/// Notes `what`, and logs it once.
fn fail(keys: &SigningKeys, what: &str, now: UnixTime, reloads: &Reloads) {
    if keys.0.note(Cause::Broken, what.to_owned(), now) {
        reloads.failed.inc();
        tracing::error!(what, "signing keys not loaded");
    }
}

/// Loads the keys, and again when one of the files changes.
#[derive(Debug)]
pub struct SigningKeyFile {
    file: WatchedFile,
    parts: Vec<WatchedFile>,
    keys: Arc<SigningKeys>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    loaded: bool,
}

impl SigningKeyFile {
    /// A loader for the keys that `path` lists.
    #[must_use]
    pub fn new(path: &Path, keys: Arc<SigningKeys>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let file = WatchedFile::new(path, MAX_BYTES);
        Self { file, parts: Vec::new(), keys, clock, reloads, loaded: false }
    }

    /// Returns whether the list, or a file that it names, has changed.
    fn changed(&mut self) -> bool {
        let mut changed = !self.loaded;
        for file in std::iter::once(&mut self.file).chain(&mut self.parts) {
            changed |= !matches!(file.poll(), Ok(None));
        }
        changed
    }
}

impl Source for SigningKeyFile {
    fn name(&self) -> &'static str {
        "signing-keys"
    }

    fn poll(&mut self) {
        if !self.changed() {
            // The note about a poll that did not end no longer applies.
            return self.keys.0.mend();
        }
        match load(self.file.path()) {
            Ok((table, paths)) => {
                if !paths.iter().map(PathBuf::as_path).eq(self.parts.iter().map(WatchedFile::path)) {
                    self.parts = paths.iter().map(|path| WatchedFile::new(path, MAX_SECRET_BYTES)).collect();
                }
                tracing::info!(keys = table.keys.len(), "signing keys loaded");
                self.keys.0.replace(table);
                self.loaded = true;
                self.reloads.done.inc();
            }
            Err(what) => {
                self.loaded = false;
                fail(&self.keys, &what, self.clock.now(), &self.reloads);
            }
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (keys, clock, reloads) = (Arc::clone(&self.keys), Arc::clone(&self.clock), self.reloads.clone());
        let path = self.file.path().display().to_string();
        Some(Box::new(move |what| {
            fail(&keys, &format!("{path} or a file that it names: {what}"), clock.now(), &reloads);
        }))
    }
}

/// Whether the list at `path`, and every file that it names, is one that [`SigningKeyFile`] takes.
///
/// # Errors
/// A sentence that names the file.
pub fn check(path: &Path) -> Result<(), String> {
    load(path).map(|_| ())
}

/// The keys that `path` lists, and the files that it names.
fn load(path: &Path) -> Result<(KeyTable, Vec<PathBuf>), String> {
    let text = read(path, MAX_BYTES)?;
    let listed: KeyList =
        serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let at = |what: String| format!("{}: {what}", path.display());
    if listed.keys.len() > MAX_KEYS {
        return Err(at(format!("more than {MAX_KEYS} keys")));
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut keys = HashMap::with_capacity(listed.keys.len());
    let mut paths = Vec::new();
    for (name, ListedKey { service, alg, secrets, public_keys }) in listed.keys {
        let fault = |what: &str| at(format!("key `{name}`: {what}"));
        let service = service
            .parse()
            .map_err(|_| fault("`service` must have 1 to 64 lower-case letters, digits and `-`"))?;
        let algorithm =
            Algorithm::from_name(&alg).ok_or_else(|| fault("`alg` must be `hmac-sha256` or `ed25519`"))?;
        let verifying = match (algorithm, secrets.as_slice(), &public_keys) {
            (Algorithm::HmacSha256, [_, ..], None) if secrets.len() <= MAX_SECRETS => {
                let mut all = Vec::with_capacity(secrets.len());
                for secret in &secrets {
                    let secret = directory.join(secret);
                    all.push(shared(&secret)?);
                    paths.push(secret);
                }
                all
            }
            (Algorithm::HmacSha256, _, _) => {
                return Err(fault("it needs `secrets` with one or two files, and nothing else"));
            }
            (Algorithm::Ed25519, [], Some(set)) => {
                let set = directory.join(set);
                let all = public(&set)?;
                paths.push(set);
                all
            }
            (Algorithm::Ed25519, _, _) => {
                return Err(fault("it needs `public_keys`, a JWK set, and nothing else"));
            }
        };
        keys.insert(name, SigningKey { service, algorithm, verifying });
    }
    Ok((KeyTable { keys }, paths))
}

fn shared(path: &Path) -> Result<VerifyingKey, String> {
    let secret = secret_file::read(path, MAX_SECRET_BYTES).map_err(|error| error.to_string())?;
    let text = secret.as_text().map_err(|error| format!("{}: {error}", path.display()))?;
    VerifyingKey::secret(text).map_err(|error| format!("{}: {error}", path.display()))
}

fn public(path: &Path) -> Result<Vec<VerifyingKey>, String> {
    let at = |what: String| format!("{}: {what}", path.display());
    let keys = keyset::read_public(path).map_err(|error| error.to_string())?;
    if keys.len() > MAX_SECRETS {
        return Err(at(format!("more than {MAX_SECRETS} keys")));
    }
    let one = |jwk: &Jwk| {
        let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm else {
            return Err(at("a key is not for EdDSA".to_owned()));
        };
        if jwk.common.key_algorithm != Some(KeyAlgorithm::EdDSA) {
            return Err(at("a key is not for EdDSA".to_owned()));
        }
        let x = URL_SAFE_NO_PAD.decode(&pair.x).map_err(|_| at("`x` is not base64url".to_owned()))?;
        VerifyingKey::public(&x).map_err(|error| at(error.to_string()))
    };
    keys.iter().map(one).collect()
}

fn read(path: &Path, max_bytes: u64) -> Result<String, String> {
    let at = |what: String| format!("{}: {what}", path.display());
    let file = std::fs::File::open(path).map_err(|error| at(error.to_string()))?;
    let mut text = String::new();
    file.take(max_bytes + 1).read_to_string(&mut text).map_err(|error| at(error.to_string()))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > max_bytes {
        return Err(at(format!("larger than {max_bytes} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn loaded(list: &str, mode: u32) -> Result<KeyTable, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("keys.yaml"), list).unwrap();
        for name in ["a", "b", "c"] {
            let path = home.path().join(name);
            std::fs::write(&path, format!("{SECRET}\n")).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        load(&home.path().join("keys.yaml")).map(|(table, _)| table)
    }

    #[test]
    fn one_or_two_secrets_for_their_owner_alone() {
        let table =
            loaded("keys: { k: { service: sync, alg: hmac-sha256, secrets: [a, b] } }", 0o600).unwrap();
        let key = table.key("k").unwrap();
        assert_eq!((key.service.as_str(), key.verifying.len()), ("sync", 2));
        assert!(!format!("{table:?}").contains("AAEC"), "a secret is shown");
        assert!(table.key("K").is_none() && table.key("").is_none());
    }

    #[test]
    fn a_wrong_entry_is_named_and_no_secret_shown() {
        let good = "keys: { k: { service: sync, alg: hmac-sha256, secrets: [a] } }";
        for (old, new, mode, expected) in [
            ("", "", 0o640, "chmod 600"),
            ("", "", 0o604, "chmod 600"),
            ("[a]", "[a, b, c]", 0o600, "one or two"),
            ("[a]", "[]", 0o600, "one or two"),
            ("[a]", "[missing]", 0o600, "missing"),
            ("[a]", "[keys.yaml]", 0o600, "keys.yaml"),
            ("hmac-sha256", "hmac-sha1", 0o600, "`alg` must be"),
            ("hmac-sha256", "ed25519", 0o600, "public_keys"),
            ("service: sync", "service: Sync", 0o600, "`service` must have"),
            ("service: sync, ", "", 0o600, "service"),
            ("secrets", "secret", 0o600, "secret"),
        ] {
            let what = loaded(&good.replacen(old, new, 1), mode).expect_err(new);
            assert!(what.contains(expected) && !what.contains("AAEC"), "{new}: {what}");
        }
    }
}
