//! API keys: programs of customers, each acting as a *client* of one tenant.
//!
//! * [`text`]: the key that the client holds, `ck_<id>_<secret>`. It is shown once, when it is made, and stored nowhere.
//!   An imported key has the text that its first issuer gave it.
//! * [`record`]: what the edge holds instead, a hash and what the key is good for.
//! * [`table`]: every record of a file, found in one lookup by key id, or by hash if the key was imported.
//! * [`file`](mod@file): writing that file so that a reader sees the old one or the new one, never half of one.
//!
//! ## Why a plain SHA-256 and not argon2
//!
//! Slow hashes protect passwords, because people choose passwords from a small set that an attacker can walk
//! through. The secret of a key is 256 bits from the system's random source: walking through half of 2^256 is
//! out of reach at any speed, so slowness would protect nothing, and would hand everybody who sends made-up
//! keys a way to burn 64 MiB and 20 ms of the edge per request. The hash covers the whole text, id included,
//! so a record cannot be moved under another id.
//!
//! An imported key is as strong as its first issuer made it. `cutover apikey import` refuses plain keys that can be
//! guessed because they are short.

pub mod file;
pub mod record;
pub mod table;
pub mod text;

pub use record::{Holder, Record};
pub use table::{Found, KeyFault, Table};
pub use text::{ApiKey, KeyHash, KeyId, MalformedKey, Prefix};
