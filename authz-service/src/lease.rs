//! Leases: which allows the edge may use again, and what ends them before their time.
//!
//! 1. [`grant`] decides beside an allow whether there is a lease, and for how long; the limits say for how many
//!    requests, and take them in advance.
//! 2. [`ended`] remembers what ended: sessions, persons, tenants, keys. The stores write it down in the moment in
//!    which their own decisions change.
//! 3. [`feed`] tells the edge, five times a second and worker, over HTTP ([`served`]).
//!
//! Why no revocation slips through between the two: a grant carries a tag for each thing that it rests on, and the
//! feed names a tag for [`lease::WINDOW_MS`] after the thing ended, longer than any lease lasts. It does not matter
//! whether the lease or the tag arrives first, at which worker, or from which replica.
//!
//! | what happens | then |
//! |---|---|
//! | a session, a person's or a tenant's sessions are ended | the feed names it as soon as decisions know it |
//! | a tenant is not active any more, or changes in any way behind the tenants service | the same |
//! | a signing key is removed or replaced | the same; a key behind a URL is removed when its set is fetched again |
//! | the edge file changes | the feed names the new revision; leases of others are void |
//! | revocations or tenants were not heard of for [`FRESH`] | no grants, and the feed is 503 |
//! | this replica starts, or its subscription has a gap | the feed says how far back it knows; older leases are void |
//! | more ends at once than the feed can name | the same, from that moment on |
//! | `AUTHZ_LEASES=off` | no grants, and the feed ends every lease |

pub mod ended;
pub mod feed;
pub mod grant;
pub mod served;

use std::sync::Arc;
use std::time::Duration;

use clock::UnixTime;
use tokio::time::Instant;

use crate::authorizer::Authorizer;
use crate::lease::ended::Ended;

/// How old the last look at revocations and tenants may be. The edge honours leases for 600 ms after it asked for
/// the last good feed; together that is the second within which everything ends. Files are looked at, and Redis is
/// pinged, four times as often.
pub const FRESH: Duration = Duration::from_millis(400);

/// Leases of one replica.
#[derive(Clone, Debug)]
pub struct Leases {
    /// Whether there are any.
    pub on: bool,
    /// What ended lately.
    pub ended: Arc<Ended>,
}

/// Whether what ends a session or a tenant until [`FRESH`] before this moment is known here: `now` by the wall clock,
/// `at` by the machine's own.
#[must_use]
pub fn is_fresh(authorizer: &Authorizer, now: UnixTime, at: Instant) -> bool {
    let Authorizer { revocations, tenants, .. } = authorizer;
    revocations.as_ref().is_none_or(|revocations| revocations.is_fresh(now, at))
        && tenants.as_ref().is_none_or(|tenants| tenants.is_fresh(now, at))
}
