//! Time limits of queries that a decision waits for.

use std::time::Duration;

use crate::reader::{self, Context, Fields};

/// Reads `timeout_ms`, which must be shorter than Envoy's wait for the authorizer: otherwise the answer would be unused.
pub(super) fn timeout(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    default: Duration,
    patience: Option<Duration>,
) -> Option<Duration> {
    let node = fields.optional("timeout_ms");
    let place = node.map_or(fields.place, |node| node.place);
    let timeout = node.map_or(Some(default), |n| reader::millis(context, n, "`timeout_ms`", 1, 10_000))?;
    if let Some(patience) = patience
        && timeout >= patience
    {
        let (wait, patience) = (timeout.as_millis(), patience.as_millis());
        context.faults.report(
            place,
            format!("`timeout_ms` is {wait}, and Envoy waits {patience} ms for the authorizer"),
            "write less than `timeout_ms` of `authorizer`, or raise that",
        );
    }
    Some(timeout)
}
