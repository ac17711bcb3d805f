//! The statuses with which the edge can refuse a request.

use std::fmt;

/// The statuses from 400 on that Envoy can send for a refusal (`envoy.type.v3.StatusCode`).
const SENDABLE: [u16; 37] = [
    400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423,
    424, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
];

/// The status of a refusal. Envoy can send every value, so a refusal can never turn into an allow or get lost on the way to
/// the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalStatus(u16);

impl RefusalStatus {
    /// 400.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403.
    pub const FORBIDDEN: Self = Self(403);
    /// 404.
    pub const NOT_FOUND: Self = Self(404);
    /// 405.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 408.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// 413.
    pub const CONTENT_TOO_LARGE: Self = Self(413);
    /// 426.
    pub const UPGRADE_REQUIRED: Self = Self(426);
    /// 429.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 431.
    pub const HEADERS_TOO_LARGE: Self = Self(431);
    /// 503.
    pub const UNAVAILABLE: Self = Self(503);

    /// `status`, when Envoy can refuse with it.
    #[must_use]
    pub fn new(status: u16) -> Option<Self> {
        SENDABLE.contains(&status).then_some(Self(status))
    }

    /// The number, as the client receives it.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for RefusalStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_statuses_are_ones_that_envoy_can_send() {
        for named in [
            RefusalStatus::BAD_REQUEST,
            RefusalStatus::UNAUTHORIZED,
            RefusalStatus::METHOD_NOT_ALLOWED,
            RefusalStatus::REQUEST_TIMEOUT,
            RefusalStatus::CONTENT_TOO_LARGE,
            RefusalStatus::UPGRADE_REQUIRED,
            RefusalStatus::HEADERS_TOO_LARGE,
            RefusalStatus::FORBIDDEN,
            RefusalStatus::NOT_FOUND,
            RefusalStatus::TOO_MANY_REQUESTS,
            RefusalStatus::UNAVAILABLE,
        ] {
            assert_eq!(RefusalStatus::new(named.get()), Some(named));
        }
    }
}
