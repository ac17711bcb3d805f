//! How an edge is started, changed, watched and explained.

mod acme;
mod anywhere;
mod explain;
mod explain_credentials;
mod observing;
mod ramping;
mod reload;
mod rendering;
mod running;
mod secrets;
mod shadow;
mod tracing;
mod watching;
