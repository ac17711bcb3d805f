//! Services of the platform: each signs who it is, and each is believed with its own keys only.
//!
//! While a key file is broken the last good keys serve for [`STALE_LIMIT`]; then, and before the first load,
//! internal routes answer 503 `keys_unavailable`. Sessions do not depend on it, so it does not make the replica
//! unready.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use clock::{Clock, UnixTime};
use edge_config::Edge;
use edge_config::edge::{ServiceTenants, ServiceTokens};
use identity::assertion::{MAX_BYTES as MAX_BEARER_BYTES, Rejected, Verifier};
use identity::service_token::{self, ServiceToken, TokenVerifier};
use identity::{Caller, Service, ServiceName};

use crate::credential::CredentialFault;
use crate::credential::keys::STALE_LIMIT;
use crate::decision::Failure;
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

/// Believes assertions of the services that the edge file lists.
#[derive(Debug, Default)]
pub struct Assertions {
    services: ArcSwapOption<Services>,
    trouble: ArcSwap<Option<Trouble>>,
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
}

/// Loads the services' keys, and again when one of the files changes. While one of them is broken all
/// stay as they were.
#[derive(Debug)]
pub struct ServiceKeys {
    audience: String,
    services: Vec<(ServiceName, PathBuf, WatchedFile)>,
    tokens: Option<(ServiceTokens, WatchedFile)>,
    listed: HashMap<ServiceName, Listed>,
    assertions: Arc<Assertions>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    loaded: bool,
}

impl ServiceKeys {
    /// A loader for the services of `edge`, which they address by its name.
    #[must_use]
    pub fn new(edge: &Edge, assertions: Arc<Assertions>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        let services = edge
            .services
            .iter()
            .map(|(name, service)| {
                (name.clone(), service.keys.clone(), WatchedFile::new(&service.keys, MAX_BYTES))
            })
            .collect();
        let tokens = edge.service_tokens.clone().map(|tokens| {
            let file = WatchedFile::new(&tokens.keys, MAX_BYTES);
            (tokens, file)
        });
        let listed = |service: &edge_config::edge::Service| Listed {
            permissions: service.permissions.clone(),
            tenants: service.tenants.clone(),
        };
        let listed = edge.services.iter().map(|(name, service)| (name.clone(), listed(service))).collect();
        let audience = edge.name.clone();
        Self { audience, services, tokens, listed, assertions, clock, reloads, loaded: false }
    }

    fn rebuild(&self) -> Result<Services, String> {
        let trust = |verifier: Verifier, (name, path, _): &(ServiceName, PathBuf, WatchedFile)| {
            verifier.trust_service_file(name, path).map_err(|error| error.to_string())
        };
        let verifier = self.services.iter().try_fold(Verifier::new(&self.audience), trust)?;
        let tokens = self.tokens.as_ref().map(|(tokens, _)| {
            TokenVerifier::from_file(&tokens.issuer, &self.audience, &tokens.keys)
                .map_err(|error| error.to_string())
        });
        Ok(Services { verifier, tokens: tokens.transpose()?, listed: self.listed.clone() })
    }
}

impl Source for ServiceKeys {
    fn name(&self) -> &'static str {
        "services"
    }

    fn poll(&mut self) {
        let mut changed = !self.loaded;
        for (_, _, file) in &mut self.services {
            changed |= !matches!(file.poll(), Ok(None));
        }
        if let Some((_, file)) = &mut self.tokens {
            changed |= !matches!(file.poll(), Ok(None));
        }
        if !changed {
            return;
        }
        match self.rebuild() {
            Ok(services) => {
                tracing::info!(?services, "service keys loaded");
                self.assertions.services.store(Some(Arc::new(services)));
                self.assertions.trouble.store(Arc::new(None));
                self.loaded = true;
                self.reloads.done.inc();
            }
            Err(what) => {
                if Trouble::note(&self.assertions.trouble, what.clone(), self.clock.now()) {
                    self.reloads.failed.inc();
                    tracing::error!(what, "service keys not loaded");
                }
            }
        }
    }
}
