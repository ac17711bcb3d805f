//! The sections of an edge file, one module for each.

mod answers;
mod authorizer;
mod backends;
mod browser_origins;
pub(crate) mod canaries;
pub(crate) mod comparator;
pub(crate) mod credentials;
pub(crate) mod destination;
mod hosts;
pub(crate) mod identity;
mod issuers;
pub(crate) mod kinds;
pub(crate) mod leases;
pub(crate) mod limits;
mod listeners;
pub(crate) mod paths;
mod policies;
mod reserved;
mod resilience;
pub(crate) mod services;
mod sessions;
pub(crate) mod signatures;
mod tenants;
pub(crate) mod webhooks;

pub use answers::MAX_ANSWER_BYTES;
pub(crate) use answers::{answers, check_header_case, uses};
pub(crate) use authorizer::authorizer;
pub(crate) use backends::backend;
pub(crate) use browser_origins::browser_origins;
pub(crate) use hosts::{check_host_names, exposure, host, host_name};
pub(crate) use listeners::{admin, check_addresses, listener, stats};
pub(crate) use policies::{Stores, policy};
pub(crate) use reserved::reserved;
pub(crate) use services::service;
pub(crate) use sessions::sessions;
pub(crate) use tenants::tenants;
