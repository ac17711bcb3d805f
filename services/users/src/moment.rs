//! The present moment, in the precision that both databases store.

use clock::{Clock, UnixTime};
use time::OffsetDateTime;

/// Returns the time of `clock`, cut to whole microseconds, so that both databases return the stored value.
pub(crate) fn now(clock: &dyn Clock) -> OffsetDateTime {
    let since = clock.now().since(UnixTime::from_seconds(0));
    let since = time::Duration::microseconds(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    OffsetDateTime::UNIX_EPOCH.checked_add(since).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
