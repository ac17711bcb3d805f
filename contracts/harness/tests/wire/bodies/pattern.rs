//! The bytes of large bodies: each has one right value at its place, so every piece can be compared as it comes.

use std::sync::LazyLock;

/// A prime, so that no buffer on the way has the same length.
const PERIOD: usize = 65_521;

/// The longest piece.
pub(crate) const LONGEST: usize = 1024 * 1024;

static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u32;
    let mut next = || {
        // A generator of Lehmer: repeatable, and without short cycles.
        state = u32::try_from(u64::from(state) * 48_271 % 2_147_483_647).unwrap_or(1);
        state.to_le_bytes()[1]
    };
    let period: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    period.iter().copied().cycle().take(PERIOD + LONGEST).collect()
});

/// The `length` bytes that begin at `offset`, at most [`LONGEST`].
pub(crate) fn at(offset: u64, length: usize) -> &'static [u8] {
    let start = usize::try_from(offset % PERIOD as u64).unwrap_or_default();
    &BLOCK[start..start + length]
}

/// Fails unless `piece` is what belongs at `offset`.
pub(crate) fn check(offset: u64, piece: &[u8]) -> Result<(), String> {
    for (index, part) in piece.chunks(LONGEST).enumerate() {
        let offset = offset + (index * LONGEST) as u64;
        if at(offset, part.len()) != part {
            return Err(format!("the {} bytes at {offset} are others than were sent", part.len()));
        }
    }
    Ok(())
}
