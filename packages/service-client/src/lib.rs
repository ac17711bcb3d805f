//! For services of the platform that call each other through the edge's service listener.
//!
//! * [`Tokens`] gets a service token for the service's own key (`private_key_jwt`), keeps it, and renews it before it
//!   ends: one renewal at a time, at a moment that differs from replica to replica, and with the old token in use
//!   while a renewal fails.
//! * [`Callers`] names the service behind an incoming call: the edge signed it, for this service, just now.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! let me = service_client::Account {
//!     name: "reports".parse()?,
//!     key: "keys/reports.pem".into(),
//!     issuer: "https://auth.example.com".to_owned(),
//!     edge_url: "http://127.0.0.1:8081".to_owned(),
//!     tenant: None,
//! };
//! let tokens = service_client::Tokens::new(&me, Arc::new(clock::SystemClock))?;
//! let answer = tokens.get("/_/users/somebody").await?.send().await?;
//! # Ok(()) }
//! ```

mod callers;
mod tokens;

pub use callers::{Callers, NotACaller};
pub use tokens::{Account, SetupError, TokenError, Tokens};
