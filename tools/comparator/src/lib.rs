//! The comparator compares the answers of a new backend with the legacy backend's, byte for byte, before a client receives
//! them. `docs/shadow.md` describes it and its report.
//!
//! The path of a copy: [`intake`] (receives it from Envoy) → a bounded queue → [`worker`] (replays it to both backends over
//! [`wire`], has the answers [`compare`]d, asks the reference again where they differ, forgets what is [`noise`]
//! or declared to be [`overlooked`]) → [`ledger`] (counts, and samples after [`redact`]ion) → [`admin`] (shows the report).

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
