//! Notes about a request outside its headers, for Envoy and the access log.

/// One note about a request outside its headers.
pub(crate) struct Note {
    /// Filter state, which no header can reach.
    pub(crate) state: &'static str,
    /// Before there is filter state (native form, early): a header with a name that no client can send, because HTTP has no
    /// header that begins with a colon, and that Envoy sends to no HTTP/1.1 backend.
    #[cfg_attr(target_family = "wasm", expect(dead_code, reason = "there is always filter state"))]
    pub(crate) header: &'static str,
}

pub(crate) const LEASE_OF: Note = Note { state: "wasm.cutover.lease_of", header: ":cutover-lease-of" };
pub(crate) const REASON: Note = Note { state: "wasm.cutover.reason", header: ":cutover-reason" };
pub(crate) const SUBJECT: Note = Note { state: "wasm.cutover.subject", header: ":cutover-subject" };
pub(crate) const SESSION: Note = Note { state: "wasm.cutover.session", header: ":cutover-session" };
pub(crate) const TENANT: Note = Note { state: "wasm.cutover.tenant", header: ":cutover-tenant" };
/// The client's address, on a listener with trusted proxies.
pub(crate) const CLIENT: Note = Note { state: "wasm.cutover.client", header: ":cutover-client" };
/// The id that the client sent, where another one replaces it.
pub(crate) const RECEIVED_ID: Note =
    Note { state: "wasm.cutover.received_id", header: ":cutover-received-id" };
/// The note that makes Envoy skip the authorizer; its value is the `decision` in the access log.
pub(crate) const DECISION: Note = Note { state: "wasm.cutover.decision", header: ":cutover-decision" };

/// The page of another origin that may read the answer, and how: the values of `access-control-allow-origin`,
/// `-allow-credentials` and `-expose-headers`. A request with them is never served early, so they need no header.
pub(crate) const READER_ORIGIN: Note =
    Note { state: "wasm.cutover.cors_origin", header: ":cutover-cors-origin" };
pub(crate) const READER_CREDENTIALS: Note =
    Note { state: "wasm.cutover.cors_credentials", header: ":cutover-cors-credentials" };
pub(crate) const READER_EXPOSE: Note =
    Note { state: "wasm.cutover.cors_expose", header: ":cutover-cors-expose" };

/// `1` where a person opens a page and the policy has a sign-in page: Envoy writes it into the check of the authorizer. A request
/// that is served early needs no check.
pub(crate) const NAVIGATION: Note = Note { state: "wasm.cutover.navigation", header: ":cutover-navigation" };

/// All notes that a request may have before there is filter state.
#[cfg(not(target_family = "wasm"))]
pub(crate) const NOTES: [&Note; 8] =
    [&LEASE_OF, &REASON, &SUBJECT, &SESSION, &TENANT, &CLIENT, &RECEIVED_ID, &DECISION];
