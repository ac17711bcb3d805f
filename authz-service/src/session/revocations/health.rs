//! The state of the list of revocations, for `/readyz`.

use std::sync::atomic::Ordering;

use clock::UnixTime;

use super::Revocations;
use crate::source::Health;

impl Revocations {
    /// The state of the list, for `/readyz`.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let mut detail = format!("{} sessions", self.len());
        let wholesale = self.wholesale_len();
        if wholesale > 0 {
            detail.push_str(&format!(", {wholesale} persons and tenants"));
        }
        if let Some(channel) = &self.channel {
            detail.push_str(&format!("; {}", channel.health().detail));
        }
        if let Some(trouble) = self.trouble.load().as_ref() {
            detail.push_str(&format!(
                "; unreadable since {} ({})",
                trouble.since().seconds(),
                trouble.what()
            ));
        }
        if let Some((entries, rate)) = self.beyond.filled() {
            // The filter refuses single sessions. The replica stays ready, because all others need it.
            detail.push_str(&format!(
                "; no room for {entries} more (room: {}): these sessions are refused, and {:.2} % of the others",
                self.room,
                rate * 100.0
            ));
        }
        // Every replica loses Redis at once, and requests without a session are served without it. So a lost
        // subscription makes no replica unready; a file that this machine cannot read does.
        let ready = match &self.channel {
            Some(_) => self.loaded.load(Ordering::Acquire),
            None => self.is_reliable(now),
        };
        Health { ready, detail }
    }
}
