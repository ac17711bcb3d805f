//! Writes logs: JSON lines on standard output, one for each refusal, never a token, cookie or key.

pub mod outlet;

use settings::QUIET;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// An invalid log filter.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG is not a log filter: {0}; write for example `info` or `authz_service=debug`")]
pub struct BadFilter(#[from] tracing_subscriber::filter::ParseError);

/// A subscriber that writes JSON lines to `writer`, filtered by `filter`. Whatever that says, no line has the content
/// of a message ([`QUIET`]).
///
/// # Errors
/// [`BadFilter`].
pub fn subscriber<W>(filter: &str, writer: W) -> Result<impl tracing::Subscriber + Send + Sync, BadFilter>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(filter)?.add_directive(QUIET.parse()?);
    Ok(tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish())
}

/// Logs a panic as a line like every other, with its place.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("");
        tracing::error!(place, message, "panic");
    }));
}
