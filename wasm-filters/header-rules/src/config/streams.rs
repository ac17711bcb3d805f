//! The guard's configuration of open streams.

use serde::{Deserialize, Serialize};

/// The bounds of streams that end with their session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamBounds {
    /// The most open streams.
    pub most: u32,
    /// How long a stream lives on while the authorizer cannot judge it, in milliseconds.
    pub unjudged_ms: u64,
}
