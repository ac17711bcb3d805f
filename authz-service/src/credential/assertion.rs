//! Verifies the platform's services: each signs its own assertions, and each is verified with its own keys
//! only.
//!
//! Each service has a key file and a thread that watches it. A file that is missing, invalid or never
//! finishes reading closes its own service and no other. While it is broken the last good keys serve for
//! [`STALE_LIMIT`]; then, and before the first load, internal routes answer that service 503
//! `keys_unavailable`. Sessions and the other services do not depend on it, so it does not make the replica
//! unready.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, UnixTime};
use edge_config::Edge;
use edge_config::edge::{ServiceTenants, ServiceTokens};
use identity::assertion::{Rejected, Verifier};
use identity::service_token::{self, MAX_BYTES as MAX_BEARER_BYTES, ServiceToken, TokenVerifier};
use identity::{Caller, Service, ServiceName};
use parking_lot::Mutex;
use serde::Deserialize;

use crate::check::CheckInput;
use crate::credential::bearer;
use crate::credential::fault::CredentialFault;
use crate::credential::keys::STALE_LIMIT;
use crate::credential::presented::{AuthenticatedService, Presented};
use crate::failure::Failure;
use crate::source::file::WatchedFile;
use crate::source::followed::{Followed, Parsed, Read};
use crate::source::last_good::{Cause, LastGood};
use crate::source::{Crew, Health, Reloads, Source as _, Watch};

/// A service's key set has one or two keys.
const MAX_BYTES: u64 = 65_536;

/// The outcome for a bearer token: the service and its permissions, or the reason for the refusal.
pub type Believed = Result<(Service, Vec<String>), CredentialFault>;

/// The services of an edge, each trusted for its own name alone.
#[derive(Debug)]
pub struct Services {
    listed: HashMap<ServiceName, ListedService>,
    tokens: Option<Arc<LastGood<TokenVerifier>>>,
    /// Trusts no key: it names the fault of an assertion that no listed service signed.
    keyless: Verifier,
}

/// The permissions that the edge file gives a service, and its keys.
#[derive(Debug)]
struct ListedService {
    permissions: Vec<String>,
    tenants: ServiceTenants,
    keys: Arc<LastGood<Verifier>>,
}

impl Services {
    /// The service that `bearer` authenticates at `now`, and its permissions. Its own assertion grants every
    /// permission that the edge file lists for it; a service token grants the subset that it names.
    ///
    /// A service that acts for a person, or for another service, is rejected: only the edge asserts a
    /// person's identity. A token of a service that the edge file does not list, or for a tenant that it does
    /// not list for the service, is rejected too.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when the keys of this service, or of the issuer of its token, are
    /// unavailable.
    pub fn verify(&self, bearer: &[u8], now: UnixTime) -> Result<Believed, Failure> {
        let Ok(bearer) = std::str::from_utf8(bearer) else {
            return Ok(Err(CredentialFault::Assertion(Rejected::Malformed)));
        };
        if let Some(tokens) = &self.tokens
            && is_service_token(bearer)
        {
            let tokens = tokens.current(now).ok_or(Failure::KeysUnavailable)?;
            return self.token(&tokens, bearer, now);
        }
        self.assertion(bearer, now)
    }

    fn assertion(&self, bearer: &str, now: UnixTime) -> Result<Believed, Failure> {
        let Some(listed) = self.signer(bearer) else {
            let rejected = self.keyless.verify(bearer, now).err().unwrap_or(Rejected::UnknownKey);
            return Ok(Err(CredentialFault::Assertion(rejected)));
        };
        let verifier = listed.keys.current(now).ok_or(Failure::KeysUnavailable)?;
        Ok(match verifier.verify(bearer, now) {
            Ok(Caller::Service(service)) => Ok((service, listed.permissions.clone())),
            Ok(Caller::Person(_) | Caller::Client(_)) => {
                Err(CredentialFault::Assertion(Rejected::WrongClaims))
            }
            Err(rejected) => Err(CredentialFault::Assertion(rejected)),
        })
    }

