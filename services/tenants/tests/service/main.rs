//! The tenants service from outside: its router without a socket, its workers, its gRPC port, as a process, on both databases.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod app;
mod crossing;
mod documents;
mod grpc;
mod kills;
mod lost_preparation;
mod metrics;
mod news;
mod offboarding;
mod process;
mod rebuild;
mod refusals;
mod routes;
mod steps;
mod workers;
