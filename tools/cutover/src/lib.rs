//! The `cutover` command line, as a library so that tests can call what the commands call.
//!
//! * [`lint`]: checks an edge file.
//! * [`render`]: turns an edge file into Envoy's configuration.
//! * [`status`]: shows where routes go and how the backends perform.
//! * [`ramp`]: raises a backend's share of a route step by step, and takes it back when the backend is worse.
//! * [`watch`]: puts a changed edge file into force, as a whole or not at all.
//! * [`access_log`]: reads what a line of the access log means for a backend.
//! * [`admin`]: queries the admin interfaces of running programs.
//! * [`keys`]: makes the keys that an edge signs with.
//! * [`revoke`]: ends sessions before their tokens expire.
//! * [`apikey`]: makes, lists and revokes the API keys of clients.
//! * [`explain`]: explains why a request gets its answer.
//! * [`answers`]: compares the words of the edge's refusals with the legacy backend's.
//! * [`contract`]: records what a backend answers, and compares it byte for byte with what another one does.
//! * [`agreement`]: compares whom the edge and the backends refuse.
//! * [`plan`]: shows what a change of an edge file means for requests.
//! * [`set`]: changes a route's shares in the edge file itself.
//! * [`shadow`]: shows what the comparator found.
//! * [`sign`]: signs one request.
//! * [`introduce`]: introduces a service, for an operator's call of another one.
//! * [`schema`]: prints what an edge file may say.
//! * [`init`]: writes a first edge file.
//! * [`import`]: turns the routes of another program into an edge file.
//! * [`annotate`]: prints what a check found in the formats of CI systems.
//! * [`out`]: prints for all of them.
//! * [`run`]: runs the whole edge under one supervisor.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod access_log;
pub mod admin;
pub mod agreement;
pub mod annotate;
pub mod answers;
pub mod apikey;
pub mod certs;
pub mod cli;
pub mod contract;
mod draft;
pub mod exit;
pub mod explain;
pub mod home;
pub mod import;
pub mod init;
pub mod introduce;
pub mod keys;
pub mod lint;
pub mod new_service;
pub mod out;
pub mod plan;
pub mod ramp;
pub mod render;
pub mod revoke;
pub mod run;
pub mod schema;
pub mod set;
pub mod shadow;
pub mod sign;
pub mod status;
mod table;
pub mod watch;
mod whole_file;
