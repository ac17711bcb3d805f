//! Who sends a request: every kind of credential, from the client to the backend.

mod api_keys;
mod client_certificates;
mod credentials_end;
mod opaque;
mod providers;
mod service_tokens;
mod sign_command;
mod signed;
mod split_cookies;
mod tokens;
mod webhooks;
mod websocket_tokens;
