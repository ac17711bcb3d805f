//! Who is still valid, as every replica of the edge hears it through Redis.
//!
//! * [`tenant`]: the state of tenants, shared between replicas and pushed when it changes.
//! * [`revocation`]: what ends before its tokens expire: a session, all sessions of a person, all of a tenant.
//!
//! Writers (the tenants service, the auth service, `cutover revoke`) and readers (the authorizer) meet here, so
//! that a key or an event is spelt in one place. Every id in a key is a UUID in its hyphenated form, which has no
//! `:`; two keys can never meet.

pub mod revocation;
pub mod tenant;

use std::time::Duration;

use redis::Client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

/// How long one answer of Redis may take where nobody waits for it: half a second is a thousand times its usual.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// A connection that mends itself, opened when it is first used. Needs a tokio runtime.
///
/// # Errors
/// When `url` is no address of a Redis. The message has no password in it.
pub fn connect(url: &str) -> Result<ConnectionManager, UnusableUrl> {
    let client = open(url)?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
        // Whoever asks next tries again; nobody waits through a row of retries.
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(100));
    ConnectionManager::new_lazy_with_config(client, config).map_err(|_| UnusableUrl)
}

/// The client for `url`.
///
/// # Errors
/// When `url` is no address of a Redis.
pub fn open(url: &str) -> Result<Client, UnusableUrl> {
    Client::open(url).map_err(|_| UnusableUrl)
}

/// `REDIS_URL` cannot be used. It may hold a password, so it is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "REDIS_URL is not the address of a Redis; write redis://127.0.0.1:6379 or redis://:PASSWORD@HOST:PORT/0"
)]
pub struct UnusableUrl;
