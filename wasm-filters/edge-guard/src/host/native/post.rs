//! Sends a poll to the authorizer, and reads the body of its answer.

use super::abi::{self, Buffer, Header};
use super::{check, configuration};
use crate::feed_client::CLUSTER;
use crate::host::HostError;

/// Sends `body` by POST, for the current configuration. The answer comes with the returned token.
pub(super) fn post(path: &str, body: &str, timeout_ms: u32) -> Result<u64, HostError> {
    let plugin = configuration("http_callout")?;
    let length = body.len().to_string();
    let mut headers = [
        Header::of(":method", b"POST"),
        Header::of(":path", path.as_bytes()),
        Header::of("host", CLUSTER.as_bytes()),
        Header::of("content-type", b"text/plain"),
        Header::of("content-length", length.as_bytes()),
    ];
    let mut token = 0;
    // SAFETY: the configuration is alive while its hook runs; everything else is copied, and there is a place for the
    // token.
    check("http_callout", unsafe {
        abi::envoy_dynamic_module_callback_http_filter_config_http_callout(
            plugin,
            &raw mut token,
            Buffer::of(CLUSTER.as_bytes()),
            headers.as_mut_ptr(),
            headers.len(),
            Buffer::of(body.as_bytes()),
            u64::from(timeout_ms),
        )
    })?;
    Ok(token)
}

/// The body of an answer in `chunks`, if it is a `good` one of at most `most` bytes.
pub(super) fn body(good: bool, chunks: &[Buffer], most: usize) -> Option<Vec<u8>> {
    let size = chunks.iter().fold(0_usize, |size, chunk| size.saturating_add(chunk.length));
    // SAFETY: Envoy's, valid while its hook runs, and copied at once.
    (good && size <= most).then(|| {
        chunks.iter().flat_map(|chunk| unsafe { chunk.bytes() }.iter().copied()).collect::<Vec<u8>>()
    })
}
