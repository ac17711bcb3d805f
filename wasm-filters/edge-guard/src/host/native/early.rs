//! Serves by a lease before any filter is made.
//!
//! Filters that are made cost a request served by a lease more than the guard's own work does. Envoy lets a module at the
//! headers before it chooses a route and makes the filters that the route asks for. There the guard looks for a lease,
//! writes the identity, and marks the request with its route; the mark leads to the route's twin, for which no filter is
//! made at all. Whatever is not the plain case has no mark and goes the long way, where a lease may still serve it.

use std::ffi::c_void;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use header_rules::HeaderMap;
use header_rules::config::{EARLY_MARK, EarlyConfig};

use super::mark;
use super::plugin::{self, Plugin};
use super::{Caller, on_behalf_of};
use crate::host::{self, HostError, Level};

/// One listener's.
pub(super) struct Early {
    name: EarlyConfig,
    /// The guard of that name. The listener may have been replaced by one of the same revision, so the last one counts.
    guard: RwLock<Weak<Plugin>>,
}

impl Early {
    pub(super) fn configure(text: &[u8]) -> Option<Self> {
        match serde_json::from_slice(text) {
            Ok(name) => Some(Self { name, guard: RwLock::new(Weak::new()) }),
            Err(error) => {
                host::log(
                    Level::Error,
                    &format!("edge-guard: wrong configuration of the early look: {error}"),
                );
                None
            }
        }
    }

    /// Serves `request` if there is a lease for it, and marks it last: without the mark it goes the long way, where
    /// the guard takes away whatever was written here.
    pub(super) fn look(&self, request: *mut c_void) -> Result<(), HostError> {
        on_behalf_of(Caller::Early(request), || {
            let headers = host::request_headers()?;
            let mut pairs = HeaderMap::new(&headers).pairs();
            if pairs.any(|pair| pair.is_ok_and(|(name, _)| name.eq_ignore_ascii_case(EARLY_MARK.as_bytes())))
            {
                // Envoy lets no header with an underscore in. Should it once, the mark ends here.
                return host::remove_request_header(EARLY_MARK.as_bytes());
            }
            let Some(guard) = self.guard() else { return Ok(()) };
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

    fn guard(&self) -> Option<Arc<Plugin>> {
        let known = self.guard.read().unwrap_or_else(PoisonError::into_inner).upgrade();
        known.or_else(|| {
            let found = plugin::find(&self.name.listener, &self.name.revision)?;
            *self.guard.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&found);
            Some(found)
        })
    }
}
