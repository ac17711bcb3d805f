//! Waits for the end of the process, requested by SIGTERM or SIGINT.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Waits for the first SIGTERM or SIGINT and returns its name. The handlers are installed as soon as this
/// returns its future, so a signal during the start is not lost.
///
/// # Errors
/// When the system refuses a signal handler.
pub fn asked() -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Waits until `ending` is set.
pub async fn ended(mut ending: watch::Receiver<bool>) {
    // An error means that the sender is gone, which also is an end.
    let _ = ending.wait_for(|ended| *ended).await;
}
