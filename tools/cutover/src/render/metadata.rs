//! Names that the parts of the rendered configuration share.

/// The namespace of a route's metadata for the access log.
pub(super) const NAMESPACE: &str = "cutover";

/// The content type of the route's refusals; absent when its clients expect none.
pub(super) const CONTENT_TYPE: &str = "content_type";

/// Marks a refusal of the edge whose `content-type` still depends on the route. It never leaves the edge: the filter that
/// reads it removes it.
pub(super) const REFUSAL_MARK: &str = "x-cutover-bare";

/// Marks a refusal that Envoy made with the wording of a route, for the filter that finishes it and removes the mark.
pub(super) const WORDS_MARK: &str = "x-cutover-words";

/// The finish that the refusals of a route need; absent when they need none.
pub(super) const MARK: &str = "mark";

/// `client` where the client chose the backend.
pub(super) const CHOSEN_BY: &str = "chosen_by";

/// The `Allow` header of a 405.
pub(super) const ALLOW: &str = "allow";

/// The promise of https to browsers (HSTS); absent when the host makes none.
pub(super) const HSTS: &str = "hsts";

/// The `Vary` of answers that depend on the origin of a page; absent where none does.
pub(super) const VARY: &str = "vary";

/// The names of the HTTP filters, as routes refer to them.
pub(super) mod filter {
    pub(in crate::render) const GUARD: &str = "guard";
    pub(in crate::render) const WORDS: &str = "words";
    pub(in crate::render) const CORS: &str = "cors";
    pub(in crate::render) const SECOND_WALL: &str = "second-wall";
    pub(in crate::render) const AUTHORIZER: &str = "envoy.filters.http.ext_authz";
    pub(in crate::render) const KEEPER: &str = "keeper";
    pub(in crate::render) const REFUSAL: &str = "refusal";
    pub(in crate::render) const BODY: &str = "body-limit";
    pub(in crate::render) const DECIDED: &str = "decided";
    pub(in crate::render) const ROUTER: &str = "envoy.filters.http.router";
}
