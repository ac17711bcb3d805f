//! Values of tenants, kept in memory and in Redis, so that their source is read once.
//!
//! A read goes from memory to Redis to the source, and back:
//!
//! | what happens | then |
//! |---|---|
//! | many callers read a missing key at once | one of them reads Redis and the source, the others get its value |
//! | the source has no value | that is remembered too, for a shorter time ([`Kind::missing`]) |
//! | a value changes ([`Cache::invalidate`]) | here it is gone at once, in Redis before the call returns, elsewhere soon |
//! | a value was being read meanwhile | its reader gets it, and it is not kept |
//! | Redis is dead or slow | at most [`Bounds::loads`] callers read the source; Redis is tried once a second |
//! | the connection for messages is lost | values live for [`Kind::memory`] at most; memory is emptied when it is back |
//!
//! * [`Key`]: no key without a tenant. [`Kind`]: how long values of one kind live. [`Scope`]: what is invalidated.
//! * [`Cache`]: the tiers. [`Pool`]: bounds the use of a source, and finds callers that keep their place for too long.
//! * [`Metrics`]: what happened, for Prometheus.

mod ended;
mod key;
mod metrics;
mod pool;
mod shared;
mod tiers;

pub use key::{InvalidKey, Key, Kind, Scope};
pub use metrics::Metrics;
pub use pool::{Checkout, Exhausted, Pool};
pub use tiers::{Bounds, Cache, LoadError};
