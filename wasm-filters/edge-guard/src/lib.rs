//! The guard as a proxy-wasm module (ABI 0.2.1): hands Envoy's bytes to [`header_rules`] and its edits back.
//!
//! ```text
//! host     the ABI: every `unsafe` line, every import and export, nothing else
//! plugin   what this machine is, guard or keeper, and what happens when something goes wrong
//! guard    one listener's rules and what a verdict means in host calls
//! leasing  leases of one listener: serve, ask what ended
//! keeper   leases of one listener: keep what was granted
//! slots    where leases stand: memory that guard and keeper of all workers share
//! clock    what time it is
//! counters the names under which Envoy's statistics show what the guard did
//! ```
//!
//! **Only what is needed is exported.** Envoy calls every callback that a module exports, for every request, and
//! each call costs. A plain `cargo build --target wasm32-wasip1` exports the handful in `host`. A filter that wants
//! another callback (response headers, a body) adds its export there and gives it to `plugin`.
//!
//! **It fails closed.** A configuration that is not understood is refused when Envoy loads it. A host call that
//! fails while a request is edited ends the request with 500, and if even that fails the module traps:
//! Envoy answers 503 and, with `failure_policy: FAIL_RELOAD`, starts a new one.

mod clock;
mod counters;
mod guard;
mod host;
mod keeper;
mod leasing;
mod plugin;
mod slots;