    /// The service whose keys decide about the still unverified `bearer`: the one that has its key, or else
    /// the one that it names and whose keys were never read.
    fn signer(&self, bearer: &str) -> Option<&ListedService> {
        if bearer.len() > MAX_BEARER_BYTES {
            return None;
        }
        let kid = jsonwebtoken::decode_header(bearer).ok()?.kid?;
        let named = issuer(bearer).and_then(|issuer| issuer.parse::<ServiceName>().ok());
        let named = named.and_then(|named| self.listed.get(&named));
        let knows = |listed: &&ListedService| listed.keys.value().is_some_and(|keys| keys.knows(&kid));
        // Two services may use the same key id: then the named service counts.
        named
            .filter(knows)
            .or_else(|| self.listed.values().find(knows))
            .or_else(|| named.filter(|listed| listed.keys.value().is_none()))
    }

    fn token(&self, tokens: &TokenVerifier, bearer: &str, now: UnixTime) -> Result<Believed, Failure> {
        let rejected = |rejected| Ok(Err(CredentialFault::ServiceToken(rejected)));
        let ServiceToken { service: name, mut permissions, tenant } = match tokens.verify(bearer, now) {
            Ok(token) => token,
            Err(fault) => return rejected(fault),
        };
        let Some(listed) = self.listed.get(&name) else { return rejected(Rejected::WrongClaims) };
        if tenant.as_ref().is_some_and(|tenant| !listed.tenants.include(tenant)) {
            return rejected(Rejected::WrongClaims);
        }
        // Without keys of its own a service is closed, whatever it presents.
        listed.keys.current(now).ok_or(Failure::KeysUnavailable)?;
        permissions.retain(|permission| listed.permissions.contains(permission));
        Ok(Ok((Service { name, tenant }, permissions)))
    }
}

fn is_service_token(bearer: &str) -> bool {
    bearer.len() <= MAX_BEARER_BYTES
        && jsonwebtoken::decode_header(bearer)
            .is_ok_and(|header| header.typ.as_deref() == Some(service_token::TOKEN_TYPE))
}

/// The issuer that `bearer` names. It proves nothing: it only chooses the keys to verify with.
fn issuer(bearer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    let payload = bearer.split('.').nth(1)?;
    serde_json::from_slice::<Named>(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok().map(|named| named.iss)
}

/// A watched key file.
#[derive(Debug)]
struct KeyFile<T> {
    keys: Arc<LastGood<T>>,
    /// Absent when the system could not start a thread: the keys then stay as first read.
    _watch: Option<Watch>,
}

/// The key files that are watched now.
#[derive(Debug, Default)]
struct Files {
    services: HashMap<(ServiceName, PathBuf), KeyFile<Verifier>>,
    tokens: Option<(ServiceTokens, KeyFile<TokenVerifier>)>,
}

/// Verifies assertions of the services that the edge file lists.
#[derive(Debug)]
pub struct Assertions {
    services: ArcSwapOption<Services>,
    /// Held while services are replaced. No file is read meanwhile, so a read that hangs does not block a new
    /// edge file.
    files: Mutex<Files>,
    crew: Crew,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
}

/// When a key file is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstLook {
    /// Before the services are in force: at process start.
    Before,
    /// On the file's own thread, at once: nothing in the running process waits for a file.
    Aside,
}

impl Assertions {
    /// No services yet. `crew` watches their key files.
    #[must_use]
    pub fn new(crew: Crew, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let (services, files) = (ArcSwapOption::empty(), Mutex::default());
        Self { services, files, crew, clock, reloads }
    }

    /// The services in force.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] before any services were installed.
    pub fn current(&self) -> Result<Arc<Services>, Failure> {
        self.services.load_full().ok_or(Failure::KeysUnavailable)
    }

    /// The state of the services' keys, for `/readyz`.
    #[must_use]
    pub fn health(&self) -> Health {
        let files = self.files.lock();
        let mut troubles: Vec<String> = files
            .services
            .iter()
            .filter_map(|((name, _), file)| trouble(name.as_str(), &file.keys))
            .chain(files.tokens.iter().filter_map(|(_, file)| trouble("service tokens", &file.keys)))
            .collect();
        troubles.sort_unstable();
        let detail = if troubles.is_empty() { "loaded".to_owned() } else { troubles.join("; ") };
        Health { ready: true, detail }
    }

