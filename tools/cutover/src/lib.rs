//! The `cutover` command line, as a library so that tests can call what the commands call.
//!
//! * [`lint`]: check an edge file.
//! * [`render`]: an edge becomes Envoy's configuration.
//! * [`status`]: where routes go and how the backends do.
//! * [`ramp`]: more and more of a route to a backend, and back when it is worse.
//! * [`watch`]: a changed edge file takes effect, or nothing does.
//! * [`access_log`]: what a line of the access log says about an answer.
//! * [`admin`]: what running programs say of themselves.
//! * [`keys`]: the keys that an edge signs with.
//! * [`revoke`]: sessions that end before their tokens expire.
//! * [`apikey`]: keys of clients.
//! * [`explain`]: why a request is answered as it is.
//! * [`agreement`]: whether the edge and the backends refuse the same people.
//! * [`plan`]: what a change of an edge file means for requests.
//! * [`set`]: moves a route's shares, in the edge file itself.
//! * [`shadow`]: what the comparator found.
//! * [`out`]: where all of them print.
//! * [`run`]: the whole edge under one supervisor.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod access_log;
pub mod admin;
pub mod agreement;
pub mod apikey;
pub mod certs;
pub mod cli;
pub mod exit;
pub mod explain;
pub mod home;
pub mod keys;
pub mod lint;
pub mod out;
pub mod plan;
pub mod ramp;
pub mod render;
pub mod revoke;
pub mod run;
pub mod set;
pub mod shadow;
pub mod sign;
pub mod status;
pub mod watch;
