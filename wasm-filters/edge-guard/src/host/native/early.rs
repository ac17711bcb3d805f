//! Serves by a lease before any filter is made.
//!
//! For a leased request, making filters costs more than the guard's own work. Envoy runs a module on the headers before it
//! chooses a route and makes the route's filters. There the guard looks up a lease, writes the identity, and marks the
//! request with its route. The mark leads to the route's twin, for which no filter is made at all. Any other request has no
//! mark and takes the usual path, where a lease may still serve it.

use std::ffi::c_void;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use header_rules::HeaderMap;
use header_rules::config::{EARLY_MARK, EarlyConfig};

use super::mark;
use super::plugin::{self, Plugin};
use super::{Caller, on_behalf_of};
use crate::host::{self, HostError, Level};

/// The early lookup of one listener. It lives as long as the listener, through all of the listener's guards.
pub(super) struct Early {
    of: EarlyConfig,
    /// The newest guard, and the [`changes`](plugin::changes) at which it was found.
    guard: RwLock<(u64, Weak<Plugin>)>,
}

impl Early {
    pub(super) fn configure(text: &[u8]) -> Option<Self> {
        match serde_json::from_slice(text) {
            // No guard yet, with a number of changes that is never reached.
            Ok(of) => Some(Self { of, guard: RwLock::new((u64::MAX, Weak::new())) }),
            Err(error) => {
                host::log(
                    Level::Error,
                    &format!("edge-guard: invalid configuration of the early lookup: {error}"),
                );
                None
            }
        }
    }

    /// Serves `request` if there is a lease for it, and marks it last: without the mark it takes the usual path, where the
    /// guard removes all changes made here.
    pub(super) fn look(&self, request: *mut c_void) -> Result<(), HostError> {
        on_behalf_of(Caller::Early(request), || {
            let Some(guard) = self.guard() else { return Ok(()) };
            let headers = host::request_headers()?;
            let mut pairs = HeaderMap::new(&headers).pairs();
            if pairs.any(|pair| pair.is_ok_and(|(name, _)| name.eq_ignore_ascii_case(EARLY_MARK.as_bytes())))
            {
                // Envoy accepts no header with an underscore. If it ever did, the mark would be removed here.
                return host::remove_request_header(EARLY_MARK.as_bytes());
            }
            let done = guard.with_own(|own| match own.early(&headers)? {
                Some(mark) => host::set_request_header(EARLY_MARK.as_bytes(), mark.as_bytes()),
                None => Ok(()),
            });
            if done.is_err() {
                mark::undo()?;
            }
            done
        })
    }

    /// The newest guard, if it serves by leases: without leases no route has a twin for a mark.
    fn guard(&self) -> Option<Arc<Plugin>> {
        let changes = plugin::changes();
        let (seen, known) = self.guard.read().unwrap_or_else(PoisonError::into_inner).clone();
        let guard = if seen == changes {
            known.upgrade()
        } else {
            let found = plugin::newest(&self.of.listener);
            let known = found.as_ref().map(Arc::downgrade).unwrap_or_default();
            *self.guard.write().unwrap_or_else(PoisonError::into_inner) = (changes, known);
            found
        };
        guard.filter(|guard| guard.feed().is_some())
    }
}
