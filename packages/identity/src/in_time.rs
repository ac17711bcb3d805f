//! The one rule for the times of an assertion and of a service token.

use std::time::Duration;

use clock::UnixTime;

use crate::assertion::LEEWAY;

/// Whether a token that was issued at second `issued` and expires at second `expires` counts at `now`: it has begun, it has
/// not ended, each within [`LEEWAY`], and it lives for some time but no longer than `longest`.
pub(crate) fn is_in_time(issued: u64, expires: u64, longest: Duration, now: UnixTime) -> bool {
    let (begin, end) = (UnixTime::from_seconds(issued), UnixTime::from_seconds(expires));
    begin <= now.plus(LEEWAY) && now <= end.plus(LEEWAY) && expires > issued && end.since(begin) <= longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_from_its_issue_to_its_end_and_lives_no_longer_than_allowed() {
        let longest = Duration::from_secs(60);
        for (issued, expires, now, expected) in [
            (100, 160, 100, true),
            (100, 160, 95, true),
            (100, 160, 94, false),
            (100, 160, 165, true),
            (100, 160, 166, false),
            (100, 161, 100, false),
            (100, 100, 100, false),
            (100, 99, 100, false),
        ] {
            let counts = is_in_time(issued, expires, longest, UnixTime::from_seconds(now));
            assert_eq!(counts, expected, "{issued} to {expires} at {now}");
        }
    }
}
