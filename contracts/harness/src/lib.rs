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

pub mod authority;
mod backend;
mod broker;
mod edge;
mod legacy;
mod parts;
mod ports;
mod process;
mod stores;
pub mod tls;
pub mod tokens;
pub mod wire;

use std::time::{Duration, Instant};

pub use backend::{Backend, Seen};
pub use broker::RabbitMq;
pub use edge::{Edge, EdgeBuilder, Part};
pub use legacy::LegacySample;
pub use parts::{envoy, guard, guard_is_native, native_guard, program, repository, venv, wasm_guard};
pub use ports::Port;
pub use process::{Process, Signal};
pub use stores::Redis;

/// The longest time until a revocation, a suspended tenant or an outage of the authorizer takes effect, as
/// docs/revocation.md promises.
pub const IN_FORCE_WITHIN: Duration = Duration::from_secs(1);

/// Waits until `holds` returns true. It is called fifty times a second for at most a minute: a test machine may be busy, but
/// elsewhere every expected event happens within a second.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    eventually_some(what, || holds().then_some(()));
}

/// Waits until `find` returns a value, as [`eventually`] does, and returns it.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub fn eventually_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < until, "it did not happen within a minute that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits as [`eventually`] does, where finding out has to wait for something itself.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub async fn eventually_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !holds().await {
        assert!(Instant::now() < until, "it did not happen within a minute that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets `time` pass, for the stated reason: after it an event must have taken effect, or must not have happened. Where
/// an event can be waited for, [`eventually`] is right.
pub fn pause(time: Duration, _why: &str) {
    std::thread::sleep(time);
}

/// The cookie with the access token, on the shipped edges.
pub const SESSION_COOKIE: &str = "madome_access_token";
