//! The real edge, started for a test and stopped with it.
//!
//! [`Edge`] starts Envoy with the compiled guard, the authorizer, the services and the legacy sample, on free ports and in a
//! directory of its own. [`Backend`] replaces a backend where a test has to read or send exact bytes. [`wire`] sends HTTP/1.1
//! byte by byte. A missing part fails the test with a message about how to get it.
//!
//! ```no_run
//! let edge = harness::Edge::dev().start();
//! let answer = edge.get("/users/@me").send();
//! assert_eq!(answer.status, 401);
//! ```
#![expect(clippy::expect_used, clippy::panic, reason = "a harness fails a test by panicking")]
#![expect(clippy::indexing_slicing, reason = "a harness fails a test by panicking")]

mod authenticator;
pub mod authority;
mod backend;
pub mod bridge;
mod broker;
mod edge;
mod edge_file;
mod front;
mod haproxy;
mod legacy;
pub mod operations;
mod parts;
mod ports;
mod process;
pub mod release;
mod stores;
pub mod terminator;
pub mod tls;
pub mod tokens;
mod waiting;
pub mod wire;

use std::time::Duration;

pub use authenticator::Authenticator;
pub use backend::{Backend, Seen};
pub use broker::RabbitMq;
pub use edge::{Edge, EdgeBuilder, Part};
pub use front::Front;
pub use haproxy::Haproxy;
pub use legacy::LegacySample;
pub use parts::{apps, envoy, guard, guard_is_native, native_guard, program, repository, venv, wasm_guard};
pub use ports::Port;
pub use process::{Process, Signal, resident_mib};
pub use stores::{Redis, RedisCluster, RedisSentinels, RedisServer};
pub use waiting::{
    eventually, eventually_async, eventually_logged, eventually_some, meanwhile, pause, pause_async, within,
    within_async,
};

/// The longest time until a revocation, a suspended tenant or an outage of the authorizer takes effect, as
/// docs/revocation.md promises.
pub const IN_FORCE_WITHIN: Duration = Duration::from_secs(1);

/// The cookie with the access token, on the shipped edges.
pub const SESSION_COOKIE: &str = "madome_access_token";

/// Whether this is a thorough run (`make contracts`): its tests send more and last longer than those of `make test`.
#[must_use]
pub fn is_thorough() -> bool {
    std::env::var_os("CUTOVER_THOROUGH").is_some()
}
