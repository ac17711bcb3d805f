//! The filter that refuses a request whose body is longer than its route allows. It counts and stores nothing: a body is passed
//! on as it comes.

use crate::host::{self, Action, HostError};

pub(crate) struct BodyLimit {
    /// `cutover_guard_bodies_refused`. Requests with a body that was too long.
    refused: u32,
}

impl BodyLimit {
    pub(crate) fn configure() -> Result<Self, HostError> {
        Ok(Self { refused: host::counter("cutover_guard_bodies_refused")? })
    }

    /// Judges the current request by the length that its headers declare. One without a declared length is counted.
    pub(crate) fn request_headers(&self) -> Result<Action, HostError> {
        match host::declared_length()? {
            Some(length) => self.judge(length),
            None => Ok(Action::Continue),
        }
    }

    /// Judges the current request after `received` bytes of its body.
    pub(crate) fn request_body(&self, received: u64) -> Result<Action, HostError> {
        self.judge(received)
    }

    fn judge(&self, length: u64) -> Result<Action, HostError> {
        if length <= host::body_limit()? {
            return Ok(Action::Continue);
        }
        host::add(self.refused, 1)?;
        host::answer(413, "edge_guard_body_too_long", "", &[])?;
        Ok(Action::Pause)
    }
}
