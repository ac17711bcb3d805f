//! The authorizer: Envoy asks it, over ext_authz v3, whether a request may pass and for which tenant.
//!
//! One request's way, top to bottom, each stage with its module:
//!
//! 1. [`envoy::request`] reads the wire into a [`check::CheckInput`]. Protobuf ends here.
//! 2. [`snapshot`] finds the route that Envoy matched. The authorizer never matches a path itself, so the two
//!    cannot disagree.
//! 3. [`credential`] says who is calling: not offered, verified and failed are three different values.
//! 4. [`session`] refuses a session that was revoked, [`tenant`] one whose tenant is not active.
//! 5. [`policy`] says whether they may.
//! 6. [`limit`] says how often.
//! 7. [`lease`] says whether the edge may use the answer again, and tells it when that is over.
//! 8. [`identity_headers`] writes what the backend will know about the caller.
//! 9. [`envoy::response`] turns the [`decision::Decision`] back into wire.
//!
//! Every stage takes the value that only the stage before it can make, so none can be skipped.
//! [`authorizer`] is that chain. It takes the time as an argument. Nearly everything that it asks is in memory,
//! kept fresh by [`source`] threads and by what [`push`] brings; a tenant that is not is asked for. [`startup`] assembles, [`server`] serves, [`admin`] tells.

pub mod admin;
pub mod authorizer;
pub mod check;
pub mod credential;
pub mod decision;
pub mod ended;
pub mod envoy;
pub mod failure;
pub mod feed;
pub mod identity_headers;
pub mod lease;
pub mod limit;
pub mod network;
pub mod observe;
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
pub mod telemetry;
pub mod tenant;
pub mod verdict;
pub mod who;
