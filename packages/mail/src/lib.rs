//! Sends letters through Amazon SES (API v2, `SendEmail`).
//!
//! * [`Ses`]: the account, the region and the sender.
//! * [`Letter`]: what is sent. [`Sent`]: what is known afterwards.
//! * [`Keys`]: the access key, from a file.
//!
//! SES has no idempotency key: a letter whose answer was lost may have been sent ([`Sent::Unknown`]), and the caller decides.

mod keys;
mod ses;
mod signature;

pub use keys::{Keys, UnusableKeys};
pub use ses::{Letter, Sent, Ses};
