//! Moves between two real servers: the whole way, an end at every point, and damage that has to be found.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod clearing;
mod damage;
mod ends;
mod legacy;
mod refusals;
mod served;
mod stage;
mod varied;
