//! `cutover plan OLD NEW` shows what a change of an edge file means for requests.
//!
//! It compares meanings, not texts. Both edges' route tables divide the space of requests (host, path, method) into
//! regions ([`regions`]); neither edge distinguishes two requests of one region. Each region is looked up in both edges,
//! and every difference is reported: where its requests go, who may send them, how often. The path of a removed exact
//! route appears as taken by the broader route above it. A route that was only renamed does not appear. Settings that do
//! not belong to a route (reserved headers, trusted token issuers, cache times) are compared field by field ([`trust`]).
//! Rendering both edges shows which listeners lose their connections ([`connections`]).
//!
//! A change is *weaker* when it may let a caller pass who was refused before, or lets a header through that the edge
//! reserved. A difference that cannot be compared, such as another key file, counts as weaker: a person has to check it.

mod command;
mod connections;
mod cors;
mod found;
mod limits;
mod policy;
mod regions;
mod report;
mod requests;
mod tree;
mod trust;

use edge_config::Edge;

pub use command::{Arguments, main};
pub use found::{Finding, Plan, Protection, Region};

/// Compares two edges.
#[must_use]
pub fn plan(old: &Edge, new: &Edge) -> Plan {
    Plan {
        from: old.revision.0.clone(),
        to: new.revision.0.clone(),
        requests: requests::compare(old, new),
        edge: trust::compare(old, new).into_iter().chain(connections::compare(old, new)).collect(),
    }
}

#[cfg(test)]
mod field_tests;
#[cfg(test)]
mod quota_tests;
#[cfg(test)]
mod tests;
