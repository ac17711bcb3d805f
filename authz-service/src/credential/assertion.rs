//! Services of the platform: each signs who it is, and each is believed with its own keys only.
//!
//! While a key file is broken the last good keys serve for [`STALE_LIMIT`]; then, and before the first load,
//! internal routes answer 503 `keys_unavailable`. Sessions do not depend on it, so it does not make the replica
//! unready.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use clock::{Clock, UnixTime};
use edge_config::Edge;
use edge_config::edge::{ServiceTenants, ServiceTokens};
use identity::assertion::{MAX_BYTES as MAX_BEARER_BYTES, Rejected, Verifier};
use identity::service_token::{self, ServiceToken, TokenVerifier};
use identity::{Caller, Service, ServiceName};

use crate::check::CheckInput;
use crate::credential::bearer;
use crate::credential::fault::CredentialFault;
use crate::credential::keys::STALE_LIMIT;
use crate::credential::presented::{AuthenticatedService, Presented};
use crate::failure::Failure;
use crate::source::{Health, Reloads, Source, Trouble, WatchedFile};

/// A service's key set has one or two keys.
const MAX_BYTES: u64 = 65_536;

/// The services of an edge, each believed about itself alone.
#[derive(Debug)]
pub struct Services {
    verifier: Verifier,
    tokens: Option<TokenVerifier>,
    listed: HashMap<ServiceName, Listed>,
}

/// What the edge file lets a service do.
#[derive(Clone, Debug)]
struct Listed {
    permissions: Vec<String>,
    tenants: ServiceTenants,
}

impl Services {
    /// The service that `bearer` speaks for at `now`, and what it may do. Its own assertion stands for everything
    /// that the edge file lets it do; a service token for what it names of that.
    ///
    /// # Errors
    /// [`CredentialFault`] with the first reason found. A service that speaks for a person, or for another
    /// service, is rejected too: only the edge says who a person is, and nobody else who a service is. A token
    /// of a service that the edge file does not list, or for a tenant that it does not list for the service, is nobody's.
    pub fn verify(&self, bearer: &[u8], now: UnixTime) -> Result<(Service, Vec<String>), CredentialFault> {
        let malformed = CredentialFault::Assertion(Rejected::Malformed);
        let bearer = std::str::from_utf8(bearer).map_err(|_| malformed)?;
        if let Some(tokens) = &self.tokens
            && is_service_token(bearer)
        {
            return self.token(tokens, bearer, now).map_err(CredentialFault::ServiceToken);
        }
        let service = match self.verifier.verify(bearer, now).map_err(CredentialFault::Assertion)? {
            Caller::Service(service) => service,
            Caller::Person(_) | Caller::Client(_) => {
                return Err(CredentialFault::Assertion(Rejected::WrongClaims));
            }
        };
        let permissions =
            self.listed.get(&service.name).map(|listed| listed.permissions.clone()).unwrap_or_default();
        Ok((service, permissions))
    }

    fn token(
        &self,
        tokens: &TokenVerifier,
        bearer: &str,
        now: UnixTime,
    ) -> Result<(Service, Vec<String>), Rejected> {
        let ServiceToken { service: name, mut permissions, tenant } = tokens.verify(bearer, now)?;
        let listed = self.listed.get(&name).ok_or(Rejected::WrongClaims)?;
        if tenant.is_some_and(|tenant| !listed.tenants.include(tenant)) {
            return Err(Rejected::WrongClaims);
        }
        permissions.retain(|permission| listed.permissions.contains(permission));
        Ok((Service { name, tenant }, permissions))
    }
}

fn is_service_token(bearer: &str) -> bool {
    bearer.len() <= MAX_BEARER_BYTES
        && jsonwebtoken::decode_header(bearer)
            .is_ok_and(|header| header.typ.as_deref() == Some(service_token::TOKEN_TYPE))
}

/// What the edge file says about services: who they are, what they may do, and where their keys are.
#[derive(Debug)]
struct Listing {
    audience: String,
    keys: Vec<(ServiceName, PathBuf)>,
    tokens: Option<ServiceTokens>,
    listed: HashMap<ServiceName, Listed>,
}

impl Listing {
    fn of(edge: &Edge) -> Self {
        let listed = |service: &edge_config::edge::Service| Listed {
            permissions: service.permissions.clone(),
            tenants: service.tenants.clone(),
        };
        Self {
            audience: edge.name.clone(),
            keys: edge.services.iter().map(|(name, service)| (name.clone(), service.keys.clone())).collect(),
            tokens: edge.service_tokens.clone(),
            listed: edge.services.iter().map(|(name, service)| (name.clone(), listed(service))).collect(),
        }
    }

    fn read(&self) -> Result<Services, String> {
        let trust = |verifier: Verifier, (name, path): &(ServiceName, PathBuf)| {
            verifier.trust_service_file(name, path).map_err(|error| error.to_string())
        };
        let verifier = self.keys.iter().try_fold(Verifier::new(&self.audience), trust)?;
        let tokens = self.tokens.as_ref().map(|tokens| {
            TokenVerifier::from_file(&tokens.issuer, &self.audience, &tokens.keys)
                .map_err(|error| error.to_string())
        });
        Ok(Services { verifier, tokens: tokens.transpose()?, listed: self.listed.clone() })
    }

