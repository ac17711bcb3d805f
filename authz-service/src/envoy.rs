//! The one place with protobuf: ext_authz v3 as Envoy speaks it.

pub mod request;
pub mod response;
pub mod service;
