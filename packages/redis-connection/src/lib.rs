//! Connects to Redis, for every program here: as one server, behind sentinels, or as a cluster.
//!
//! | address | what it names |
//! |---|---|
//! | `redis://USER:PASSWORD@HOST:6379/DATABASE` | one server |
//! | `redis+sentinel://USER:PASSWORD@HOST:26379,HOST:26379/NAME/DATABASE` | the primary that sentinels call NAME |
//! | `redis+cluster://USER:PASSWORD@HOST:6379,HOST:6379` | a cluster, by some of its nodes |
//!
//! `rediss` instead of `redis` is TLS. Parameters behind `?` name files: `ca`, `certificate` and `key`,
//! `password_file`; `sentinel_user`, `sentinel_password` and `sentinel_password_file` are for the sentinels. A file is read
//! again for each new connection.
//!
//! * [`Address`]: where a Redis is. [`Connection`]: opens itself, and opens itself again after a failover.
//! * [`Primaries`]: the servers that take writes, one by one. [`Subscription`]: what all of them publish.

mod access;
mod address;
mod connection;
mod fault;
mod hosts;
mod open;
mod primaries;
mod subscription;

pub use address::Address;
pub use connection::{Bounds, Connection};
pub use fault::UnusableAddress;
pub use primaries::{Layout, Primaries};
pub use subscription::{Messages, Pulse, Subscription};
