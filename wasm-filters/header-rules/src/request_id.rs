//! Checks request ids, and makes new ones.

/// Whether the edge keeps the id `value`: a UUID of any version in its hyphenated form, or a ULID, in either letter case.
///
/// The nil and max UUID and the all-zero ULID are not kept. They do not identify a request: clients send them when they
/// forget to make an id, and all of those requests would share one.
#[must_use]
pub fn is_request_id(value: &[u8]) -> bool {
    match value.len() {
        36 => is_uuid(value),
        26 => is_ulid(value),
        _ => false,
    }
}

/// The longest id of a trusted proxy that is kept, and the longest part of a replaced id that is logged, in bytes. Ids of
/// proxies and clouds have 16 to 80.
const LONGEST: usize = 128;

/// Whether the edge keeps the id `value` of a trusted proxy: 1 to 128 visible ASCII characters. An id that a proxy makes by
/// mistake (nil, max) is not kept here either.
#[must_use]
pub(crate) fn is_id_of_proxy(value: &[u8]) -> bool {
    let shared = |value: &[u8]| {
        let digits = || value.iter().filter(|byte| **byte != b'-');
        matches!(value.len(), 26 | 36)
            && (digits().all(|byte| *byte == b'0') || digits().all(|byte| matches!(byte, b'f' | b'F')))
    };
    (1..=LONGEST).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic) && !shared(value)
}

/// A client's id as the access log shows it: at most 128 characters of visible ASCII and spaces, and every other byte as
/// `\xNN`. The log itself is JSON and escapes quotes.
#[must_use]
pub fn shown(id: &[u8]) -> String {
    let mut text = String::with_capacity(id.len().min(LONGEST));
    for &byte in id {
        let (plain, hex) = (byte == b' ' || byte.is_ascii_graphic(), format!("\\x{byte:02x}"));
        let more = if plain { 1 } else { hex.len() };
        if text.len().saturating_add(more) > LONGEST {
            break;
        }
        if plain { text.push(char::from(byte)) } else { text.push_str(&hex) }
    }
    text
}

fn is_uuid(value: &[u8]) -> bool {
    let mut zeros = 0_u8;
    let mut ones = 0_u8;
    for (position, byte) in value.iter().enumerate() {
        match (position, byte) {
            (8 | 13 | 18 | 23, b'-') => {}
            (8 | 13 | 18 | 23, _) => return false,
            (_, b'0') => zeros += 1,
            (_, b'f' | b'F') => ones += 1,
            (_, byte) if byte.is_ascii_hexdigit() => {}
            _ => return false,
        }
    }
    zeros < 32 && ones < 32
}

fn is_ulid(value: &[u8]) -> bool {
    let crockford = |byte: &u8| {
        byte.is_ascii_alphanumeric() && !matches!(byte.to_ascii_uppercase(), b'I' | b'L' | b'O' | b'U')
    };
    // 26 characters of 5 bits are 130 bits, so the first one may only carry 3.
    matches!(value.first(), Some(b'0'..=b'7'))
        && value.iter().all(crockford)
        && value.iter().any(|byte| *byte != b'0')
}

/// Makes UUIDv7s (RFC 9562 §5.7) for one worker.
///
/// 64 of an id's 74 free bits are a permutation of a counter, so one worker repeats no id within 2^64 ids, whatever its clock
/// does. Workers start from different seeds, so their ids are independent: two ids are equal only if the millisecond and 74
/// bits coincide. An id is not a secret; no permission may depend on knowing one.
#[derive(Clone, Debug)]
pub struct RequestIds {
    counter: u64,
    /// Odd, so that adding it passes every 64-bit value before the first one repeats.
    stride: u64,
    salt: u64,
}

impl RequestIds {
    /// A source that starts from `seed`, which must be random and different for every worker.
    #[must_use]
    pub const fn new(seed: [u8; 24]) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6, c7] =
            seed;
        Self {
            counter: u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            stride: u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) | 1,
            salt: u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
        }
    }

    /// A new id at `now_ms` (milliseconds since the Unix epoch; the lowest 48 bits count), as text.
    #[must_use]
    pub fn mint(&mut self, now_ms: u64) -> [u8; 36] {
        self.counter = self.counter.wrapping_add(self.stride);
        let unique = scramble(self.counter);
        let extra = scramble(self.counter ^ self.salt);
        let version_and_a = 0x7000 | ((unique >> 62) << 10) | (extra & 0x3ff);
        let high = (now_ms << 16) | version_and_a;
        let low = (0b10 << 62) | (unique & (u64::MAX >> 2));
        format(high, low)
    }
}

/// A permutation of the 64-bit numbers (the finaliser of SplitMix64): neighbours map to very different values.
const fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hyphenated lower-case form.
fn format(high: u64, low: u64) -> [u8; 36] {
    let mut digits = (u128::from(high) << 64) | u128::from(low);
    let mut text = [b'-'; 36];
    for (position, slot) in text.iter_mut().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            continue;
        }
        // The top four bits: a cast loses nothing.
        let digit = (digits >> 124) as u8;
        *slot = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        digits <<= 4;
    }
    text
}

#[cfg(test)]
mod tests;
