//! The guard, the leases that it holds, and what ends them and the streams behind them.

mod draining;
mod flood_of_ends;
mod guard;
mod guard_module;
mod leases;
mod leases_guard;
mod leases_matrix;
mod leases_shares;
mod shares;
mod stream_ends;

// What the tests of `shares` start from, and those of `leases_shares` replace.
use shares::dev;
