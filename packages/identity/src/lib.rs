//! Who is calling, in one vocabulary for the edge and for every backend.
//!
//! * [`headers`]: the names of the headers that carry identity behind the edge. No other crate spells them.
//! * [`id`]: ids of people, tenants and sessions, as texts.
//! * [`principal`]: [`Person`], [`Caller`] and their parts.
//! * [`assertion`]: the signed identity (`x-auth-identity`), a JWT that lives for a minute and names the
//!   backend that it is for. [`assertion::Signer`] makes one, [`assertion::Verifier`] verifies one.
//! * [`service_token`]: what a service shows on the service listener, issued by the auth service.
//! * [`keyset`]: key files on disk.
//!
//! The plain identity headers are for reading and for logs. A backend that decides anything verifies the
//! signed identity, because a header is only as good as the network it came over.

pub mod assertion;
mod audience;
mod form;
pub mod headers;
pub mod id;
mod in_time;
pub mod keyset;
pub mod principal;
pub mod service_token;

pub use audience::Audience;
pub use form::{FIXED, Form};
pub use id::{InvalidId, SessionId, SubjectId, TenantId};
pub use principal::{Caller, Client, ClientName, Person, Role, Service, ServiceName};
