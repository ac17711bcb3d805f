//! SHA-256 as text, of values and of streams.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// A digest in the making.
#[derive(Clone, Debug, Default)]
pub struct Running(Sha256);

impl Running {
    /// Adds `part`, and its length, so that the same bytes divided differently give another digest.
    pub fn part(&mut self, part: &[u8]) {
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
    }

    /// Adds bytes of a stream, where borders have no meaning.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest as 64 hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_borders_and_streams_have_none() {
        let digest = |add: fn(&mut Running, &[u8]), parts: &[&str]| {
            let mut running = Running::default();
            for part in parts {
                add(&mut running, part.as_bytes());
            }
            running.finish()
        };
        assert_ne!(digest(Running::part, &["ab", "c"]), digest(Running::part, &["a", "bc"]));
        assert_ne!(digest(Running::part, &["ab"]), digest(Running::part, &["ab", ""]));
        assert_eq!(digest(Running::bytes, &["ab", "c"]), digest(Running::bytes, &["a", "bc"]));
        // As `sha256sum` has it.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(Running::bytes, &["abc"]), known);
    }
}
