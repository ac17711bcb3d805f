//! Identifies the caller: turns the credential in a request into a verified caller.
//!
//! [`presented`] has the values that the later stages receive, [`fault`] every reason for which a credential
//! is refused.
//!
//! * [`session`] verifies people by an access token.
//! * [`cookie`] and [`bearer`] find a credential in the headers, each by one written rule.
//! * [`token`] reads and checks an access token, [`keys`] holds the public keys, [`cache`] remembers which
//!   tokens verified.
//! * [`issuers`] chooses among several issuers, each with its own keys.
//! * [`opaque`] verifies tokens that only their issuer can describe.
//! * [`api_key`] verifies customers' programs, [`legacy`] people whose session the legacy backend opened.
//! * [`queried`] asks another program about sessions, and remembers its answers; [`places`] decides which requests
//!   may ask.
//! * [`accept`] is the rule for a request that carries more than one of these.
//! * [`recognise`] finds the kind of a session without verifying it, for public routes.
//! * [`assertion`] verifies the platform's own services, [`signed`] programs that sign each request.
//!
//! *Not offered*, *verified* and *failed* stay apart to the end ([`presented::Presented`]): a request without
//!   a credential is anonymous, a request with a bad one is refused.

pub mod accept;
pub mod api_key;
pub mod assertion;
pub mod bearer;
pub mod cache;
pub mod certificate;
pub mod cookie;
pub mod fault;
pub mod issuers;
pub mod keys;
pub mod legacy;
pub mod opaque;
pub mod places;
pub mod presented;
pub mod queried;
pub mod recognise;
pub mod session;
pub mod signed;
pub mod token;
pub mod webhook;
