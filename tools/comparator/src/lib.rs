//! The comparator compares the answers of a new backend with the legacy backend's, byte for byte, before a client receives
//! them. `docs/shadow.md` describes it and its report.
//!
//! The path of a copy: [`intake`] (receives it from Envoy) → a bounded queue → [`worker`] (replays it to both backends over
//! [`wire`], has the answers [`compare`]d, asks the reference again where they differ, forgets what is [`noise`] or declared
//! to be [`overlooked`]) → [`ledger`] (counts, and samples after [`redact`]ion) → [`admin`] (shows the report). What compares
//! is the library `packages/comparison`.

pub mod admin;
pub mod copy;
pub mod edge_file;
pub mod intake;
pub mod ledger;
pub mod worker;

pub use comparison::{compare, judge, noise, overlooked, redact};
pub use http_wire as wire;
pub use http_wire::answer;
