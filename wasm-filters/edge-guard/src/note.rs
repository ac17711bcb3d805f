//! What is noted about a request beside its headers, for Envoy and the access log.

/// One thing that is told of a request beside its headers.
pub(crate) struct Note {
    /// Filter state, which no header can reach.
    pub(crate) state: &'static str,
    /// Before there is filter state (native form, early): a header by a name that no client can send, because no HTTP
    /// has a header with a colon in front, and that Envoy sends to no backend of HTTP/1.1.
    #[cfg_attr(target_family = "wasm", expect(dead_code, reason = "there is always filter state"))]
    pub(crate) header: &'static str,
}

pub(crate) const LEASE_OF: Note = Note { state: "wasm.cutover.lease_of", header: ":cutover-lease-of" };
pub(crate) const REASON: Note = Note { state: "wasm.cutover.reason", header: ":cutover-reason" };
pub(crate) const SUBJECT: Note = Note { state: "wasm.cutover.subject", header: ":cutover-subject" };
pub(crate) const SESSION: Note = Note { state: "wasm.cutover.session", header: ":cutover-session" };
pub(crate) const TENANT: Note = Note { state: "wasm.cutover.tenant", header: ":cutover-tenant" };
/// What makes Envoy pass over the authorizer; its value is what the access log calls the decision.
pub(crate) const DECISION: Note = Note { state: "wasm.cutover.decision", header: ":cutover-decision" };

/// Everything that is noted.
#[cfg(not(target_family = "wasm"))]
pub(crate) const NOTES: [&Note; 6] = [&LEASE_OF, &REASON, &SUBJECT, &SESSION, &TENANT, &DECISION];
