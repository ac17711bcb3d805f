//! The notifications service on both databases, with recording providers, as a router and as a process that is killed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod app;
mod crossing;
mod documents;
mod events;
mod jobs;
mod kills;
mod process;
mod providers;
mod removal;
mod sending;
