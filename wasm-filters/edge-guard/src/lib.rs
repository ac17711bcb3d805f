//! The guard as an Envoy module: passes Envoy's bytes to [`header_rules`] and applies its edits.
//!
//! ```text
//! guard    one listener's rules, and the host calls for a verdict
//! leasing  leases of one listener: serve requests
//! feed_client   leases of one listener: poll the feed of invalidations
//! keeper   what an allow leaves behind: grants of leases, and open streams
//! streams  open streams of one listener: begin them, poll about them, end them
//! body_limit    ends requests with too long a body
//! setup    a plugin's configuration, read once
//! counters the guard's counters in Envoy's statistics
//! host     Envoy, and all `unsafe`: proxy-wasm or a dynamic module, by the compile target
//! ```
//!
//! Compiled for `wasm32-wasip1` it is a proxy-wasm module, the default of an edge. Compiled for the machine it is a dynamic
//! module: the same rules without isolation from Envoy, and without the cost of isolation (docs/guard.md).
//!
//! **It fails closed.** Envoy refuses an invalid configuration when it loads it. A host call that fails while a request is
//! edited ends the request with 500.

mod body_limit;
mod counters;
mod fault;
mod feed_client;
mod guard;
mod host;
mod keeper;
mod leasing;
mod note;
mod setup;
mod streams;
