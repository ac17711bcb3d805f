//! The bytes of a message: bodies, heads, framing, names, sizes and long connections.

mod bodies;
mod bytes;
mod bytes_changed;
mod cookie_lines;
mod framing;
mod header_case;
mod older_clients;
mod request_ids;
mod set_cookie;
mod streams;
mod wire_limits;
