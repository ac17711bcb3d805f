//! Times as both databases compare them, and ids that are in the order of their times.

use std::time::Duration;

use clock::UnixTime;
use time::OffsetDateTime;
use uuid::{NoContext, Timestamp, Uuid};

/// `time` for a column with a time zone.
///
/// One nanosecond is added. SQLite compares times as texts, and with it every text has nine digits behind the point, so
/// that the order of texts is the order of times. PostgreSQL stores microseconds and drops it.
#[must_use]
pub fn column(time: UnixTime) -> OffsetDateTime {
    whole(time).checked_add(time::Duration::NANOSECOND).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `time` to the millisecond.
pub(crate) fn whole(time: UnixTime) -> OffsetDateTime {
    let since = Duration::from_millis(time.millis());
    OffsetDateTime::UNIX_EPOCH
        .checked_add(since.try_into().unwrap_or_default())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A new UUIDv7 of `now`.
pub(crate) fn id(now: UnixTime) -> Uuid {
    let nanos = u32::try_from(now.millis() % 1_000).unwrap_or(0).saturating_mul(1_000_000);
    Uuid::new_v7(Timestamp::from_unix(NoContext, now.seconds(), nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc3339;

    #[test]
    fn texts_of_columns_are_in_the_order_of_their_times() {
        let text = |millis| column(UnixTime::from_millis(millis)).format(&Rfc3339).unwrap();
        let texts = [1_000, 1_001, 1_010, 1_100, 2_000].map(text);
        assert!(texts.is_sorted(), "{texts:?}");
        assert!(texts.iter().all(|one| one.len() == texts[0].len()), "{texts:?}");
    }
}
