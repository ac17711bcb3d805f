//! Names that the parts of the rendered configuration share.

/// The namespace of what a route tells the access log.
pub(super) const NAMESPACE: &str = "cutover";

/// What a refusal of the route's is sent as; absent when its clients expect no content type.
pub(super) const CONTENT_TYPE: &str = "content_type";

/// Marks a refusal of the edge's own whose `content-type` the route still has to settle. It never leaves the
/// edge: the filter that reads it removes it.
pub(super) const REFUSAL_MARK: &str = "x-cutover-bare";

/// Marks a refusal that Envoy made in the words of a route, for the filter that finishes it and removes the mark.
pub(super) const WORDS_MARK: &str = "x-cutover-words";

/// Which finish the refusals of a route need; absent when none.
pub(super) const MARK: &str = "mark";

/// `Allow` of a 405.
pub(super) const ALLOW: &str = "allow";

/// The names of the HTTP filters, as routes refer to them.
pub(super) mod filter {
    pub(in crate::render) const GUARD: &str = "guard";
    pub(in crate::render) const WORDS: &str = "words";
    pub(in crate::render) const SECOND_WALL: &str = "second-wall";
    pub(in crate::render) const AUTHORIZER: &str = "envoy.filters.http.ext_authz";
    pub(in crate::render) const KEEPER: &str = "keeper";
    pub(in crate::render) const REFUSAL: &str = "refusal";
    pub(in crate::render) const DECIDED: &str = "decided";
    pub(in crate::render) const ROUTER: &str = "envoy.filters.http.router";
}
