//! The plain headers that the edge writes beside a signed identity.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Request};

use crate::caller::{IDENTITY, TENANT};

/// Returns the tenant in a signed identity, without a look at the signature; `None` when it has none, or is not a valid identity.
#[must_use]
pub fn tenant_in(identity: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(identity.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    Some(claims.get("tenantId")?.as_str()?.to_owned())
}

/// Adds the caller's tenant to a request with a signed identity, as the edge does. A tenant that the test wrote stays.
#[must_use]
pub fn as_the_edge<B>(mut request: Request<B>) -> Request<B> {
    let identity = request.headers().get(IDENTITY).and_then(|value| value.to_str().ok());
    if let Some(tenant) = identity.and_then(tenant_in).and_then(|tenant| HeaderValue::try_from(tenant).ok()) {
        request.headers_mut().entry(TENANT).or_insert(tenant);
    }
    request
}
