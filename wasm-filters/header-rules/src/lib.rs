//! What the guard does to a request, as a pure library: bytes in, edits out. It knows no host.

pub mod config;
