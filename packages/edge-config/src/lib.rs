//! Reads the edge file, the single source of truth about an edge.
//!
//! [`load`] returns either the whole, valid [`Edge`] or every fault at once. Reading passes through these modules: `node`
//! (YAML with places) → `reader` (typed; reports a fault and continues) → `sections` and `routes` (the rules of the file)
//! → [`edge`] (the result).
//!
//! The language cannot express a path rewrite, a body transform or a cookie edit: there is no field for one.

mod declared;
pub mod describe;
pub mod edge;
mod fault;
mod load;
mod matching;
mod node;
mod notes;
mod reader;
mod routes;
mod sections;
mod unsaid;

pub use edge::Edge;
pub use fault::{Fault, Faults, Place, Severity, suggest, without_credentials};
pub use load::{inspect, inspect_text, load, parse, revision};
pub use matching::{Match, closed_paths, host_of, route_of};
pub use reader::{DEFAULT_HOME, Environment};
pub use sections::{MAX_ANSWER_BYTES, is_host_name, is_origin};
