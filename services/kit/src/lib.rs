//! The shared base of the services behind the edge, so that a service contains only its own subject.
//!
//! * [`base`]: the keys, the database and the trusted edge of a service.
//! * [`settings`]: the environment (as an argument), the command line that mirrors it, all faults at once.
//! * [`startup`]: from `main` to a served socket and back: bind, ready line, SIGTERM, bounded drain.
//! * [`telemetry`]: JSON logs, with the request id on each line.
//! * [`surface`]: the layers around the routes: byte-exact 404s, time and size limits, probes.
//! * [`metrics`]: what Prometheus reads at `GET /metrics`.
//! * [`caller`]: the caller, proved by the edge's signature. Plain identity headers are never trusted.
//! * [`tenant`]: the proved tenant that every query of tenant-owned data takes.
//! * [`answer`]: answers as the contract defines them, bare text without a content type.
//! * [`body`]: a request's body, of bounded size.
//! * [`generation`]: the older or the later surface of the API.
//! * [`cookies`]: reading cookies by the same rule as the edge.
//! * [`email`]: valid addresses. [`shown`]: the one form of text that other people see.
//! * [`disk`]: whether a path or the disk caused an error of the system.
//! * [`migrating`]: the command that brings the tables up to date.
//! * [`openapi`]: the documents of a service's routes, made from their code.
//! * [`grpc`]: calls in gRPC from the other services. [`peer`]: calls of the other services, through the edge.
//! * [`removal`]: the removal of a tenant's data, prepared before it is done.
//! * [`store`]: SQLite or PostgreSQL behind one connection type.
//! * [`work`]: what runs beside the routes, and how it ends.

pub mod answer;
pub mod base;
pub mod body;
pub mod caller;
pub mod cookies;
pub mod disk;
pub mod email;
pub mod generation;
pub mod grpc;
pub mod id;
mod member;
pub mod metrics;
pub mod migrating;
pub mod openapi;
pub mod peer;
mod ready;
pub mod removal;
pub mod settings;
pub mod shown;
pub mod startup;
pub mod store;
pub mod surface;
pub mod telemetry;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
mod unread;
pub mod work;

pub use caller::{
    Caller, Client, Gate, Person, PlatformService, ServiceCaller, SessionExpiry, TenantService,
};
pub use id::{SessionId, SubjectId, TenantId};
pub use member::Member;
pub use metrics::Metrics;
pub use startup::{Service, StartError};
pub use tenant::{Reach, VerifiedTenant};
