//! What the guard does to a request, as a pure library: bytes in, edits out. It knows no host.
//!
//! The guard is the first filter of every listener. It holds two of the edge's promises: *identity cannot be
//! forged* (no client byte under a reserved name gets past it) and *internal stays internal* (no spelling of a
//! path reaches an internal API, or slips from one policy under another). It changes no byte of a request that
//! it lets through, apart from removing reserved headers and settling `x-request-id`.
//!
//! ```text
//! header buffer ──▶ HeaderMap ──▶ Rules::judge ──▶ Verdict ──▶ edge-guard tells Envoy
//!                  (in place)      │
//!                                  ├─ reserved    which names only the edge may write
//!                                  ├─ request_id  keep the client's, or mint one
//!                                  ├─ authority   which host is meant
//!                                  ├─ forms, routes   every reading of the path, and whose policy it falls under
//!                                  └─ sites       whether a page of another site had a browser send it
//! ```
//!
//! Invariants:
//!
//! - Nothing here panics, whatever the bytes are; a fuzz target for each entrance lives in `fuzz/`.
//! - A request that needs nothing costs one pass over its headers and one over its path, and no allocation.
//! - The work on one request is bounded, whatever the path is (see [`forms`]).
//! - There is no clock and no source of randomness: both are arguments.

mod authority;
pub mod config;
mod error;
pub mod forms;
mod header_map;
mod leases;
mod request_id;
mod reserved;
mod routes;
mod rules;
mod sites;
mod verdict;

pub use error::ConfigError;
pub use header_map::{HeaderMap, MalformedHeaders, Pairs};
pub use leases::Candidate;
pub use request_id::{REQUEST_ID, RequestIds, is_request_id};
pub use rules::Rules;
pub use verdict::{Edits, Reason, Refusal, Removal, RequestId, RuleIndex, Verdict};
