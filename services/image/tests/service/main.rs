//! The image service from outside: its router without a socket, on a raw socket, and as a process.

#![expect(clippy::unwrap_used, reason = "tests")]

mod app;
mod crossing;
mod documents;
mod process;
mod reading;
mod stub;
mod uploading;
