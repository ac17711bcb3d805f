//! An answer, with every byte that can matter.

use sha2::{Digest, Sha256};

/// One header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name, in the case in which it arrived.
    pub name: Vec<u8>,
    /// The value, without the whitespace around it, which does not belong to it (RFC 9110 §5.5).
    pub value: Vec<u8>,
}

impl Line {
    /// Whether the line has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The name in lower case, as in places and reports.
    #[must_use]
    pub fn lower(&self) -> String {
        String::from_utf8_lossy(&self.name).to_ascii_lowercase()
    }
}

/// The HTTP version of an answer: a note and not a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1 with this minor version: 1 for `HTTP/1.1`.
    One(u8),
    /// HTTP/2.
    Two,
}

/// How the end of the body was marked: it belongs to the hop and is not a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body (`HEAD`, 204, 304).
    None,
    /// `Content-Length` named it.
    Length,
    /// `Transfer-Encoding: chunked`, with an empty chunk at the end.
    Chunked,
    /// The connection was closed.
    Close,
    /// By the last frame (HTTP/2).
    Frames,
}

/// The body of an answer, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of its bytes.
    Whole(Vec<u8>),
    /// Too large to keep ([`KEPT_BYTES`]).
    Digest {
        /// The number of its bytes.
        length: u64,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
}

/// Bodies up to this size are kept and compared in detail. Eight workers hold three answers each, so this keeps the
/// process under 32 MiB. An API's answer is rarely a tenth of it.
pub const KEPT_BYTES: usize = 1024 * 1024;

/// Larger bodies are not read to their end: they are downloads, and a comparison is not worth their traffic.
pub const READ_BYTES: u64 = 64 * 1024 * 1024;

/// An answer as it arrived: nothing is decoded, joined or sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP version.
    pub version: Version,
    /// The status, three digits.
    pub status: u16,
    /// The reason phrase, empty when there is none.
    pub reason: Vec<u8>,
    /// The header lines, in order.
    pub headers: Vec<Line>,
    /// How the end of the body was marked.
    pub framing: Framing,
    /// The body, without chunk sizes.
    pub body: Body,
    /// The lines after the body: trailers of a chunked body, or of HTTP/2.
    pub trailers: Vec<Line>,
}

impl Answer {
    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|line| line.is(name)).map(|line| line.value.as_slice())
    }
}

/// A body that is being read: it is kept until it is too large, then only its digest is updated.
#[derive(Debug, Default)]
pub struct BodyBuilder {
    kept: Vec<u8>,
    digest: Option<Sha256>,
    length: u64,
}

/// The body is longer than [`READ_BYTES`].
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

impl BodyBuilder {
    /// Adds the next piece.
    ///
    /// # Errors
    /// [`TooLarge`] when the whole passes [`READ_BYTES`].
    pub fn push(&mut self, piece: &[u8]) -> Result<(), TooLarge> {
        self.length = self.length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.length > READ_BYTES {
            return Err(TooLarge);
        }
        match &mut self.digest {
            Some(digest) => digest.update(piece),
            None if self.kept.len() + piece.len() <= KEPT_BYTES => self.kept.extend_from_slice(piece),
            None => {
                let mut digest = Sha256::new();
                digest.update(std::mem::take(&mut self.kept));
                digest.update(piece);
                self.digest = Some(digest);
            }
        }
        Ok(())
    }

    /// The finished body.
    #[must_use]
    pub fn finish(self) -> Body {
        match self.digest {
            None => Body::Whole(self.kept),
            Some(digest) => Body::Digest { length: self.length, sha256: digest.finalize().into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_until_it_is_too_large_and_the_digest_is_of_all_of_it() {
        let all = vec![7_u8; KEPT_BYTES + 10];
        let mut builder = BodyBuilder::default();
        for piece in all.chunks(1000) {
            builder.push(piece).unwrap();
        }
        let expected = Body::Digest { length: all.len() as u64, sha256: Sha256::digest(&all).into() };
        assert_eq!(builder.finish(), expected);

        let mut builder = BodyBuilder::default();
        builder.push(&all[..KEPT_BYTES]).unwrap();
        assert_eq!(builder.finish(), Body::Whole(all[..KEPT_BYTES].to_vec()));
    }

    #[test]
    fn a_body_without_end_is_not_read_for_ever() {
        let piece = vec![0_u8; 1024 * 1024];
        let mut builder = BodyBuilder::default();
        let pieces = (0..100).take_while(|_| builder.push(&piece).is_ok()).count();
        assert_eq!(pieces, 64);
    }
}
