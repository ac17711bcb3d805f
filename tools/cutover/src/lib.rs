//! The `cutover` command line, as a library so that tests can call what the commands call.
//!
//! * [`lint`]: check an edge file.
//! * [`render`]: an edge becomes Envoy's configuration.
//! * [`keys`]: the keys that an edge signs with.
//! * [`revoke`]: sessions that end before their tokens expire.
//! * [`apikey`]: keys of clients.
//! * [`explain`]: why a request is answered as it is.
//! * [`agreement`]: whether the edge and the backends refuse the same people.
//! * [`shadow`]: what the comparator found.
//! * [`run`]: the whole edge under one supervisor.

pub mod agreement;
pub mod apikey;
pub mod cli;
pub mod explain;
pub mod keys;
pub mod lint;
pub mod render;
pub mod revoke;
pub mod run;
pub mod shadow;
pub mod sign;
