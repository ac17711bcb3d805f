//! Where leases stand: Envoy's shared data, which every machine with the same `vm_id` sees, guards and keepers of all
//! workers alike.

use lease::{Slots, Store};

use crate::host::leases as host;
use crate::host::{self as envoy, HostError};

/// Envoy's shared data.
pub(crate) struct Shared;

impl Store for Shared {
    fn read(&mut self, slot: u32) -> Option<(Vec<u8>, u32)> {
        host::shared(&slot.to_le_bytes()).ok().flatten()
    }

    fn write(&mut self, slot: u32, bytes: &[u8], version: Option<u32>) -> bool {
        host::share(&slot.to_le_bytes(), bytes, version.unwrap_or(0)).unwrap_or(false)
    }
}

const KEY: &[u8] = b"key";

/// `count` slots under the key of this listener and revision, which the first machine makes.
pub(crate) fn open(count: u32) -> Result<Slots, HostError> {
    if host::shared(KEY)?.is_none() {
        host::share(KEY, &envoy::random::<16>()?, 0)?;
    }
    Ok(Slots::new(count, key()?))
}

/// The key that slots are picked under. Two machines that start in the same moment may differ until it is asked for
/// again; that costs checks, no more.
pub(crate) fn key() -> Result<[u64; 2], HostError> {
    if let Some((bytes, _)) = host::shared(KEY)?
        && let ([a, b], []) = bytes.as_chunks::<8>()
    {
        return Ok([u64::from_le_bytes(*a), u64::from_le_bytes(*b)]);
    }
    Ok([0; 2])
}
