//! The auth service from outside: its router without a socket, on a raw socket, on both databases, as a
//! process. A small server plays the users service behind the edge, and trusts only this service's key.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod app;
mod cluster;
mod codes;
mod crossing;
mod documents;
mod ended;
mod exchange;
mod exchange_by_endpoint;
mod families;
mod floods;
mod forged;
mod generations;
mod mail_server;
mod mail_tls;
mod passkeys;
mod passkeys_refused;
mod process;
mod removal;
mod restored;
mod rotation;
mod service_tokens;
mod sessions;
mod shared_codes;
mod stores;
mod surface;
mod wire;
mod written;
