//! Services of the platform: each signs who it is, and each is believed with its own keys only.
//!
//! Each service has a key file of its own, and each file a thread that looks at it: one that is missing, wrong or does not
//! end closes its own service and no other. While it is broken the last good keys serve for [`STALE_LIMIT`]; then, and
//! before the first load, that service is answered 503 `keys_unavailable` on internal routes. Sessions and the other
//! services do not depend on it, so it does not make the replica unready.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, UnixTime};
use edge_config::Edge;
use edge_config::edge::{ServiceTenants, ServiceTokens};
use identity::assertion::{MAX_BYTES as MAX_BEARER_BYTES, Rejected, Verifier};
use identity::service_token::{self, ServiceToken, TokenVerifier};
use identity::{Caller, Service, ServiceName};
use serde::Deserialize;

use crate::check::CheckInput;
use crate::credential::bearer;
use crate::credential::fault::CredentialFault;
use crate::credential::keys::STALE_LIMIT;
use crate::credential::presented::{AuthenticatedService, Presented};
use crate::failure::Failure;
use crate::source::last_good::{Followed, LastGood, Read};
use crate::source::{Crew, Health, Reloads, Source as _, Watch, WatchedFile};

/// A service's key set has one or two keys.
const MAX_BYTES: u64 = 65_536;

/// What came of a bearer: who it is and what they may do, or why it is not believed.
pub type Believed = Result<(Service, Vec<String>), CredentialFault>;

/// The services of an edge, each believed about itself alone.
#[derive(Debug)]
pub struct Services {
    listed: HashMap<ServiceName, Listed>,
    tokens: Option<Arc<LastGood<TokenVerifier>>>,
    /// Trusts nobody: it names what is wrong with an assertion that no service signed.
    nobody: Verifier,
}

/// What the edge file lets a service do, and its keys.
#[derive(Debug)]
struct Listed {
    permissions: Vec<String>,
    tenants: ServiceTenants,
    keys: Arc<LastGood<Verifier>>,
}

impl Services {
    /// The service that `bearer` speaks for at `now`, and what it may do. Its own assertion stands for everything
    /// that the edge file lets it do; a service token for what it names of that.
    ///
    /// A service that speaks for a person, or for another service, is rejected: only the edge says who a person is. A token
    /// of a service that the edge file does not list, or for a tenant that it does not list for the service, is rejected
    /// too.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] when the keys of this service, or of the issuer of its token, cannot be had.
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
            let rejected = self.nobody.verify(bearer, now).err().unwrap_or(Rejected::UnknownKey);
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

    /// The service whose keys decide about `bearer`, which nobody has verified: the one that has its key, or else the one
    /// that it names and whose keys were never read.
    fn signer(&self, bearer: &str) -> Option<&Listed> {
        if bearer.len() > MAX_BEARER_BYTES {
            return None;
        }
        let kid = jsonwebtoken::decode_header(bearer).ok()?.kid?;
        let named = issuer(bearer).and_then(|issuer| issuer.parse::<ServiceName>().ok());
        let named = named.and_then(|named| self.listed.get(&named));
        let knows = |listed: &&Listed| listed.keys.value().is_some_and(|keys| keys.knows(&kid));
        // Two services may call a key alike: then the one that is named is meant.
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
        if tenant.is_some_and(|tenant| !listed.tenants.include(tenant)) {
            return rejected(Rejected::WrongClaims);
        }
        // Without keys of its own a service is closed, whatever it shows.
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

/// The issuer that `bearer` names. It proves nothing: it chooses whose keys are asked.
fn issuer(bearer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    let payload = bearer.split('.').nth(1)?;
    serde_json::from_slice::<Named>(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok().map(|named| named.iss)
}

/// A key file that is followed.
#[derive(Debug)]
struct KeyFile<T> {
    keys: Arc<LastGood<T>>,
    /// Absent when the system gave no thread: the keys stay as they were read first.
    _watch: Option<Watch>,
}

/// The key files that are followed now.
#[derive(Debug, Default)]
struct Files {
    services: HashMap<(ServiceName, PathBuf), KeyFile<Verifier>>,
    tokens: Option<(ServiceTokens, KeyFile<TokenVerifier>)>,
}

/// Believes assertions of the services that the edge file lists.
#[derive(Debug)]
pub struct Assertions {
    services: ArcSwapOption<Services>,
    /// Held while services are replaced. No file is read meanwhile: a read that hangs keeps no new edge file out.
    files: Mutex<Files>,
    crew: Crew,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
}

/// When a key file is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstLook {
    /// Before the services are in force: at the start of the process.
    Before,
    /// On the file's own thread, at once: while the process runs, nothing waits for a file.
    Aside,
}

impl Assertions {
    /// No services yet. `crew` follows their key files.
    #[must_use]
    pub fn new(crew: Crew, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let (services, files) = (ArcSwapOption::empty(), Mutex::default());
        Self { services, files, crew, clock, reloads }
    }

    /// The services to ask.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] before any were put in force.
    pub fn current(&self) -> Result<Arc<Services>, Failure> {
        self.services.load_full().ok_or(Failure::KeysUnavailable)
    }

    /// How the services' keys are, for `/readyz`.
    #[must_use]
    pub fn health(&self) -> Health {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Puts the services of `edge` in force, for every revision of it: a service that is not listed any more, or a
    /// permission that was taken away, counts for nothing from now on. Keys that were read from the same file before
    /// go on to count.
    pub fn install(&self, edge: &Edge, first: FirstLook) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
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
            listed.insert(name.clone(), Listed { permissions, tenants, keys });
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
        let services = Services { listed, tokens, nobody: Verifier::new(&edge.name) };
        self.services.store(Some(Arc::new(services)));
    }

    fn follow<T: Send + Sync + 'static>(&self, path: &Path, read: Read<T>, first: FirstLook) -> KeyFile<T> {
        let keys = Arc::new(LastGood::for_at_most(STALE_LIMIT));
        let file = WatchedFile::new(path, MAX_BYTES);
        let (clock, reloads) = (Arc::clone(&self.clock), self.reloads.clone());
        let mut followed = Followed::new("services", file, read, Arc::clone(&keys), clock, reloads)
            .advising("; `cutover keys` makes the missing ones");
        match first {
            FirstLook::Before => followed.poll(),
            FirstLook::Aside => {}
        }
        let watch = self.crew.watch(followed);
        let _watch = watch
            .inspect_err(|error| {
                keys.note(
                    format!("{}: no thread to watch it with: {error}", path.display()),
                    self.clock.now(),
                );
                tracing::error!(file = %path.display(), %error, "no thread to watch a key file with");
            })
            .ok();
        KeyFile { keys, _watch }
    }
}

/// What is wrong with the keys of `name`.
fn trouble<T>(name: &str, keys: &LastGood<T>) -> Option<String> {
    match (keys.trouble(), keys.value().is_some()) {
        (Some(trouble), true) => {
            let (since, hours) = (trouble.since().seconds(), STALE_LIMIT.as_secs());
            Some(format!("{name}: {} (since {since}; closed after {hours} s)", trouble.what()))
        }
        (Some(trouble), false) => Some(format!("{name}: closed, {}", trouble.what())),
        (None, true) => None,
        (None, false) => Some(format!("{name}: closed, its keys are not read yet")),
    }
}

/// The service that `input`'s bearer assertion or service token speaks for. Cookies do not count between services.
///
/// # Errors
/// [`Failure::KeysUnavailable`] when an assertion was offered and there is nothing to verify it with.
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
