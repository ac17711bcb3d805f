//! The library service from outside: its router without a socket, on a raw socket, on both databases, as a process.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod app;
mod crossing;
mod documents;
mod grpc;
mod internal;
mod later;
mod older;
mod people;
mod preview;
mod process;
mod stores;
mod tastes;
