//! Looks for a lease before any filter is made.
//!
//! Filters that are made and then passed over cost a request served by a lease as much as the guard itself does. So where
//! Envoy lets a module at the headers, before it chooses a route and makes the filters that the route asks for, the guard
//! is asked whether a lease will serve the request. If one will, a header says of which route it is; that leads to a
//! twin of the route for which no filter but the guard is made, and the guard keeps what it promised. Whatever is not the
//! plain case has no such header and goes the long way, where a lease may still serve it.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use header_rules::config::{EARLY_MARK, EarlyConfig};

use super::abi::{self, Buffer};
use super::plugin::{self, Plugin};
use super::{CALLER, Caller, done, on_behalf_of, stream};
use crate::guard::Promise;
use crate::host::{self, HostError, Level};

/// One listener's.
pub(super) struct Early {
    name: EarlyConfig,
    /// The guard of that name. The listener may have been replaced by one of the same revision, so the last one counts.
    guard: RwLock<Weak<Plugin>>,
}

thread_local! {
    /// What was promised to the request that this worker is about to make filters for. Nothing else happens on it
    /// between the one and the other.
    static PROMISED: RefCell<Option<Promise>> = const { RefCell::new(None) };
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

    /// Looks for a lease for `request`, and marks the request if there is one.
    pub(super) fn look(&self, request: *mut c_void) -> Result<(), HostError> {
        PROMISED.take();
        let Some(guard) = self.guard() else { return Ok(()) };
        on_behalf_of(Caller::Early(request), || {
            guard.with_own(|own| {
                let Some(promise) = own.promise()? else { return Ok(()) };
                let Some(mark) = own.mark(promise.route) else { return Ok(()) };
                PROMISED.replace(Some(promise));
                set_mark(mark)
            })
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

/// What was promised to the request at hand, if anything. The mark comes off it.
pub(super) fn promised() -> Result<Option<Promise>, HostError> {
    let promise = PROMISED.take();
    let stream = stream("get_header")?;
    let mut value = Buffer::NONE;
    // SAFETY: the stream is alive while its hook runs, and there is a place for the value.
    let marked = unsafe {
        abi::envoy_dynamic_module_callback_http_get_header(
            stream,
            abi::REQUEST_HEADER,
            Buffer::of(EARLY_MARK.as_bytes()),
            &raw mut value,
            0,
            std::ptr::null_mut(),
        )
    };
    if !marked {
        return Ok(None);
    }
    host::remove_request_header(EARLY_MARK.as_bytes())?;
    // Only the early look writes it; a request that has it for another reason goes nowhere.
    promise.map(Some).ok_or(HostError { call: "a promise for a marked request", status: 0 })
}

fn set_mark(mark: &str) -> Result<(), HostError> {
    const CALL: &str = "early set_header";
    let Some(Caller::Early(request)) = CALLER.get() else {
        return Err(HostError { call: CALL, status: u32::MAX });
    };
    // SAFETY: the request is alive while its hook runs; name and value are only read.
    done(CALL, unsafe {
        abi::envoy_dynamic_module_callback_early_header_mutation_set_header(
            request,
            Buffer::of(EARLY_MARK.as_bytes()),
            Buffer::of(mark.as_bytes()),
        )
    })
}
