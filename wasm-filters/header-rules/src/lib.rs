//! The guard's rules as a pure library: bytes in, edits out. It does not depend on a host.
//!
//! The guard is the first filter of every listener. It keeps two of the edge's promises: *identity cannot be forged* (no
//! client byte under a reserved name passes it) and *internal stays internal* (no spelling of a path reaches an internal
//! API, or moves from one policy to another). It does not change a request that it lets pass, except that it removes
//! reserved headers and sets the request id.
//!
//! ```text
//! header buffer ──▶ HeaderMap ──▶ Rules::judge ──▶ GuardVerdict ──▶ edge-guard applies it in Envoy
//!                  (in place)      │
//!                                  ├─ reserved    the names that only the edge may write
//!                                  ├─ request_id  keep the client's, or mint one
//!                                  ├─ proxies     the client, behind trusted proxies
//!                                  ├─ authority   the host
//!                                  ├─ forms, routes   every reading of the path, and its policy
//!                                  ├─ cors        the pages of other origins that may read the answer
//!                                  ├─ navigation  whether a person opens a page
//!                                  ├─ sites       whether a page of another site caused the request
//!                                  └─ websocket   the token that a page offers as a protocol
//! ```
//!
//! Invariants:
//!
//! - No function panics, whatever the bytes are; `fuzz/` has a fuzz target for each entry point.
//! - A request without edits costs one pass over its headers and one over its path, and no allocation.
//! - The work on one request is bounded, whatever the path is (see [`forms`]).
//! - There is no clock and no source of randomness: both are arguments.

mod authority;
pub mod config;
mod cors;
mod error;
pub mod forms;
mod header_map;
mod leases;
mod navigation;
mod proxies;
mod request_id;
mod reserved;
mod routes;
mod rules;
mod sites;
mod verdict;
mod websocket;

pub use cors::Reader;
pub use error::ConfigError;
pub use header_map::{HeaderMap, MalformedHeaders, Pairs};
pub use leases::Candidate;
pub use request_id::{RequestIds, is_request_id, shown};
pub use rules::Rules;
pub use verdict::{Arrival, Edits, GuardVerdict, Preflight, Reason, Refusal, Removal, RequestId, RuleIndex};
pub use websocket::{MovedToken, PROTOCOLS};
