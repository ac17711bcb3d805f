//! The authorizer as Envoy sees it: a real gRPC server on a free port, driven by a real client.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop"
)]

mod acl;
mod admin;
mod api_keys;
mod binary;
mod cookies;
mod encrypted;
mod failover;
mod faults;
mod floods;
mod hanging;
mod identities;
mod introspection;
mod issuers;
mod key_sources;
mod kit;
mod leases;
mod legacy;
mod limits;
mod matches;
mod matrix;
mod neighbours;
mod outages;
mod providers;
mod pushed;
mod quotas;
mod replicas;
mod resets;
mod services;
mod shapes;
mod spans;
mod strangers;
mod tenants;
mod tokens;
