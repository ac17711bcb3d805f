//! Unpacks compressed bodies: two different ones may have the same content.

use std::io::{Read as _, Write as _};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::answer::{Answer, Body};

/// A zip bomb unpacks to a thousand times its size; eight times the kept packed size is more than an API sends.
const MAX_UNPACKED_BYTES: u64 = 8 * 1024 * 1024;

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

/// The unpacked `body`; nothing when it has another coding, is broken, or is too large.
pub(super) fn unpacked(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = match coding {
        "" => return Some(body.to_vec()),
        "gzip" | "x-gzip" => MultiGzDecoder::new(body).take(MAX_UNPACKED_BYTES + 1).read_to_end(&mut out),
        "deflate" => ZlibDecoder::new(body).take(MAX_UNPACKED_BYTES + 1).read_to_end(&mut out),
        _ => return None,
    };
    let whole = read.is_ok_and(|count| u64::try_from(count).is_ok_and(|count| count <= MAX_UNPACKED_BYTES));
    whole.then_some(out)
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
    let level = flate2::Compression::fast();
    match of(answer).as_str() {
        // An encoder of this library writes no time and no name.
        "gzip" | "x-gzip" => {
            let mut file = GzEncoder::new(Vec::new(), level);
            file.write_all(content).ok()?;
            file.finish().ok()
        }
        "deflate" => {
            let mut stream = ZlibEncoder::new(Vec::new(), level);
            stream.write_all(content).ok()?;
            stream.finish().ok()
        }
        _ => None,
    }
}
