//! Header names that no edge file chooses. An edge file names the headers that tell a backend who calls (`identity`).
//!
//! Every name that begins with [`INTERNAL`] is a mark between the parts of the edge. The guard removes such a header from
//! every request, and Envoy removes the edge's own before the backend, so no client writes one and no backend sees one.

/// The id of the request where the edge file names no other header: a UUID or ULID (a client's own when it is valid,
/// otherwise a new UUIDv7). Most proxies and libraries know this name.
pub const REQUEST_ID: &str = "x-request-id";

/// The beginning of every mark of the edge.
pub const INTERNAL: &str = "x-cutover-";

/// `1` on a request that the authorizer allowed. Envoy answers 403 to a request that needs a decision and lacks it.
pub const DECIDED: &str = "x-cutover-decided";

/// The kind of the caller's session, on a route that chooses its backend by it (`to: { legacy-session: legacy }`).
pub const KIND: &str = "x-cutover-kind";

/// The caller's session, or the subject of a caller without one, on a route whose shares stick to the session, where
/// backends do not receive both under names of their own.
pub const SESSION: &str = "x-cutover-session";

/// The caller's subject, on a route whose shares stick to it, where backends do not receive it under a name of its own.
pub const SUBJECT: &str = "x-cutover-subject";

/// The caller's tenant, on a route that chooses its backend by it, where backends do not receive it under a name of its
/// own.
pub const TENANT: &str = "x-cutover-tenant";

/// `1` on a request for a page that a browser opens, on a route whose policy has a sign-in page. Envoy writes it from the
/// guard's note, after it has removed any other.
pub const NAVIGATION: &str = "x-cutover-navigation";

/// The route of a copied request. Envoy writes it on the copy for the comparator, which removes it.
pub const SHADOW_ROUTE: &str = "x-cutover-shadow-route";
