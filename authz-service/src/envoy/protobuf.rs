//! Writes protobuf: the three kinds of field in an answer, directly into the bytes that are sent.
//!
//! With `envoy-types`' messages every header would be copied twice, the metadata would need a map, and all of
//! it would be traversed once more to compute its length. The tests of [`response`](super::response) read the
//! output back with `envoy-types`.

/// The number of a field, below 16: its tag is one byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field(u8);

impl Field {
    /// Field number `number`; a larger one than 15 does not compile in a constant, and every field is one.
    pub(super) const fn number(number: u8) -> Self {
        assert!(number > 0 && number < 16);
        Self(number)
    }

    const fn tag(self, kind: u8) -> u8 {
        self.0 << 3 | kind
    }
}

/// Kinds of field (<https://protobuf.dev/programming-guides/encoding/>).
const VARINT: u8 = 0;
const LENGTH: u8 = 2;

/// A message in progress.
#[derive(Debug)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Writes a number; an absent one is 0.
    pub(super) fn number(&mut self, field: Field, number: u32) {
        if number != 0 {
            self.0.push(field.tag(VARINT));
            self.varint(number as usize);
        }
    }

    /// Writes a text, also an empty one: in a choice of several fields even that has a meaning.
    pub(super) fn text(&mut self, field: Field, text: &str) {
        self.0.push(field.tag(LENGTH));
        self.varint(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Writes a nested message with `write`.
    pub(super) fn message(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        self.0.push(field.tag(LENGTH));
        // The length stands before the message but is known only after it. Most messages are shorter than 128
        // bytes, and one byte holds that; a longer one is moved.
        let at = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - at - 1;
        let (bytes, used) = varint(length);
        self.0.resize(self.0.len() + used - 1, 0);
        if used > 1 {
            self.0.copy_within(at + 1..=at + length, at + used);
        }
        for (to, from) in self.0.iter_mut().skip(at).zip(bytes.into_iter().take(used)) {
            *to = from;
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, number: usize) {
        let (bytes, used) = varint(number);
        self.0.extend_from_slice(bytes.get(..used).unwrap_or_default());
    }
}

/// The bytes of the longest number.
const MOST: usize = 10;

/// `number` in groups of seven bits, the lowest first, each but the last marked; and the number of groups.
fn varint(mut number: usize) -> ([u8; MOST], usize) {
    let mut bytes = [0; MOST];
    let mut used = 0;
    for byte in &mut bytes {
        used += 1;
        #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits are what is wanted")]
        let low = number as u8 & 0x7f;
        number >>= 7;
        if number == 0 {
            *byte = low;
            break;
        }
        *byte = low | 0x80;
    }
    (bytes, used)
}

#[cfg(test)]
mod tests {
    use prost::encoding::encode_varint;

    use super::*;

    const ONE: Field = Field::number(1);
    const LAST: Field = Field::number(15);

    #[test]
    fn numbers_are_written_as_prost_writes_them() {
        for number in [0, 1, 127, 128, 300, 16_383, 16_384, u32::MAX as usize, usize::MAX] {
            let mut expected = Vec::new();
            encode_varint(number as u64, &mut expected);
            let (bytes, used) = varint(number);
            assert_eq!(&bytes[..used], expected, "{number}");
        }
    }

    #[test]
    fn lengths_fit_whatever_is_written() {
        for length in [0, 1, 120, 127, 128, 5_000, 16_384, 70_000] {
            let mut message = Message::with_capacity(0);
            message.message(LAST, |inner| inner.message(ONE, |inner| inner.text(ONE, &"x".repeat(length))));
            message.number(ONE, 7);
            let mut rest = message.into_bytes();
            assert_eq!(rest.split_off(rest.len() - 2), [0x08, 7]);
            for tag in [0x7a, 0x0a, 0x0a] {
                let mut buf = &rest[1..];
                assert_eq!(rest[0], tag);
                let said = prost::encoding::decode_varint(&mut buf).unwrap();
                assert_eq!(said, buf.len() as u64, "{length}");
                rest = buf.to_vec();
            }
            assert_eq!(rest.len(), length);
        }
    }
}
