//! The end: asked for by SIGTERM or SIGINT.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Waits for the first SIGTERM or SIGINT and says which it was. The handlers stand as soon as this returns its
/// future, so a signal that comes during the start is not lost.
///
/// # Errors
/// When the system allows no signal handler.
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

/// Waits until `ending` says so.
pub async fn ended(mut ending: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _ = ending.wait_for(|ended| *ended).await;
}
