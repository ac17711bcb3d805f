//! The mark of a request that was served by a lease before Envoy chose its route, and its removal.

use header_rules::config::EARLY_MARK;

use super::abi::{self, Buffer};
use super::stream;
use crate::host::{self, HostError};
use crate::note::NOTES;

/// Removes mark and notes from the current request, if it is marked: it was served early but takes the usual path
/// nevertheless, because Envoy has routes of another revision than the guard. The guard removes all other early changes.
pub(super) fn forget() -> Result<(), HostError> {
    let stream = stream("get_header")?;
    let mut value = Buffer::NONE;
    // SAFETY: the stream is alive while its hook runs, and there is a place for the value.
    let marked = unsafe {
        abi::envoy_dynamic_module_callback_http_get_header(
            stream,
            abi::REQUEST_HEADER,
            Buffer::of(EARLY_MARK.as_bytes()),
            &raw mut value,
            0,
            std::ptr::null_mut(),
        )
    };
    if marked { undo() } else { Ok(()) }
}

/// Removes mark and notes from the current request.
pub(super) fn undo() -> Result<(), HostError> {
    host::remove_request_header(EARLY_MARK.as_bytes())?;
    NOTES.iter().try_for_each(|note| host::remove_request_header(note.header.as_bytes()))
}
