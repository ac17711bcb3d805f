//! The sections of an edge file, one module for each.

mod answers;
mod backends;
pub(crate) mod canaries;
pub(crate) mod comparator;
pub(crate) mod destination;
mod hosts;
pub(crate) mod leases;
pub(crate) mod limits;
mod listeners;
mod policies;
mod reserved;
mod resilience;
pub(crate) mod services;
mod sessions;
pub(crate) mod signatures;
mod tenants;

use std::path::PathBuf;

use crate::fault::suggest;
use crate::node::Node;
use crate::reader::{self, Context};

pub use answers::MAX_ANSWER_BYTES;
pub(crate) use answers::answers;
pub(crate) use backends::backend;
pub(crate) use hosts::{check_host_names, host, host_name};
pub(crate) use listeners::{admin, authorizer, check_addresses, listener, stats};
pub(crate) use policies::{Stores, policy};
pub(crate) use reserved::reserved;
pub(crate) use services::service;
pub(crate) use sessions::{cookie_name, sessions};
pub(crate) use tenants::tenants;

pub(crate) fn choice<T: Copy>(
    context: Context<'_>,
    node: &Node,
    what: &str,
    choices: &[(&'static str, T)],
) -> Option<T> {
    let text = reader::text(context, node, what)?;
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let mend = suggest(text, choices.iter().map(|(name, _)| *name));
        context.faults.report(node.place, format!("{what} is {text:?}"), mend);
    }
    found
}

pub(crate) fn path(context: Context<'_>, node: &Node, what: &str) -> Option<PathBuf> {
    let text: String = reader::parsed(context, node, what, "write a path")?;
    if text.is_empty() {
        context.faults.report(node.place, format!("{what} is empty"), "write a path");
        return None;
    }
    Some(PathBuf::from(text))
}
