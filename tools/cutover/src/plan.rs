//! `cutover plan OLD NEW`: what a change of an edge file means for requests.
//!
//! It compares meanings, not texts. Both edges' route tables cut the space of requests (host, path, method) into
//! regions inside which neither of them tells two requests apart ([`regions`]); each region is looked up in both,
//! and what differs is told: where its requests go, who may send them, how often. An exact route that was removed
//! shows as its path falling to the broader route above it; a renamed route that does the same shows not at all.
//! What is not about a route (reserved headers, whose tokens are believed, how stale an answer may be) is compared
//! field by field ([`trust`]). Which listeners lose their connections is found by rendering both ([`connections`]).
//!
//! *Weaker* is whatever may let somebody pass who was refused before, or lets a header through that the edge kept
//! for itself. What cannot be compared, such as other keys, counts as weaker: a person has to look.

mod command;
mod connections;
mod found;
mod policy;
mod regions;
mod report;
mod requests;
mod trust;

use edge_config::Edge;

pub use command::{Arguments, main};
pub use found::{Finding, Plan, Region, Standing};

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
mod tests;
