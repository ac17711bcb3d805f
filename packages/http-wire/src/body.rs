//! Finds the end of a body.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use super::{ReadError, head, line};
use crate::answer::{BodyBuilder, Framing, Line};

/// The longest line of a chunk's size with its extensions, or of one trailer.
const MAX_CHUNK_LINE_BYTES: usize = 4096;

/// The most trailers: a gRPC answer has three or four.
const MAX_TRAILERS: usize = 100;

/// How the headers mark the end of the body; nothing when they do not.
pub(super) fn framing(lines: &[Line]) -> Result<Option<Framing>, ReadError> {
    let codings: Vec<&Line> = lines.iter().filter(|line| line.is("transfer-encoding")).collect();
    match codings.as_slice() {
        [] => Ok(length(lines)?.map(|_| Framing::Length)),
        [one] if one.value.eq_ignore_ascii_case(b"chunked") => Ok(Some(Framing::Chunked)),
        [..] => Err(ReadError::Malformed("its transfer encoding is not chunked")),
    }
}

/// The `Content-Length`; several must agree.
fn length(lines: &[Line]) -> Result<Option<u64>, ReadError> {
    let wrong = ReadError::Malformed("its content length is not a number");
    let mut found = None;
    for line in lines.iter().filter(|line| line.is("content-length")) {
        let digits = !line.value.is_empty() && line.value.iter().all(u8::is_ascii_digit);
        let number =
            std::str::from_utf8(&line.value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        let Some(number) = number else { return Err(wrong) };
        if found.is_some_and(|other| other != number) {
            return Err(ReadError::Malformed("it has two content lengths"));
        }
        found = Some(number);
    }
    Ok(found)
}

/// Reads a body to its end, and returns its trailers.
pub(super) async fn read<R: AsyncBufRead + Unpin>(
    stream: &mut R,
    framing: Framing,
    lines: &[Line],
    out: &mut BodyBuilder,
) -> Result<Vec<Line>, ReadError> {
    match framing {
        Framing::None | Framing::Frames => Ok(Vec::new()),
        Framing::Length => {
            exactly(stream, length(lines)?.unwrap_or_default(), out).await.map(|()| Vec::new())
        }
        Framing::Chunked => chunks(stream, out).await,
        Framing::Close => loop {
            let buffer = stream.fill_buf().await?;
            if buffer.is_empty() {
                return Ok(Vec::new());
            }
            let count = buffer.len();
            out.push(buffer)?;
            stream.consume(count);
        },
    }
}

async fn exactly<R: AsyncBufRead + Unpin>(
    stream: &mut R,
    mut left: u64,
    out: &mut BodyBuilder,
) -> Result<(), ReadError> {
    while left > 0 {
        let buffer = stream.fill_buf().await?;
        if buffer.is_empty() {
            return Err(ReadError::Closed);
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        out.push(buffer.get(..count).unwrap_or_default())?;
        stream.consume(count);
        left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(())
}

async fn chunks<R: AsyncBufRead + Unpin>(
    stream: &mut R,
    out: &mut BodyBuilder,
) -> Result<Vec<Line>, ReadError> {
    loop {
        let first = line(stream, MAX_CHUNK_LINE_BYTES).await?.ok_or(ReadError::Closed)?;
        let size = first.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let plain = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
        let size = std::str::from_utf8(size).ok().filter(|_| plain);
        let size = size.and_then(|text| u64::from_str_radix(text, 16).ok());
        let size = size.ok_or(ReadError::Malformed("a chunk has no size"))?;
        if size == 0 {
            break;
        }
        exactly(stream, size, out).await?;
        if line(stream, MAX_CHUNK_LINE_BYTES).await?.ok_or(ReadError::Closed)? != b"" {
            return Err(ReadError::Malformed("a chunk is longer than it says"));
        }
    }
    let mut trailers = Vec::new();
    while trailers.len() < MAX_TRAILERS {
        let next = line(stream, MAX_CHUNK_LINE_BYTES).await?.ok_or(ReadError::Closed)?;
        if next.is_empty() {
            return Ok(trailers);
        }
        trailers.push(head::header(&next).map_err(ReadError::Malformed)?);
    }
    Err(ReadError::Malformed("it has too many trailers"))
}
