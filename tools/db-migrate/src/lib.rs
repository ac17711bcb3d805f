//! Moves a PostgreSQL database, or a tree of files, from a legacy system to its successor, and proves that nothing changed
//! on the way. docs/data.md is its manual.
//!
//! A move of a database, in the order of its steps:
//!
//! * [`place`]: the two databases, and how programs of PostgreSQL reach them without a password in their arguments.
//! * [`identity`]: whether both are one database.
//! * [`preparation`]: what has to be true before anything changes.
//! * [`freeze`]: the source refuses writes until the move ends.
//! * [`client`]: `pg_dump` and `pg_restore`.
//! * [`parity`]: differences between the two databases: [`catalogue`] compares definitions, [`content`] rows and sequences.
//! * [`application`]: checks of the application's own, also after its migrations ran on a copy.
//! * [`moving`]: the steps, each recorded in [`state`]; [`rollback`] undoes them, and [`recreation`] gives back an
//!   empty target.
//!
//! [`tree`] copies and compares files. [`progress`] writes what happens, [`failure`] has the reasons to stop.

pub mod application;
pub mod catalogue;
pub mod cli;
pub mod client;
pub mod content;
pub mod digest;
pub mod failure;
pub mod freeze;
pub mod identity;
pub mod moving;
pub mod parity;
pub mod place;
pub mod preparation;
pub mod progress;
pub mod recreation;
pub mod rollback;
pub mod state;
pub mod tree;
