//! Unpacks compressed bodies: two different ones may have the same content.

use std::io::{Read, Write as _};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use ruzstd::decoding::FrameDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::answer::{Answer, Body};

/// A zip bomb unpacks to a thousand times its size; eight times the kept packed size is more than an API sends.
const MAX_UNPACKED_BYTES: usize = 8 * 1024 * 1024;

/// Servers compress once, and a proxy may compress again. Each coding costs a body of [`MAX_UNPACKED_BYTES`].
const MAX_CODINGS: usize = 2;

/// The window that every decoder of `zstd` for the web must support (RFC 9659). Larger ones only use memory.
const ZSTD_WINDOW_BYTES: u64 = 8 * 1024 * 1024;

/// The window of `br` in bits: the smallest of which a small body is copied once.
const BROTLI_WINDOW_BITS: u32 = 18;

/// How much a decoder or encoder of `br` reads at once.
const BROTLI_BUFFER_BYTES: usize = 4096;

/// One content coding (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    fn read(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The codings of a header such as `gzip, br`, in the order in which they were applied; nothing when one is unknown.
    fn list(text: &str) -> Option<Vec<Self>> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let list: Vec<Self> = names.take(MAX_CODINGS + 1).map(Self::read).collect::<Option<_>>()?;
        (list.len() <= MAX_CODINGS).then_some(list)
    }

    fn unpacked(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gzip => bounded(MultiGzDecoder::new(body)),
            // RFC 9110 means zlib's format; some servers send its content alone, and browsers read both.
            Self::Deflate => bounded(ZlibDecoder::new(body)).or_else(|| bounded(DeflateDecoder::new(body))),
            // These seven bits announce a window of up to 1 GiB, which RFC 7932 does not have.
            Self::Brotli if body.first().is_some_and(|first| first & 0x7f == 0x11) => None,
            Self::Brotli => bounded(brotli::Decompressor::new(body, BROTLI_BUFFER_BYTES)),
            Self::Zstd => {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(ZSTD_WINDOW_BYTES);
                let mut out = vec![0; MAX_UNPACKED_BYTES];
                let length = decoder.decode_all(body, &mut out).ok()?;
                out.truncate(length);
                Some(out)
            }
        }
    }

    /// Always the same bytes for the same content.
    fn packed(self, content: &[u8]) -> Option<Vec<u8>> {
        let level = flate2::Compression::fast();
        match self {
            // An encoder of this library writes no time and no name.
            Self::Gzip => {
                let mut file = GzEncoder::new(Vec::new(), level);
                file.write_all(content).ok()?;
                file.finish().ok()
            }
            Self::Deflate => {
                let mut stream = ZlibEncoder::new(Vec::new(), level);
                stream.write_all(content).ok()?;
                stream.finish().ok()
            }
            Self::Brotli => {
                let mut stream =
                    brotli::CompressorWriter::new(Vec::new(), BROTLI_BUFFER_BYTES, 1, BROTLI_WINDOW_BITS);
                stream.write_all(content).ok()?;
                Some(stream.into_inner())
            }
            Self::Zstd => Some(compress_to_vec(content, CompressionLevel::Uncompressed)),
        }
    }
}

/// All that a decoder reads; nothing when the body is broken or unpacks to more than [`MAX_UNPACKED_BYTES`].
fn bounded(decoder: impl Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let most = u64::try_from(MAX_UNPACKED_BYTES).unwrap_or(u64::MAX);
    decoder.take(most.saturating_add(1)).read_to_end(&mut out).ok()?;
    (out.len() <= MAX_UNPACKED_BYTES).then_some(out)
}

/// The codings of an answer, in lower case; empty means none.
#[must_use]
pub fn of(answer: &Answer) -> String {
    let values: Vec<String> = answer
        .headers
        .iter()
        .filter(|line| line.is("content-encoding"))
        .map(|line| String::from_utf8_lossy(&line.value).to_ascii_lowercase())
        .collect();
    values.join(",").replace("identity", "").trim_matches([' ', ',']).to_owned()
}

/// The unpacked `body`, which is itself without a coding; nothing when a coding is unknown, or it is broken or too large.
pub(super) fn unpacked(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    Coding::list(coding)?.iter().rev().try_fold(body.to_vec(), |body, coding| coding.unpacked(&body))
}

/// What a compressed body unpacks to, at most 8 MiB; nothing when it is not compressed, has an unknown coding, or is broken.
#[must_use]
pub fn content(answer: &Answer) -> Option<Vec<u8>> {
    let coding = of(answer);
    match &answer.body {
        Body::Whole(bytes) if !coding.is_empty() => unpacked(&coding, bytes),
        Body::Whole(_) | Body::Digest { .. } => None,
    }
}

/// `content` compressed with the coding of `answer`, always into the same bytes; nothing when that coding is none or unknown.
#[must_use]
pub fn packed(answer: &Answer, content: &[u8]) -> Option<Vec<u8>> {
    let codings = Coding::list(&of(answer)).filter(|list| !list.is_empty())?;
    codings.iter().try_fold(content.to_vec(), |content, coding| coding.packed(&content))
}
