//! The one place with protobuf: ext_authz v3 as Envoy speaks it.

mod codec;
pub(crate) mod pieces;
mod protobuf;
pub mod question;
pub mod request;
pub mod response;
pub mod service;
