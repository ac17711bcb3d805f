//! The edge file, the single source of truth about an edge.
//!
//! * [`edge`]: the typed, valid [`Edge`].

pub mod edge;

pub use edge::Edge;
