//! Events on real databases and a real broker, with everything killed once.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod broker;
mod fixture;
mod growth;
mod handling;
mod kills;
mod leases;
mod outbox;
mod publishing;
mod streams;
