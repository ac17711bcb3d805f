//! The users service from outside: its router without a socket, on a raw socket, on both databases, as a process.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod activity;
mod app;
mod beside;
mod crossing;
mod documents;
mod grpc;
mod older;
mod process;
mod refusals;
mod removal;
mod routes;
mod stores;
mod tenants;
mod wire;
