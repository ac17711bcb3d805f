//! The store of leases: Envoy's shared data, which every machine with the same `vm_id` reads, guards and keepers of all
//! workers alike.

use header_rules::config::LeaseRules;
use lease::{Slots, Store};

use super::calls::{share, shared};
use crate::host::{self, HostError};

/// Envoy's shared data.
#[derive(Clone)]
pub(crate) struct Shelf;

impl Shelf {
    /// The slots of this listener and revision (both are in the `vm_id`), under a key that the first machine makes.
    pub(crate) fn open(
        rules: &LeaseRules,
        _listener: &str,
        _revision: &str,
    ) -> Result<(Self, Slots), HostError> {
        if shared(KEY)?.is_none() {
            share(KEY, &host::random::<16>()?, None)?;
        }
        Ok((Self, Slots::new(rules.slots, key()?)))
    }

    /// `slots` under the present key.
    pub(crate) fn under_its_key(&self, mut slots: Slots) -> Result<Slots, HostError> {
        slots.set_key(key()?);
        Ok(slots)
    }
}

impl Store for Shelf {
    fn read(&mut self, slot: u32) -> Option<(Vec<u8>, u32)> {
        shared(text(&digits(slot))).ok().flatten()
    }

    fn write(&mut self, slot: u32, bytes: &[u8], version: Option<u32>) -> bool {
        share(text(&digits(slot)), bytes, version).unwrap_or(false)
    }
}

const KEY: &str = "key";

/// The key by which slots are chosen. Two machines that start in the same moment may have different keys until they read it
/// again; that only costs checks.
pub(super) fn key() -> Result<[u64; 2], HostError> {
    if let Some((bytes, _)) = shared(KEY)?
        && let ([a, b], []) = bytes.as_chunks::<8>()
    {
        return Ok([u64::from_le_bytes(*a), u64::from_le_bytes(*b)]);
    }
    Ok([0; 2])
}

/// A slot's number to base 128, lowest digit first. The crate expects keys as text, and each digit is an ASCII character;
/// there are five digits, so no number equals [`KEY`].
fn digits(slot: u32) -> [u8; 5] {
    [0, 7, 14, 21, 28].map(|bits| u8::try_from(slot >> bits & 127).unwrap_or_default())
}

fn text(digits: &[u8; 5]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}
