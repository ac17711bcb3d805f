//! A change of a tenant's status, passed to a listener that records it.

use std::fmt;
use std::sync::Arc;

use identity::TenantId;

/// The status of a tenant changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantChange {
    /// The tenant.
    pub tenant: TenantId,
    /// The status before; absent for a new tenant.
    pub from: Option<&'static str>,
    /// The status now; absent for a removed tenant.
    pub to: Option<&'static str>,
}

/// A listener for each change that a directory of tenants sees. The default ignores them.
#[derive(Clone)]
pub struct OnChange(Arc<dyn Fn(TenantChange) + Send + Sync>);

impl OnChange {
    /// Calls `listener`, which must not wait: it runs while a state is replaced.
    pub fn new(listener: impl Fn(TenantChange) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(super) fn call(&self, change: TenantChange) {
        (self.0)(change);
    }
}

impl Default for OnChange {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for OnChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnChange").finish_non_exhaustive()
    }
}
