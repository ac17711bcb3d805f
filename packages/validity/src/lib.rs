//! The tenant states and revocations that all replicas of the edge share through Redis.
//!
//! * [`tenant`]: the state of tenants, shared between replicas and pushed when it changes.
//! * [`revocation`]: the early end of a session, of all sessions of a person, or of all of a tenant.
//!
//! Writers (the tenants service, the auth service, `cutover revoke`) and readers (the authorizer) share this
//! crate, so that each key and event is spelt in one place. Every id in a key is a UUID in its hyphenated
//! form, which contains no `:`, so two keys never collide.

pub mod revocation;
pub mod tenant;

use std::time::Duration;

use redis_connection::{Address, Bounds, Connection};

pub use redis_connection::UnusableAddress;

/// How long one answer of Redis may take when no request waits for it: half a second is a thousand times the
/// usual duration.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Returns a connection to the Redis of `REDIS_URL`, which is `url`. It opens itself at its first use, and again when it is
/// lost. Needs a tokio runtime.
///
/// # Errors
/// When `url` is not a valid Redis address. The message does not contain its password.
pub fn connect(url: &str) -> Result<Connection, UnusableUrl> {
    open(url).map(|address| connect_to(&address))
}

/// Returns a connection to `address`, with the bounds of [`connect`].
#[must_use]
pub fn connect_to(address: &Address) -> Connection {
    Connection::new(address, Bounds::answer(PATIENCE))
}

/// Reads `url`, the value of `REDIS_URL`.
///
/// # Errors
/// When `url` is not a valid Redis address.
pub fn open(url: &str) -> Result<Address, UnusableUrl> {
    Ok(Address::parse(url)?)
}

/// `REDIS_URL` cannot be used. It may contain a password, so the message does not show it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("REDIS_URL {0}")]
pub struct UnusableUrl(#[from] UnusableAddress);
