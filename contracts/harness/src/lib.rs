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
mod parts;
mod ports;
mod process;
mod stores;
pub mod tls;
pub mod tokens;
pub mod wire;

pub use backend::{Backend, Seen};
pub use broker::RabbitMq;
pub use edge::{Edge, EdgeBuilder, Part};
pub use parts::{envoy, guard, guard_is_native, native_guard, program, repository, venv, wasm_guard};
pub use ports::Port;
pub use process::{Process, Signal};
pub use stores::Redis;

/// Waits until `holds` returns true. It is called fifty times a second for at most a minute: a test machine may be busy, but
/// elsewhere every expected event happens within a second.
///
/// # Panics
/// When it does not happen; `what` completes the sentence.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !holds() {
        assert!(std::time::Instant::now() < until, "it did not happen within a minute that {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
