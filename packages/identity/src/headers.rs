//! Names of the headers that the edge writes and a backend may trust (all lower case, as HTTP/2 sends them).
//!
//! Every one of them is *reserved*: the guard removes what a client sends under these names, in any spelling,
//! before the edge writes its own.

/// The id of the request: a UUID or ULID (a client's own when it is valid, otherwise a new UUIDv7).
pub const REQUEST_ID: &str = "x-request-id";
/// `1` on everything that came through the edge.
pub const GATEWAY: &str = "x-madome-gw";
/// `1` on a public route: no caller was authenticated, whatever cookies the request carries.
pub const PUBLIC: &str = "x-madome-public";
/// Subject: the person's UUID, or the name of a service.
pub const SUBJECT: &str = "x-madome-auth-sub";
/// Scopes, separated by single spaces (RFC 6749 §3.3); absent when there are none.
pub const SCOPE: &str = "x-madome-auth-scope";
/// Session id; absent for a service.
pub const SESSION: &str = "x-madome-auth-sid";
/// Role as a decimal integer (0 normal, 1 developer, 2 bot); absent for a service.
pub const ROLE: &str = "x-madome-auth-role";
/// Tenant UUID; absent for a service that acts for no tenant.
pub const TENANT: &str = "x-tenant-id";
/// The kind of the caller's session, on a route that chooses its backend by it (`to: { legacy-session: legacy }`). Envoy
/// reads it and removes it, so no backend sees it.
pub const KIND: &str = "x-madome-auth-kind";
/// The signed identity, see [`crate::assertion`].
pub const IDENTITY: &str = "x-madome-identity";
/// Names the route of a copied request. Envoy writes it on the copy for the comparator alone, over any
/// existing value; the comparator removes it, so no backend sees it.
pub const SHADOW_ROUTE: &str = "x-madome-shadow-route";

/// Every header of this module but the request id, which is settled instead of reserved, and the
/// comparator's, which is on copies alone.
pub const RESERVED: [&str; 9] = [GATEWAY, PUBLIC, SUBJECT, SCOPE, SESSION, ROLE, TENANT, KIND, IDENTITY];
