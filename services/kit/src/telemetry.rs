//! Logs: one JSON object for each line on standard output. Every line that a request causes is logged inside
//! a span with its request id, so one id finds them all (`span.request_id`).

use http::HeaderMap;
use identity::headers::REQUEST_ID;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;
use ulid::Ulid;
use uuid::Uuid;

/// Checks that `directives` have the syntax of `RUST_LOG`.
///
/// # Errors
/// A sentence about the invalid directives.
pub fn check(directives: &str) -> Result<(), String> {
    EnvFilter::try_new(directives).map(drop).map_err(|e| e.to_string())
}

/// Starts logging with `directives`, or with `info` if they are invalid. A second call in one process has no
/// effect.
pub fn start(directives: &str) {
    let started = subscriber(directives, std::io::stdout).try_init();
    // Only tests start twice. They keep the first logger.
    drop(started);
}

/// A subscriber that writes JSON lines to `writer`, filtered by `directives`, or by `info` if they are invalid.
/// Whatever they say, no line has the content of a message ([`settings::QUIET`]).
pub fn subscriber<W>(directives: &str, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = match settings::QUIET.parse() {
        Ok(quiet) => filter.add_directive(quiet),
        // Never: a test reads the log of a returned message.
        Err(_) => filter,
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

/// Returns the request's id, which the edge has set (a UUID or a ULID). A request that bypasses the edge with
/// another value gets a new id, so that a hostile value never reaches a log.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| Uuid::try_parse(text).is_ok() || Ulid::from_string(text).is_ok())
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_or_a_ulid_is_taken_over() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, value.parse().unwrap());
            request_id(&headers)
        };
        for id in ["0192d3c0-0000-7000-8000-0000000000aa", "01J9ZZZZZZZZZZZZZZZZZZZZZZ"] {
            assert_eq!(with(id), id);
        }
        for id in ["", "1", "x\"}", &"a".repeat(4_000)] {
            assert!(Uuid::try_parse(&with(id)).is_ok(), "{id}");
        }
    }
}
