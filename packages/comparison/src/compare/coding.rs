//! Unpacks compressed bodies: two different ones may have the same content.

use std::io::Read as _;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::answer::Answer;

/// A zip bomb unpacks to a thousand times its size; eight times the kept packed size is more than an API sends.
const MAX_UNPACKED_BYTES: u64 = 8 * 1024 * 1024;

/// The codings of an answer, in lower case; empty means none.
pub(super) fn of(answer: &Answer) -> String {
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
