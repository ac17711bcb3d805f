//! Compares two HTTP answers byte for byte, as a client would see them.
//!
//! [`compare`] finds every difference and names its place; it is pure. [`judge`] asks the reference again and keeps what is
//! not its own [`noise`]; [`overlooked`] holds the differences that a person declared irrelevant. [`redact`] removes
//! credentials from what is shown. The comparator does this with live traffic (`docs/shadow.md`), `cutover contract` with
//! recorded exchanges (`docs/contract.md`), and the harness in tests.

pub mod compare;
pub mod judge;
pub mod noise;
pub mod overlooked;
pub mod redact;

pub use http_wire::answer;