    fn files(&self) -> Vec<WatchedFile> {
        let keys = self.keys.iter().map(|(_, path)| path);
        let all = keys.chain(self.tokens.as_ref().map(|tokens| &tokens.keys));
        all.map(|path| WatchedFile::new(path, MAX_BYTES)).collect()
    }
}

/// The services of a new edge file, read and ready to be put in force.
#[derive(Debug)]
pub struct Prepared {
    listing: Arc<Listing>,
    services: Services,
}

/// Believes assertions of the services that the edge file lists.
#[derive(Debug, Default)]
pub struct Assertions {
    services: ArcSwapOption<Services>,
    trouble: ArcSwap<Option<Trouble>>,
    /// What is watched. Held while services are replaced, so that keys of an older list never end up in force under a
    /// newer one.
    listing: Mutex<Option<Arc<Listing>>>,
}

impl Assertions {
    /// The services to ask at `now`.
    ///
    /// # Errors
    /// [`Failure::KeysUnavailable`] before the first load, and when a key file is broken for longer than
    /// [`STALE_LIMIT`].
    pub fn current(&self, now: UnixTime) -> Result<Arc<Services>, Failure> {
        if self.trouble.load().as_ref().as_ref().is_some_and(|t| t.lasts_longer_than(STALE_LIMIT, now)) {
            return Err(Failure::KeysUnavailable);
        }
        self.services.load_full().ok_or(Failure::KeysUnavailable)
    }

    /// How the services' keys are, for `/readyz`.
    #[must_use]
    pub fn health(&self) -> Health {
        let trouble = self.trouble.load();
        let detail = match (trouble.as_ref(), self.services.load().is_some()) {
            (Some(trouble), _) => trouble.what().to_owned(),
            (None, true) => "loaded".to_owned(),
            (None, false) => "not loaded yet".to_owned(),
        };
        Health { ready: true, detail }
    }

    /// Reads the services of a new `edge`. Nothing changes yet.
    ///
    /// # Errors
    /// A sentence that names the key file and the mend.
    pub fn prepare(edge: &Edge) -> Result<Prepared, String> {
        let listing = Listing::of(edge);
        let services = listing.read()?;
        Ok(Prepared { listing: Arc::new(listing), services })
    }

    /// Puts `prepared` in force, for every revision of the edge: a service that is not listed any more, or a permission
    /// that was taken away, counts for nothing from now on. Its key files are watched from the next look on.
    pub fn install(&self, prepared: Prepared) {
        let Prepared { listing, services } = prepared;
        let mut watched = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        *watched = Some(listing);
        self.put(services);
    }

    fn put(&self, services: Services) {
        tracing::info!(?services, "service keys loaded");
        self.services.store(Some(Arc::new(services)));
        self.trouble.store(Arc::new(None));
    }
}

/// Loads the services' keys, and again when one of the files changes. While one of them is broken all
/// stay as they were.
#[derive(Debug)]
pub struct ServiceKeys {
    /// What `files` belong to.
    watched: Arc<Listing>,
    files: Vec<WatchedFile>,
    assertions: Arc<Assertions>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    loaded: bool,
}

impl ServiceKeys {
    /// A loader for the services of `edge`, which they address by its name, and of whatever is
    /// [installed](Assertions::install) after it.
    #[must_use]
    pub fn new(edge: &Edge, assertions: Arc<Assertions>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let watched = Arc::new(Listing::of(edge));
        *assertions.listing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&watched));
        Self { files: watched.files(), watched, assertions, clock, reloads, loaded: false }
    }
}

impl Source for ServiceKeys {
    fn name(&self) -> &'static str {
        "services"
    }

    fn poll(&mut self) {
        let assertions = Arc::clone(&self.assertions);
        let listing = assertions.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = &*listing
            && !Arc::ptr_eq(listing, &self.watched)
        {
            self.watched = Arc::clone(listing);
            self.files = self.watched.files();
        }
        let mut changed = !self.loaded;
        for file in &mut self.files {
            changed |= !matches!(file.poll(), Ok(None));
        }
        if !changed {
            return;
        }
        match self.watched.read() {
            Ok(services) => {
                assertions.put(services);
                self.loaded = true;
                self.reloads.done.inc();
            }
            Err(what) => {
                if Trouble::note(&assertions.trouble, what.clone(), self.clock.now()) {
                    self.reloads.failed.inc();
                    tracing::error!(what, "service keys not loaded");
                }
            }
        }
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
    let services = assertions.current(now)?;
    Ok(match services.verify(assertion, now) {
        Ok((service, permissions)) => Presented::Verified(AuthenticatedService { service, permissions }),
        Err(fault) => Presented::Failed(fault),
    })
}
