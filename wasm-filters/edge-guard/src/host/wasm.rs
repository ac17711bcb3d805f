//! The guard as a proxy-wasm module (ABI 0.2.1), on the `proxy-wasm` crate.
//!
//! ```text
//! hooks    Envoy's callbacks: the contexts that the crate's dispatcher calls
//! plugin   one configuration: guard or keeper
//! shelf    the store of leases: Envoy's shared data
//! clock    the time
//! tally    a counter that needs no call
//! calls    host calls through the crate
//! raw      three host calls that the crate has in a slower or smaller form, and WASI's clock: all `unsafe`
//! ```
//!
//! Where Envoy answers a host call with a status that the crate does not expect, the crate panics. A panic is a trap: Envoy
//! fails its request (503) and every request of the same worker until it has restarted the module, and lets none pass
//! (`failure_policy` in `envoy/templates/guard.yaml`).

mod calls;
mod clock;
mod hooks;
mod plugin;
mod raw;
mod shelf;
mod tally;

pub(crate) use calls::{
    add, body_limit, choose_route_anew, counter, decided, declared_length, is_http_1_0, log, peer,
    remove_request_header, set_request_header,
};
pub(crate) use raw::{answer, note, request_headers};
pub(crate) use shelf::Shelf;
pub(crate) use tally::Tally;
