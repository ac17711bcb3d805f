//! The contract of a backend: recorded once, compared byte for byte with any other answer (`docs/contract.md`).
//!
//! The path of an exchange: [`requests`] reads it from files that a team has already → [`capture`] sends it twice through an
//! [`origin`], and [`learn`] finds what is volatile → [`golden`] is its file, refused when [`sensitive`] finds a credential →
//! [`verify`] sends it again, to another server or beside one, and compares with the comparator's engine
//! (`packages/comparison`) → [`report`] shows what differs. [`rules`] are what a person declares.

pub mod capture;
pub mod exchange;
mod file;
pub mod golden;
pub mod learn;
pub mod origin;
pub mod principal;
pub mod probe;
pub mod report;
pub mod requests;
pub mod rules;
pub mod run;
pub mod sensitive;
pub mod shape;
pub mod template;
pub mod verify;
