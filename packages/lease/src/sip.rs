//! SipHash-1-3 (Aumasson and Bernstein, 2012): a keyed hash, so that a client cannot choose which slot its
//! lease takes. It only picks slots; the credential is compared byte for byte.

#[derive(Clone, Copy)]
struct State([u64; 4]);

impl State {
    const fn round(self) -> Self {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32);
        c = c.wrapping_add(b);
        a = a.wrapping_add(d);
        b = b.rotate_left(17) ^ c;
        d = d.rotate_left(21) ^ a;
        c = c.rotate_left(32);
        Self([a, b, c, d])
    }

    const fn with(self, word: u64) -> Self {
        let [a, b, c, d] = self.0;
        let Self([a, b, c, d]) = Self([a, b, c, d ^ word]).round();
        Self([a ^ word, b, c, d])
    }
}

pub(crate) fn hash(key: [u64; 2], bytes: &[u8]) -> u64 {
    let [k0, k1] = key;
    let mut state = State([
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = state.with(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    // The length's lowest byte goes into the last word's highest byte.
    #[expect(clippy::cast_possible_truncation, reason = "as the algorithm says")]
    let length = bytes.len() as u8;
    state = state.with(u64::from_le_bytes(last) | (u64::from(length) << 56));
    let [a, b, c, d] = state.0;
    let State([a, b, c, d]) = State([a, b, c ^ 0xff, d]).round().round().round();
    a ^ b ^ c ^ d
}

#[cfg(test)]
mod tests {
    use siphasher::sip::SipHasher13;

    #[test]
    fn it_agrees_with_the_reference_for_every_length_and_several_keys() {
        let text: Vec<u8> = (0..=255).collect();
        for key in [[0, 0], [1, 2], [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908], [u64::MAX, 1 << 63]] {
            for end in 0..=text.len() {
                let reference = SipHasher13::new_with_keys(key[0], key[1]).hash(&text[..end]);
                assert_eq!(super::hash(key, &text[..end]), reference, "{key:x?}, {end} bytes");
            }
        }
    }

    #[test]
    fn it_spreads_and_depends_on_key_and_every_byte() {
        let text: Vec<u8> = (0..64).collect();
        let mut seen = std::collections::HashSet::new();
        for end in 0..=64 {
            assert!(seen.insert(super::hash([1, 2], &text[..end])));
            assert!(seen.insert(super::hash([2, 1], &text[..end])));
        }
        for index in 0..64 {
            let mut other = text.clone();
            other[index] ^= 1;
            assert!(seen.insert(super::hash([1, 2], &other)));
        }
    }
}
