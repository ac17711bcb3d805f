//! Reads headers in place, in the form in which Envoy passes them.

/// A request's headers in the serialised form of the proxy-wasm ABI (`proxy_get_header_map_pairs`):
///
/// ```text
/// count: u32 LE │ count × (name length: u32 LE, value length: u32 LE) │ count × (name, 0, value, 0)
/// ```
///
/// Nothing is copied or allocated. The buffer is never trusted: for a malformed pair the iterator returns
/// [`MalformedHeaders`].
#[derive(Clone, Copy, Debug)]
pub struct HeaderMap<'a> {
    buffer: &'a [u8],
}

/// Why a buffer is not a header map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHeaders {
    /// It ends inside the count, the lengths, a name or a value.
    #[error("the header buffer is truncated")]
    Truncated,
    /// A name or value is not followed by its zero byte.
    #[error("a header in the buffer is not terminated")]
    Unterminated,
    /// Bytes are left over after the last pair.
    #[error("the header buffer is longer than its headers")]
    Overlong,
}

impl<'a> HeaderMap<'a> {
    /// A view of `buffer`. An empty buffer is an empty map, as some hosts send one for it.
    #[must_use]
    pub const fn new(buffer: &'a [u8]) -> Self {
        Self { buffer }
    }

    /// The pairs in order, each once; the first error is the last item.
    #[must_use]
    pub fn pairs(self) -> Pairs<'a> {
        if self.buffer.is_empty() {
            return Pairs { lengths: &[], data: &[], state: State::Running };
        }
        let split = self.buffer.split_first_chunk::<4>().and_then(|(count, rest)| {
            let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            rest.split_at_checked(count.checked_mul(8)?)
        });
        match split {
            Some((lengths, data)) => Pairs { lengths, data, state: State::Running },
            None => Pairs { lengths: &[], data: &[], state: State::Truncated },
        }
    }
}

/// Iterator over the pairs of a [`HeaderMap`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    lengths: &'a [u8],
    data: &'a [u8],
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Running,
    /// The table of lengths itself does not fit: reported at the first pair.
    Truncated,
    Done,
}

/// A name and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

impl<'a> Pairs<'a> {
    /// Cuts `length` bytes and their zero byte off the data.
    fn take(&mut self, length: u32) -> Result<&'a [u8], MalformedHeaders> {
        let length = usize::try_from(length).map_err(|_| MalformedHeaders::Truncated)?;
        let (taken, rest) = self.data.split_at_checked(length).ok_or(MalformedHeaders::Truncated)?;
        match rest.split_first() {
            Some((0, rest)) => {
                self.data = rest;
                Ok(taken)
            }
            Some(_) => Err(MalformedHeaders::Unterminated),
            None => Err(MalformedHeaders::Truncated),
        }
    }

    fn pair(&mut self) -> Option<Result<Pair<'a>, MalformedHeaders>> {
        let Some((lengths, rest)) = self.lengths.split_first_chunk::<8>() else {
            return if self.data.is_empty() { None } else { Some(Err(MalformedHeaders::Overlong)) };
        };
        self.lengths = rest;
        let [n0, n1, n2, n3, v0, v1, v2, v3] = *lengths;
        let name = self.take(u32::from_le_bytes([n0, n1, n2, n3]));
        let value = u32::from_le_bytes([v0, v1, v2, v3]);
        Some(name.and_then(|name| Ok((name, self.take(value)?))))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<Pair<'a>, MalformedHeaders>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.state {
            State::Running => self.pair(),
            State::Truncated => Some(Err(MalformedHeaders::Truncated)),
            State::Done => None,
        };
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Done;
        }
        item
    }
}

#[cfg(test)]
pub(crate) mod tests;
