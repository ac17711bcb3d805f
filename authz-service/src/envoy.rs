//! Speaks Envoy's ext_authz v3. No other module uses protobuf.

mod codec;
pub(crate) mod pieces;
mod protobuf;
pub mod question;
pub mod request;
pub mod response;
pub mod service;
