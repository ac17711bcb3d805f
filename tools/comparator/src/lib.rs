//! The comparator: sets the answers of a new backend beside the legacy's, byte for byte, before any client sees
//! them. What it does and what its report says is in `docs/shadow.md`.
//!
//! The way of a copy: [`intake`] (Envoy brings it) → a bounded queue → [`worker`] (replays it to both backends over
//! [`wire`], has the answers [`compare`]d, asks the reference again where they differ, forgets what is [`noise`]
//! or declared to be [`overlooked`]) → [`ledger`] (counts, and samples after [`redact`]ion) → [`admin`] (tells).

pub mod admin;
pub mod compare;
pub mod copy;
pub mod edge_file;
pub mod intake;
pub mod judge;
pub mod ledger;
pub mod noise;
pub mod overlooked;
pub mod redact;
pub mod worker;

pub use http_wire as wire;
pub use http_wire::answer;
