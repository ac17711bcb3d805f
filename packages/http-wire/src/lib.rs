//! Reads HTTP/1.1 as it is on the wire and keeps every byte as it arrived. (HTTP/2 has no such bytes; it is in [`h2`].)
//!
//! It uses no library. The existing ones return header names in lower case, or grouped, or without the reason phrase, and
//! these details are compared. It is as strict as necessary to find the end of a message.

pub mod answer;
mod body;
pub mod h2;
pub mod head;

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use crate::answer::{Answer, BodyBuilder, Framing, Line, TooLarge, Version};
use head::{Head, StartLine};

/// The longest head: four times the default of an edge for the answers of a backend (`answer.header_limit`).
pub const MAX_HEAD_BYTES: usize = 1024 * 1024;

/// The most interim answers (1xx): more than any backend needs.
const MAX_INTERIM: usize = 8;

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[from] io::Error),
    /// The connection was closed before the message's end.
    #[error("the connection was closed before the end")]
    Closed,
    /// The message is not HTTP/1.
    #[error("it is not HTTP/1: {0}")]
    Malformed(&'static str),
    /// The message is longer than the reader's limit.
    #[error("it is too large")]
    TooLarge,
    /// The request cannot be sent over HTTP/2.
    #[error("it cannot be sent over HTTP/2")]
    Unaskable,
    /// The connection failed in HTTP/2.
    #[error("the connection failed in HTTP/2, which the server may not speak: {0}")]
    Http2(#[from] ::h2::Error),
    /// The answer is a stream of events, and the caller refuses these ([`Events::Refuse`]).
    #[error("it is a stream")]
    Stream,
}

/// What is done with a stream of events (`text/event-stream`), of which the head does not say whether it ever ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// It is refused with [`ReadError::Stream`], for callers that must not wait for one.
    Refuse,
    /// It is read to its end like any other body. The caller limits the time; [`answer::READ_BYTES`] limits the size.
    ReadToEnd,
}

impl From<TooLarge> for ReadError {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// Reads the final answer to a request. `events` says what is done with a stream of events.
///
/// # Errors
/// [`ReadError`]: the answer is not whole.
pub async fn answer<R: AsyncBufRead + Unpin>(
    stream: &mut R,
    to_head: bool,
    events: Events,
) -> Result<Answer, ReadError> {
    for _ in 0..MAX_INTERIM {
        let head = head(stream).await?.ok_or(ReadError::Closed)?;
        let StartLine::Status { minor, status, reason } = head.start else {
            return Err(ReadError::Malformed("it does not begin with a status line"));
        };
        if (100..200).contains(&status) {
            continue;
        }
        let framing = if to_head || matches!(status, 204 | 304) {
            Framing::None
        } else {
            body::framing(&head.lines)?.unwrap_or(Framing::Close)
        };
        if events == Events::Refuse && framing != Framing::None && head.lines.iter().any(is_stream) {
            return Err(ReadError::Stream);
        }
        let mut builder = BodyBuilder::default();
        let trailers = body::read(stream, framing, &head.lines, &mut builder).await?;
        let body = builder.finish();
        return Ok(Answer {
            version: Version::One(minor),
            status,
            reason,
            headers: head.lines,
            framing,
            body,
            trailers,
        });
    }
    Err(ReadError::Malformed("it has too many interim answers"))
}

/// Whether this line shows that the answer is a stream of events, which may have no end.
fn is_stream(line: &Line) -> bool {
    let value = line.value.to_ascii_lowercase();
    line.is("content-type") && value.starts_with(b"text/event-stream")
}

/// Reads the head of a message; nothing when the connection was closed where one would begin.
///
/// # Errors
/// [`ReadError`]: it is not a valid head, or too long.
pub async fn head<R: AsyncBufRead + Unpin>(stream: &mut R) -> Result<Option<Head>, ReadError> {
    let mut lines = Vec::new();
    let mut left = MAX_HEAD_BYTES;
    loop {
        let Some(line) = line(stream, left).await? else {
            return if lines.is_empty() { Ok(None) } else { Err(ReadError::Closed) };
        };
        left = left.saturating_sub(line.len() + 2);
        if !line.is_empty() {
            lines.push(line);
        } else if !lines.is_empty() {
            return head::parse(&lines).map(Some).map_err(ReadError::Malformed);
        }
        // An empty line before a message is skipped (RFC 9112 §2.2).
        if left == 0 {
            return Err(ReadError::Malformed("its head is too long"));
        }
    }
}

/// Reads the body of a request, and its trailers.
///
/// # Errors
/// [`ReadError`]: there is no whole body.
pub async fn request_body<R: AsyncBufRead + Unpin>(
    stream: &mut R,
    head: &Head,
) -> Result<(crate::answer::Body, Vec<crate::answer::Line>), ReadError> {
    let mut builder = BodyBuilder::default();
    let trailers = match body::framing(&head.lines)? {
        Some(framing) => body::read(stream, framing, &head.lines, &mut builder).await?,
        None => Vec::new(),
    };
    Ok((builder.finish(), trailers))
}

/// Reads and drops the body of a request; returns whether there was one.
///
/// # Errors
/// [`ReadError`]: there is no whole body.
pub async fn skip_request_body<R: AsyncBufRead + Unpin>(
    stream: &mut R,
    head: &Head,
) -> Result<bool, ReadError> {
    let (body, _) = request_body(stream, head).await?;
    Ok(body != crate::answer::Body::Whole(Vec::new()))
}

/// One line without its end; nothing when the peer has closed the connection.
async fn line<R: AsyncBufRead + Unpin>(stream: &mut R, most: usize) -> Result<Option<Vec<u8>>, ReadError> {
    let mut line = Vec::new();
    loop {
        let buffer = stream.fill_buf().await?;
        if buffer.is_empty() {
            return if line.is_empty() { Ok(None) } else { Err(ReadError::Closed) };
        }
        let (piece, used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (buffer.get(..at).unwrap_or_default(), at + 1, true),
            None => (buffer, buffer.len(), false),
        };
        line.extend_from_slice(piece);
        stream.consume(used);
        if line.len() > most {
            return Err(ReadError::Malformed("a line is too long"));
        }
        if ended {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests;
