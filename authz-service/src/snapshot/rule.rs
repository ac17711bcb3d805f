//! A limit of the edge file, as a route carries it.

use std::sync::Arc;

use edge_config::edge::Limit;

/// One limit and its name.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in the edge file.
    pub name: Arc<str>,
    /// Its rate and its key.
    pub limit: Limit,
}