    /// Puts the services of `edge` in force, for each of its revisions: a removed service or permission loses
    /// its effect from now on. Keys that were already read from the same file stay valid.
    pub fn install(&self, edge: &Edge, first: FirstLook) {
        let mut files = self.files.lock();
        let mut before = std::mem::take(&mut *files);
        let mut listed = HashMap::with_capacity(edge.services.len());
        for (name, service) in &edge.services {
            let place = (name.clone(), service.keys.clone());
            let file = before.services.remove(&place).unwrap_or_else(|| {
                let (audience, of) = (edge.name.clone(), name.clone());
                let read = Box::new(move |json: &[u8]| Verifier::new(&audience).trust_service(&of, json));
                self.follow(&service.keys, read, first)
            });
            let keys = Arc::clone(&file.keys);
            let (permissions, tenants) = (service.permissions.clone(), service.tenants.clone());
            listed.insert(name.clone(), ListedService { permissions, tenants, keys });
            files.services.insert(place, file);
        }
        files.tokens = edge.service_tokens.as_ref().map(|tokens| {
            let same = before.tokens.take().filter(|(before, _)| before == tokens);
            same.unwrap_or_else(|| {
                let (issuer, audience) = (tokens.issuer.clone(), edge.name.clone());
                let read = Box::new(move |json: &[u8]| TokenVerifier::from_json(&issuer, &audience, json));
                (tokens.clone(), self.follow(&tokens.keys, read, first))
            })
        });
        let tokens = files.tokens.as_ref().map(|(_, file)| Arc::clone(&file.keys));
        let services = Services { listed, tokens, keyless: Verifier::new(&edge.name) };
        self.services.store(Some(Arc::new(services)));
    }

    fn follow<T: Send + Sync + 'static>(&self, path: &Path, read: Read<T>, first: FirstLook) -> KeyFile<T> {
        let keys = Arc::new(LastGood::for_at_most(STALE_LIMIT));
        let file = WatchedFile::new(path, MAX_BYTES);
        let (clock, reloads) = (Arc::clone(&self.clock), self.reloads.clone());
        let parsed = Parsed { read, into: Arc::clone(&keys) };
        let mut followed = Followed::new("services", file, parsed, clock, reloads)
            .advising("; `cutover keys` makes the missing ones");
        match first {
            FirstLook::Before => followed.poll(),
            FirstLook::Aside => {}
        }
        let watch = self.crew.watch(followed);
        let _watch = watch
            .inspect_err(|error| {
                keys.note(
                    Cause::Missing,
                    format!("{}: cannot start a thread to watch it: {error}", path.display()),
                    self.clock.now(),
                );
                tracing::error!(file = %path.display(), %error, "cannot start a thread to watch a key file");
            })
            .ok();
        KeyFile { keys, _watch }
    }
}

/// The trouble with the keys of `name`, if any.
fn trouble<T>(name: &str, keys: &LastGood<T>) -> Option<String> {
    match (keys.trouble(), keys.value().is_some()) {
        (Some(trouble), true) => {
            let (since, hours) = (trouble.since().seconds(), STALE_LIMIT.as_secs());
            Some(format!("{name}: {} (since {since}; closed after {hours} s)", trouble.what()))
        }
        (Some(trouble), false) => Some(format!("{name}: closed, {}", trouble.what())),
        (None, true) => None,
        (None, false) => Some(format!("{name}: closed, its keys have not been read yet")),
    }
}

/// The service that `input`'s bearer assertion or service token authenticates. Cookies do not count between
/// services.
///
/// # Errors
/// [`Failure::KeysUnavailable`] when an assertion was offered and no keys are available to verify it.
pub fn present(
    assertions: &Assertions,
    input: &CheckInput<'_>,
    now: UnixTime,
) -> Result<Presented<AuthenticatedService>, Failure> {
    let assertion = match bearer::find(&input.authorizations()) {
        Ok(Some(assertion)) => assertion,
        Ok(None) => return Ok(Presented::NotOffered),
        Err(fault) => return Ok(Presented::Failed(fault)),
    };
    Ok(match assertions.current()?.verify(assertion, now)? {
        Ok((service, permissions)) => Presented::Verified(AuthenticatedService { service, permissions }),
        Err(fault) => Presented::Failed(fault),
    })
}
