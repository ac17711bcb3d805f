//! Leases: which decisions to allow the edge may use again, and what ends a lease early.
//!
//! 1. [`grant`] decides with an allow whether there is a lease, and for how long; the limits set its number
//!    of requests, and charge them in advance.
//! 2. [`ended`](crate::ended) records recent invalidations: sessions, persons, tenants, keys. Each store records one
//!    when its own answer changes.
//! 3. [`feed`](crate::feed) reports them to the edge over HTTP, five times a second for each worker.
//!
//! Why no revocation slips through between the two: a grant carries a tag for each fact that it depends on,
//! and the feed names a tag for [`lease::WINDOW_MS`] after the fact changed, longer than any lease lasts. It
//! does not matter whether the lease or the tag arrives first, at which worker, or from which replica.
//!
//! | what happens | then |
//! |---|---|
//! | a session, a person's or a tenant's sessions are ended | the feed names the tag as soon as decisions use it |
//! | a tenant is no longer active, or changes in any way behind the tenants service | the same |
//! | a signing key is removed or replaced | the same; a key behind a URL is removed when its set is fetched again |
//! | the edge file changes | the feed names the new revision; leases of other revisions are void |
//! | there was no news of revocations or tenants for [`FRESH`](crate::ended::FRESH) | no grants, and the feed is 503 |
//! | this replica starts, or its subscription has a gap | the feed states how far back it reaches; older leases are void |
//! | more ends at once than the feed can name | the same, from that moment on |
//! | `AUTHZ_LEASES=off` | no grants, and the feed ends every lease |

pub mod grant;

use std::sync::Arc;

use crate::ended::Ended;

/// The leases of one replica.
#[derive(Clone, Debug)]
pub struct Leases {
    /// Whether leases are granted.
    pub on: bool,
    /// Recent invalidations.
    pub ended: Arc<Ended>,
}
