//! The authorizer: Envoy queries it, over ext_authz v3, whether a request may pass and for which tenant.
//!
//! From the ground up (`layers.txt` beside `Cargo.toml` has the order, and `make check` enforces it):
//!
//! * The vocabulary that several stages share: [`check`] (the check, free of protobuf), [`failure`], [`who`],
//!   [`ended`], [`shadow`], and [`snapshot`] (the edge file in the form that decisions need). The authorizer
//!   never matches a path itself: it looks up the route that Envoy matched, so the two cannot disagree.
//! * [`source`]: external state, polled by threads or pushed by Redis. Sources know no stage.
//! * The stages: [`credential`], [`session`], [`tenant`], [`policy`], [`limit`], [`identity_headers`],
//!   [`lease`]. Each names its own faults, and requires the value that only the stage before it can make.
//! * [`decision`] joins the faults, [`verdict`] is a finished decision, and [`authorizer`] is the chain
//!   itself: it lists the stages in their order.
//! * [`push`] and [`reload`] change that state while decisions go on.
//! * [`observe`]: metrics, log, recent decisions, audit and spans. No stage imports an observer.
//! * The entrances: [`envoy`] answers checks, [`feed`] reports invalidations of leases to the edge, [`admin`]
//!   shows the state.
//! * [`settings`], [`startup`] and [`server`] assemble the program.
//!
//! Almost all state is in memory. Only a tenant missing from the cache, a session of the legacy backend, a
//! nonce and a limit that replicas share need a query to another program.

pub mod admin;
pub mod authorizer;
pub mod backoff;
pub mod check;
pub mod credential;
pub mod decision;
pub mod ended;
pub mod envoy;
pub mod failure;
pub mod feed;
pub mod id_key;
pub mod identity_headers;
pub mod lease;
pub mod limit;
pub mod network;
pub mod observe;
pub mod outbound;
pub mod policy;
pub mod push;
pub mod reload;
pub mod server;
pub mod session;
pub mod settings;
pub mod shadow;
pub mod shutdown;
pub mod snapshot;
pub mod source;
pub mod startup;
pub mod streams;
pub mod telemetry;
pub mod tenant;
pub mod tls;
pub mod verdict;
pub mod who;
