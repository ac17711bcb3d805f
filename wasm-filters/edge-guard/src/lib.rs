//! The guard as a module of Envoy's: hands Envoy's bytes to [`header_rules`] and its edits back.
//!
//! ```text
//! guard    one listener's rules and what a verdict means in host calls
//! leasing  leases of one listener: serve
//! asking   leases of one listener: ask what ended
//! keeper   leases of one listener: keep what was granted
//! setup    a plugin's configuration, read once
//! counters the names under which Envoy's statistics show what the guard did
//! host     Envoy, and all `unsafe`: proxy-wasm or a dynamic module, by what this is compiled for
//! ```
//!
//! Compiled for `wasm32-wasip1` it is a proxy-wasm module, which is what an edge has unless somebody decides
//! otherwise; compiled for the machine it is a dynamic module: the same rules without the wall between them and
//! Envoy, and without what the wall costs (docs/guard.md).
//!
//! **It fails closed.** A configuration that is not understood is refused when Envoy loads it. A host call that
//! fails while a request is edited ends the request with 500.

mod asking;
mod counters;
mod fault;
mod guard;
mod host;
mod keeper;
mod leasing;
mod note;
mod setup;
