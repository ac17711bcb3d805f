//! Names that the parts of the rendered configuration share.

/// The namespace of what a route tells the access log.
pub(super) const NAMESPACE: &str = "cutover";

/// What a refusal of the route's is sent as; absent when its clients expect no content type.
pub(super) const CONTENT_TYPE: &str = "content_type";

/// Marks a refusal of the edge's own whose `content-type` the route still has to settle. It never leaves the
/// edge: the filter that reads it removes it.
pub(super) const REFUSAL_MARK: &str = "x-cutover-bare";

/// The names of the HTTP filters, as routes refer to them.
pub(super) mod filter {
    pub(in crate::render) const GUARD: &str = "guard";
    pub(in crate::render) const SECOND_WALL: &str = "second-wall";
    pub(in crate::render) const AUTHORIZER: &str = "envoy.filters.http.ext_authz";
    pub(in crate::render) const KEEPER: &str = "keeper";
    pub(in crate::render) const REFUSAL: &str = "refusal";
    pub(in crate::render) const DECIDED: &str = "decided";
    pub(in crate::render) const ROUTER: &str = "envoy.filters.http.router";
}
