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

use redis::Client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

/// How long one answer of Redis may take when no request waits for it: half a second is a thousand times the
/// usual duration.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Returns a connection that reconnects by itself. It is opened at its first use. Needs a tokio runtime.
///
/// # Errors
/// When `url` is not a valid Redis address. The message does not contain its password.
pub fn connect(url: &str) -> Result<ConnectionManager, UnusableUrl> {
    let client = open(url)?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        // The next query tries again, so no caller waits through several retries.
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(100));
    ConnectionManager::new_lazy_with_config(client, config).map_err(|_| UnusableUrl)
}

/// Creates the client for `url`.
///
/// # Errors
/// When `url` is not a valid Redis address.
pub fn open(url: &str) -> Result<Client, UnusableUrl> {
    Client::open(url).map_err(|_| UnusableUrl)
}

/// `REDIS_URL` cannot be used. It may contain a password, so the message does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "REDIS_URL is not a valid Redis address; write redis://127.0.0.1:6379 or redis://:PASSWORD@HOST:PORT/0"
)]
pub struct UnusableUrl;
