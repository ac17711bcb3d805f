//! The `cutover` command line, as a library so that tests can call what the commands call.
//!
//! * [`lint`]: check an edge file.
//! * [`render`]: an edge becomes Envoy's configuration.
//! * [`keys`]: the keys that an edge signs with.
//! * [`revoke`]: sessions that end before their tokens expire.
//! * [`run`]: the whole edge under one supervisor.

pub mod cli;
pub mod keys;
pub mod lint;
pub mod render;
pub mod revoke;
pub mod run;
pub mod sign;
